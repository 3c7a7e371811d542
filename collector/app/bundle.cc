#include "collector/app/bundle.h"

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
      "public_key: {}\n"
      "secret_key: {}\n"
      "expires: {}\n",
      format_rfc3339(bundle.expires), quoted_list(bundle.endpoints),
      quoted_list(bundle.server_keys), quoted(bundle.region), quoted(bundle.public_key),
      quoted(bundle.secret_key), quoted(format_rfc3339(bundle.expires)));
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

}  // namespace tocsin::collector
