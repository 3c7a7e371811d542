#pragma once
// Question answered here: what did `tocsin-agent check ...` ask to be checked?
//
//   check URL [--timeout 10s] [--assert CONDITION]... [--degraded CONDITION]... [--json]
//         [--retries N] [--retry-delay 1s] [--send TEXT] [--expect TEXT]
//         [--resolver ADDRESS[:PORT]] [--secrets-dir DIR] [-4 | -6]
//         [--starttls PROTOCOL] [--alpn PROTOCOL]... [--min-version 1.3]
//         and what check_http.h reads; of that --server-name, --ca and --insecure are for TLS too
//
//   URL  http://..., https://..., tcp://HOST:PORT, tls://HOST[:PORT],
//        dns://[SERVER]/NAME[?type=TYPE] (check_dns.h)

#include "agent/probe/proxy_settings.h"
#include "common/base/expected.h"
#include "common/io/dns_channel.h"
#include "common/model/monitor_spec.h"

#include <optional>
#include <string>
#include <vector>

namespace tocsin::agent {

struct CheckRequest {
  ProbeSpec spec;  ///< Retries are 0 unless asked for.
  bool json = false;
  bool help = false;                      ///< Nothing else is set.
  std::optional<io::DnsServer> resolver;  ///< For host names; the system's otherwise.
  std::optional<ProxySettings> proxy;     ///< That the spec names.
  std::string secrets_dir = "/etc/tocsin/secrets";
};

/// `words` stand behind `check`. Errors are one line for the user.
Expected<CheckRequest> parse_check_request(const std::vector<std::string>& words);

/// check --help.
const char* check_usage();

}  // namespace tocsin::agent
