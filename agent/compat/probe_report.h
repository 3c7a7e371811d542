#pragma once
// Question answered here: what does blackbox_exporter say of what a probe saw, and does it pass?
//
// Names, help, labels and the arithmetic of phases are those of blackbox_exporter 0.23.0 (measured
// against Debian's package by tests/integration/blackbox_test.py). Pure: values in, values out.
//
// Phases of an HTTP probe, summed over the requests of a chain of redirects:
//   resolve     the lookup, and `dns` of the later requests
//   connect     `connect`      of requests whose connection was opened
//   tls         `tls`          the same
//   processing  `send`+`wait`  of requests with a response
//   transfer    `receive`      of the last one alone

#include "agent/compat/blackbox_modules.h"
#include "agent/compat/prometheus_text.h"
#include "common/base/ip_address.h"
#include "common/model/observation.h"

#include <optional>
#include <string>

namespace tocsin::agent {

/// How the target's name became an address.
struct TargetLookup {
  std::optional<IpAddress> address;  ///< Nothing: it did not.
  Duration took{0};
};

/// How it ended.
struct ProbeVerdict {
  bool success = false;
  Reason reason = Reason::kNone;  ///< When not.
  std::string detail;             ///< For people, printable.
};

/// probe_ip_protocol, probe_ip_addr_hash and probe_dns_lookup_time_seconds.
void add_lookup(const TargetLookup& lookup, MetricSheet& out);

/// probe_success, probe_duration_seconds, and ours: tocsin_probe_failure_reason.
void add_verdict(const ProbeVerdict& verdict, Duration took, MetricSheet& out);

/// What every probe of that kind publishes, even one that never began.
void add_zeros(Prober prober, MetricSheet& out);

ProbeVerdict report_http(const BlackboxModule& module, const TargetLookup& lookup,
                         const Observation& seen, MetricSheet& out);
ProbeVerdict report_tcp(const BlackboxModule& module, const Observation& seen, MetricSheet& out);
ProbeVerdict report_dns(const BlackboxModule& module, const TargetLookup& lookup,
                        const Observation& seen, MetricSheet& out);

/// FNV-1a, 32 bits, of the address's 4 or 16 bytes.
double address_hash(const IpAddress& address);

/// "Tue, 15 Nov 1994 12:45:26 GMT" and the two older forms of RFC 9110 section 5.6.7, as seconds
/// since 1970.
std::optional<std::int64_t> parse_http_date(std::string_view text);

}  // namespace tocsin::agent
