#include "agent/compat/probe_report.h"

#include "agent/compat/report_parts.h"

#include <algorithm>

namespace tocsin::agent {

namespace {

constexpr std::uint32_t kFnv32Offset = 2166136261U;
constexpr std::uint32_t kFnv32Prime = 16777619U;

}  // namespace

double address_hash(const IpAddress& address) {
  std::uint32_t hash = kFnv32Offset;
  for (const char byte : address.bytes()) {
    hash ^= static_cast<std::uint8_t>(byte);
    hash *= kFnv32Prime;
  }
  return hash;
}

double seconds(Duration d) { return static_cast<double>(d.count()) / 1e6; }

double seconds_of_us(std::uint64_t us) { return static_cast<double>(us) / 1e6; }

void add_lookup(const TargetLookup& lookup, MetricSheet& out) {
  out.gauge("probe_dns_lookup_time_seconds",
            "Returns the time taken for probe dns lookup in seconds", seconds(lookup.took));
  double protocol = 0;
  if (lookup.address) protocol = lookup.address->unmapped().is_v4() ? 4 : 6;
  out.gauge("probe_ip_protocol", "Specifies whether probe ip protocol is IP4 or IP6", protocol);
  out.gauge("probe_ip_addr_hash",
            "Specifies the hash of IP address. It's useful to detect if the IP address changes.",
            lookup.address ? address_hash(*lookup.address) : 0);
}

void add_verdict(const ProbeVerdict& verdict, Duration took, MetricSheet& out) {
  out.gauge("probe_success", "Displays whether or not the probe was a success",
            verdict.success ? 1 : 0);
  out.gauge("probe_duration_seconds", "Returns how long the probe took to complete in seconds",
            seconds(took));
  if (verdict.success) return;
  out.gauge("tocsin_probe_failure_reason",
            "Why the probe failed, in the words of tocsin's docs/monitors.md", 1,
            {{"reason", std::string{to_string(verdict.reason)}}});
}

void add_failed_due_to_regex(bool failed, MetricSheet& out) {
  out.gauge("probe_failed_due_to_regex", "Indicates if probe failed due to regex", failed ? 1 : 0);
}

void add_zeros(Prober prober, MetricSheet& out) {
  switch (prober) {
    case Prober::kHttp:
      return add_http({}, out);
    case Prober::kTcp:
      return add_failed_due_to_regex(false, out);
    case Prober::kDns:
      return add_dns({}, out);
  }
}

/// Go's zero time, which is what it tells of a chain that was not verified.
constexpr double kGoZeroTime = -62135596800.0;

void add_tls(const TlsFacts& tls, bool verify, MetricSheet& out) {
  const auto unix_seconds = [](WallTime t) {
    const std::int64_t whole = t.us / 1'000'000;
    return static_cast<double>(whole);
  };
  WallTime earliest = tls.not_after;
  for (const CertificateFacts& one : tls.chain) earliest = std::min(earliest, one.not_after);
  out.gauge("probe_ssl_earliest_cert_expiry", "Returns last SSL chain expiry in unixtime",
            unix_seconds(earliest));
  out.gauge("probe_ssl_last_chain_expiry_timestamp_seconds",
            "Returns last SSL chain expiry in timestamp",
            verify ? unix_seconds(tls.chain_not_after) : kGoZeroTime);
  std::string version = tls.version;
  if (version.starts_with("TLSv")) version.replace(0, 4, "TLS ");
  if (version == "TLS 1") version = "TLS 1.0";
  out.gauge("probe_tls_version_info", "Returns the TLS version used or NaN when unknown", 1,
            {{"version", version}});
  if (tls.chain.empty()) return;
  const CertificateFacts& leaf = tls.chain.front();
  std::string names;
  for (const std::string& name : leaf.names) {
    // Of the kinds that are told, only host names have none of these.
    const bool host = name.find_first_of("@:/") == std::string::npos && !IpAddress::parse(name);
    if (host) names += (names.empty() ? "" : ",") + name;
  }
  out.gauge("probe_ssl_last_chain_info", "Contains SSL leaf certificate information", 1,
            {{"fingerprint_sha256", leaf.sha256},
             {"issuer", leaf.issuer},
             {"subject", leaf.subject},
             {"subjectalternative", names}});
}

ProbeVerdict failed(Reason reason, std::string detail) {
  return {.success = false, .reason = reason, .detail = std::move(detail)};
}

ProbeVerdict report_tcp(const BlackboxModule& module, const Observation& seen, MetricSheet& out) {
  // What the server said until it closed did not match; anything else is not about what it said.
  const bool unmatched = seen.failure && seen.failure->reason == Reason::kTcpClosed;
  add_failed_due_to_regex(unmatched, out);
  if (seen.tls && connected(seen.failure)) add_tls(*seen.tls, module.tls.verify, out);
  if (seen.failure) return failed(seen.failure->reason, seen.failure->detail);
  return {.success = true, .reason = Reason::kNone, .detail = {}};
}

bool connected(const std::optional<Failure>& failure) {
  if (!failure) return true;
  const auto number = static_cast<unsigned>(failure->reason);
  constexpr unsigned kFirst = static_cast<unsigned>(Reason::kHttpTimeout);
  constexpr unsigned kEnd = static_cast<unsigned>(Reason::kStarttlsTimeout);
  return number >= kFirst && number < kEnd && failure->reason != Reason::kHttpProxy;
}

}  // namespace tocsin::agent
