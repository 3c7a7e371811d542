#include "agent/core/judge.h"

#include "common/base/bytes.h"
#include "common/base/redact.h"
#include "common/base/strings.h"

#include <algorithm>
#include <array>

namespace tocsin::agent {

namespace {

constexpr std::size_t kDetailMax = 256;  // As Finding promises.

constexpr std::array<std::string_view, 6> kSecretHeaders{
    "authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-auth-token"};

/// Cuts at a byte bound without splitting a UTF-8 sequence needlessly; `printable` repairs the
/// rest.
void append_bounded(std::string& out, std::string_view text) {
  const std::size_t room = kExcerptMax - std::min(kExcerptMax, out.size());
  out += text.substr(0, room);
}

std::string make_excerpt(const Observation& o, const std::vector<std::string>& secrets) {
  std::string out;
  const auto append_redacted = [&](std::string_view text) {
    append_bounded(out, redacted(text, secrets, kExcerptMax));
  };
  if (o.http) {
    append_bounded(out, fmt::format("HTTP/{} {}\n", o.http->version, o.http->status));
    for (const Header& h : o.http->headers) {
      append_bounded(out, h.name);
      append_bounded(out, ": ");
      if (is_secret_header(h.name)) {
        append_bounded(out, "***");
      } else {
        append_redacted(h.value);
      }
      append_bounded(out, "\n");
    }
    append_bounded(out, "\n");
    append_redacted(o.http->body);
  } else if (o.dns) {
    append_bounded(out, o.dns->rcode + "\n");
    for (const DnsRecord& r : o.dns->answers) {
      append_bounded(out,
                     fmt::format("{} {} {} {}\n", r.name, r.ttl, record_type_name(r.type), r.data));
    }
  } else {
    append_redacted(o.banner);
  }
  return out;
}

/// As much of it as evidence keeps.
TlsFacts tls_evidence(const TlsFacts& seen) {
  TlsFacts out = seen;
  if (out.chain.size() > Attempt::kEvidenceChainMax) out.chain.resize(Attempt::kEvidenceChainMax);
  for (std::size_t i = 0; i < out.chain.size(); ++i) {
    std::vector<std::string>& names = out.chain[i].names;
    const std::size_t most = i == 0 ? Attempt::kEvidenceNamesMax : 0;
    if (names.size() > most) names.resize(most);
  }
  if (out.problems.size() > Attempt::kEvidenceProblemsMax) {
    out.problems.resize(Attempt::kEvidenceProblemsMax);
  }
  return out;
}

}  // namespace

bool is_secret_header(std::string_view name) {
  const std::string lower = to_lower(name);
  return std::find(kSecretHeaders.begin(), kSecretHeaders.end(), lower) != kSecretHeaders.end();
}

std::vector<std::string> secrets_of(const ProbeSpec& spec) {
  std::vector<std::string> out;
  const auto keep = [&](std::string_view text) {
    if (!text.empty()) out.emplace_back(text);
  };
  const auto* http = std::get_if<HttpTarget>(&spec.target);
  if (http == nullptr) return out;
  for (const Header& h : http->headers) {
    if (!is_secret_header(h.name)) continue;
    keep(trim(h.value));
    const std::size_t blank = h.value.find(' ');
    if (blank == std::string::npos) continue;
    const std::string_view credentials = trim(std::string_view{h.value}.substr(blank));
    keep(credentials);
    Bytes decoded;
    if (!iequals(h.value.substr(0, blank), "basic") || !from_base64(credentials, decoded)) continue;
    keep(decoded);
    const std::size_t colon = decoded.find(':');
    if (colon != Bytes::npos) keep(std::string_view{decoded}.substr(colon + 1));
  }
  return out;
}

Attempt make_attempt(const ProbeSpec& spec, const Observation& observation, Finding finding,
                     Duration start_offset, bool with_evidence) {
  Attempt out;
  out.start_offset_us =
      static_cast<std::uint32_t>(std::clamp<std::int64_t>(start_offset.count(), 0, UINT32_MAX));
  out.finding = std::move(finding);
  out.phases = observation.phases;
  out.remote = observation.remote;
  out.tried = observation.tried;
  if (observation.http) {
    out.http_status = static_cast<std::uint32_t>(observation.http->status);
    out.connection = observation.http->connection;
  }
  if (observation.tls) out.cert_not_after_ms = observation.tls->not_after.ms();
  const bool with_path = with_evidence || out.finding.outcome == Outcome::kDegraded;
  if (with_path) out.tcp = observation.tcp;
  if (!with_path && observation.http && out.finding.outcome == Outcome::kUp) {
    // Where the time went, for the rollups.
    for (const HttpHop& hop : observation.http->hops) {
      out.hops.push_back({{}, {}, hop.status, hop.phases});
    }
  }
  if (!with_path && out.finding.detail.empty()) return out;
  const std::vector<std::string> secrets = secrets_of(spec);
  if (!secrets.empty()) out.finding.detail = redacted(out.finding.detail, secrets, kDetailMax);
  if (with_path && observation.http) {
    out.hops = observation.http->hops;
    for (HttpHop& hop : out.hops) hop.url = redacted(hop.url, secrets, HttpHop::kUrlMax + 3);
  }
  if (!with_evidence) return out;
  out.excerpt = make_excerpt(observation, secrets);
  if (observation.tls) out.tls = tls_evidence(*observation.tls);
  return out;
}

}  // namespace tocsin::agent
