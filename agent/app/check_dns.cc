#include "agent/app/check_dns.h"

#include "common/base/strings.h"
#include "common/codec/dns_message.h"
#include "common/io/file.h"

#include <algorithm>

namespace tocsin::agent {

namespace {

constexpr std::size_t kCaSizeMax = std::size_t{1} << 20;

constexpr std::string_view kFields[] = {"type",   "transport", "server_name", "ca",
                                        "verify", "recursion", "dnssec",      "rcode"};

Expected<bool> parse_flag(std::string_view field, std::string_view value) {
  if (value == "true") return true;
  if (value == "false") return false;
  return fail(Errc::kInvalid, "{}: expected true or false, not '{}'", field, printable(value, 40));
}

Expected<DnsTransport> parse_transport(std::string_view value) {
  for (const DnsTransport one : {DnsTransport::kUdp, DnsTransport::kTcp, DnsTransport::kTls}) {
    if (value == to_string(one)) return one;
  }
  return fail(Errc::kInvalid, "transport: expected udp, tcp or tls, not '{}'",
              printable(value, 40));
}

Expected<void> take(std::string_view field, const std::string& value, DnsTarget& out) {
  if (field == "type") {
    TRY_ASSIGN(out.type, parse_dns_type(value));
  } else if (field == "transport") {
    TRY_ASSIGN(out.transport, parse_transport(value));
  } else if (field == "server_name") {
    out.server_name = value;
  } else if (field == "ca") {
    TRY_ASSIGN(out.ca_pem, io::read_file(value, kCaSizeMax));
  } else if (field == "verify") {
    TRY_ASSIGN(out.verify, parse_flag(field, value));
  } else if (field == "recursion") {
    TRY_ASSIGN(out.recursion, parse_flag(field, value));
  } else if (field == "dnssec") {
    TRY_ASSIGN(out.dnssec, parse_flag(field, value));
  } else if (field == "rcode") {
    out.rcode = value;
  } else {
    const std::string_view near = did_you_mean(field, {std::begin(kFields), std::end(kFields)});
    return fail(Errc::kInvalid, "expected FIELD=VALUE after the name, not '{}'{}",
                printable(field, 40), near.empty() ? "" : fmt::format("; did you mean {}?", near));
  }
  return {};
}

}  // namespace

Expected<DnsTarget> parse_dns_url(const std::string& url) {
  const std::string rest = url.substr(6);
  const std::size_t slash = rest.find('/');
  if (slash == std::string::npos || slash + 1 == rest.size()) {
    return fail(Errc::kInvalid, "expected dns://[SERVER]/NAME[?type=TYPE], not '{}'",
                printable(url, 80));
  }
  DnsTarget out;
  out.resolver = rest.substr(0, slash);
  const std::size_t question = rest.find('?', slash);
  out.name = rest.substr(slash + 1, question - std::min(question, slash + 1));
  if (question != std::string::npos) {
    for (const std::string_view pair : split(std::string_view{rest}.substr(question + 1), '&')) {
      const std::size_t equals = pair.find('=');
      const std::string value{equals == std::string_view::npos ? "" : pair.substr(equals + 1)};
      TRY(take(pair.substr(0, equals), value, out));
    }
  }
  TRY(dns::encode_query({.id = 0, .name = out.name, .type = out.type}));
  return out;
}

}  // namespace tocsin::agent
