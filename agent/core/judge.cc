#include "agent/core/judge.h"

#include "common/base/strings.h"

#include <algorithm>
#include <array>

namespace tocsin::agent {

namespace {

constexpr std::array<std::string_view, 6> kSecretHeaders{
    "authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-auth-token"};

/// Cuts at a byte bound without splitting a UTF-8 sequence needlessly; `printable` repairs the
/// rest.
void append_bounded(std::string& out, std::string_view text) {
  const std::size_t room = kExcerptMax - std::min(kExcerptMax, out.size());
  out += text.substr(0, room);
}

std::string make_excerpt(const Observation& o) {
  std::string out;
  if (o.http) {
    append_bounded(out, fmt::format("HTTP/{} {}\n", o.http->version, o.http->status));
    for (const Header& h : o.http->headers) {
      append_bounded(out, h.name);
      append_bounded(out, ": ");
      append_bounded(out, is_secret_header(h.name) ? std::string_view{"***"} : h.value);
      append_bounded(out, "\n");
    }
    append_bounded(out, "\n");
    append_bounded(out, o.http->body);
  } else if (o.dns) {
    append_bounded(out, o.dns->rcode + "\n");
    for (const DnsRecord& r : o.dns->answers) {
      append_bounded(out,
                     fmt::format("{} {} {} {}\n", r.name, r.ttl, record_type_name(r.type), r.data));
    }
  } else {
    append_bounded(out, o.banner);
  }
  for (const std::string& tried : o.tried) append_bounded(out, fmt::format("tried {}\n", tried));
  return out;
}

}  // namespace

bool is_secret_header(std::string_view name) {
  const std::string lower = to_lower(name);
  return std::find(kSecretHeaders.begin(), kSecretHeaders.end(), lower) != kSecretHeaders.end();
}

Attempt make_attempt(const Observation& observation, Finding finding, Duration start_offset,
                     bool with_excerpt) {
  Attempt out;
  out.start_offset_us =
      static_cast<std::uint32_t>(std::clamp<std::int64_t>(start_offset.count(), 0, UINT32_MAX));
  out.finding = std::move(finding);
  out.phases = observation.phases;
  out.remote = observation.remote;
  if (observation.http) out.http_status = static_cast<std::uint32_t>(observation.http->status);
  if (observation.tls) out.cert_not_after_ms = observation.tls->not_after.ms();
  if (with_excerpt) out.excerpt = make_excerpt(observation);
  return out;
}

}  // namespace tocsin::agent
