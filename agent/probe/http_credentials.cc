#include "agent/probe/http_credentials.h"

#include "common/base/bytes.h"
#include "common/base/strings.h"

#include <algorithm>

namespace tocsin::agent {

namespace {

tl::expected<io::Secret, Failure> header_secret(ProbeContext& context, const SecretRef& ref) {
  auto secret = context.secret(ref);
  if (!secret) return tl::unexpected{Failure{Reason::kPolicySecret, secret.error().text}};
  const std::string& text = secret->reveal();
  const bool sendable = !text.empty() && std::none_of(text.begin(), text.end(), [](char c) {
    return c == '\r' || c == '\n' || c == '\0';
  });
  if (!sendable) {
    return tl::unexpected{Failure{Reason::kPolicySecret,
                                  fmt::format("{}: expected one line of text", describe(ref))}};
  }
  if (text.size() < HttpCredentials::kStruckMin) {
    return tl::unexpected{
        Failure{Reason::kPolicySecret,
                fmt::format("{}: expected at least {} bytes, since a shorter secret cannot be "
                            "told apart in what a server answers",
                            describe(ref), HttpCredentials::kStruckMin)}};
  }
  return *std::move(secret);
}

}  // namespace

std::string basic_authorization(std::string_view username, std::string_view password) {
  const io::Secret pair{fmt::format("{}:{}", username, password)};
  return "Basic " + to_base64(as_bytes(pair.reveal()));
}

tl::expected<HttpCredentials, Failure> load_credentials(ProbeContext& context,
                                                        const HttpTarget& target) {
  HttpCredentials out;
  const auto keep = [&](std::string text) { out.secrets.emplace_back(std::move(text)); };
  if (target.auth.kind != HttpAuth::Kind::kNone) {
    auto secret = header_secret(context, target.auth.secret);
    if (!secret) return tl::unexpected{std::move(secret).error()};
    const std::string& text = secret->reveal();
    keep(text);
    if (target.auth.kind == HttpAuth::Kind::kBasic) {
      out.headers.push_back({"Authorization", basic_authorization(target.auth.username, text)});
      keep(out.headers.back().value.substr(6));
    } else {
      out.headers.push_back({"Authorization", "Bearer " + text});
    }
  }
  for (const SecretHeader& header : target.secret_headers) {
    auto secret = header_secret(context, header.value);
    if (!secret) return tl::unexpected{std::move(secret).error()};
    keep(secret->reveal());
    out.headers.push_back({header.name, secret->reveal()});
  }
  const ProxySettings* proxy = target.proxy.empty() ? nullptr : context.proxy(target.proxy);
  if (proxy != nullptr && !proxy->username.empty()) {
    tl::expected<io::Secret, Failure> secret{io::Secret{proxy->password}};
    if (!proxy->secret_file.empty()) {
      secret = header_secret(context, SecretRef::file(proxy->secret_file));
    }
    if (!secret) return tl::unexpected{std::move(secret).error()};
    keep(secret->reveal());
    out.proxy_headers.push_back(
        {"Proxy-Authorization", basic_authorization(proxy->username, secret->reveal())});
    keep(out.proxy_headers.back().value.substr(6));
  }
  if (!target.client_cert.empty()) {
    auto identity = context.identity(target.client_cert, target.client_key);
    if (!identity) return tl::unexpected{Failure{Reason::kPolicySecret, identity.error().text}};
    out.identity = *std::move(identity);
  }
  // The longest first, so that no part of one is left when another is contained in it.
  std::sort(out.secrets.begin(), out.secrets.end(), [](const io::Secret& a, const io::Secret& b) {
    return a.reveal().size() > b.reveal().size();
  });
  return out;
}

void strike_out(std::string& text, const std::vector<io::Secret>& secrets) {
  for (const io::Secret& secret : secrets) {
    const std::string& s = secret.reveal();
    if (s.size() < HttpCredentials::kStruckMin) continue;
    for (std::size_t at = text.find(s); at != std::string::npos; at = text.find(s, at + 3)) {
      text.replace(at, s.size(), "***");
    }
  }
}

void strike_out(HttpFacts& facts, const std::vector<io::Secret>& secrets) {
  if (secrets.empty()) return;
  for (Header& header : facts.headers) strike_out(header.value, secrets);
  for (HttpHop& hop : facts.hops) strike_out(hop.url, secrets);
  strike_out(facts.body, secrets);
}

}  // namespace tocsin::agent
