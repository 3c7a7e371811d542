#include "collector/app/bundle.h"

#include "common/base/strings.h"
#include "common/io/random.h"
#include "common/io/zmq_socket.h"

#include <fmt/format.h>

namespace tocsin::collector {
namespace {

/// A YAML double-quoted scalar; Z85 and keys hold no control characters.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string quoted_list(const std::vector<std::string>& items) {
  std::string out = "[";
  for (const std::string& item : items) {
    if (out.size() > 1) out += ", ";
    out += quoted(item);
  }
  return out + "]";
}

}  // namespace

std::string format_bundle(const EnrolmentBundle& bundle) {
  return fmt::format(
      "# A key that works once, until {}. On the agent's machine: save this as a file that only\n"
      "# the agent's user can read, then run: tocsin-agent enroll FILE\n"
      "tocsin_enrolment: 1\n"
      "endpoints: {}\n"
      "server_keys: {}\n"
      "region: {}\n"
      "{}"
      "public_key: {}\n"
      "secret_key: {}\n"
      "expires: {}\n",
      format_rfc3339(bundle.expires), quoted_list(bundle.endpoints),
      quoted_list(bundle.server_keys), quoted(bundle.region),
      bundle.agent.empty() ? "" : "agent: " + quoted(bundle.agent) + "\n",
      quoted(bundle.public_key), quoted(bundle.secret_key), quoted(format_rfc3339(bundle.expires)));
}

std::vector<std::string> bundle_endpoints(const std::vector<std::string>& wanted,
                                          const std::string& bound, const std::string& hostname) {
  if (!wanted.empty()) return wanted;
  for (const char* wildcard : {"tcp://*:", "tcp://0.0.0.0:", "tcp://[::]:"}) {
    const std::string prefix = wildcard;
    if (bound.substr(0, prefix.size()) == prefix) {
      return {fmt::format("tcp://{}:{}", hostname, bound.substr(prefix.size()))};
    }
  }
  return {bound};
}

Expected<NewEnrolment> make_enrolment(const EnrolmentWish& wish, const BundleSource& source,
                                      WallTime now) {
  if (!is_key(wish.region)) {
    return fail(Errc::kInvalid, "a region is 1 to 63 characters of a-z, 0-9 and -, not \"{}\"",
                printable(wish.region, 64));
  }
  if (wish.valid <= Duration{0} || wish.valid > kEnrolmentValidMax) {
    return fail(Errc::kInvalid, "a bundle may be valid for at most {}",
                format_duration(kEnrolmentValidMax));
  }
  if (wish.name.size() > kEnrolmentNameMax || !is_valid_utf8(wish.name)) {
    return fail(Errc::kInvalid, "a name is at most {} bytes of UTF-8", kEnrolmentNameMax);
  }
  for (const std::string& endpoint : wish.endpoints) {
    if (endpoint.substr(0, 6) != "tcp://" || printable(endpoint) != endpoint) {
      return fail(Errc::kInvalid, "an endpoint looks like tcp://HOST:PORT, not \"{}\"",
                  printable(endpoint));
    }
  }
  TRY_ASSIGN(const io::CurveKeyPair keys, io::make_curve_keypair());
  EnrolmentBundle bundle;
  bundle.endpoints = bundle_endpoints(wish.endpoints, source.agents_endpoint, source.hostname);
  bundle.server_keys = {source.server_key};
  bundle.region = wish.region;
  if (wish.agent) bundle.agent = wish.agent->str();
  bundle.public_key = keys.public_key;
  bundle.secret_key = keys.secret_key.reveal();
  bundle.expires = now + wish.valid;

  NewEnrolment out;
  out.row.id = EnrolmentId{io::mint_uuid(now)};
  out.row.region = wish.region;
  out.row.public_key = keys.public_key;
  out.row.expires_at = bundle.expires;
  out.row.name = wish.name;
  out.row.agent = wish.agent;
  out.bundle = format_bundle(bundle);
  return out;
}

}  // namespace tocsin::collector
