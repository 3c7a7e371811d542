#pragma once
// Question answered here: what did `tocsin-agent check ...` ask to be checked?
//
//   check URL [--timeout 10s] [--assert CONDITION]... [--degraded CONDITION]... [--json]
//         [--method M] [--header 'NAME: VALUE']... [--body TEXT] [--send TEXT] [--expect TEXT]
//         [--resolver ADDRESS[:PORT]] [--redirects N] [--insecure] [-4 | -6]
//
//   URL  http://..., https://..., tcp://HOST:PORT, dns://[SERVER]/NAME[?type=TYPE]

#include "common/base/expected.h"
#include "common/io/dns_channel.h"
#include "common/model/monitor_spec.h"

#include <optional>
#include <string>
#include <vector>

namespace tocsin::agent {

struct CheckRequest {
  ProbeSpec spec;  ///< One attempt: retries are 0.
  bool json = false;
  bool help = false;                      ///< Nothing else is set.
  std::optional<io::DnsServer> resolver;  ///< For host names; the system's otherwise.
};

/// `words` stand behind `check`. Errors are one line for the user.
Expected<CheckRequest> parse_check_request(const std::vector<std::string>& words);

/// check --help.
const char* check_usage();

}  // namespace tocsin::agent
