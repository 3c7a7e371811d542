#include "agent/compat/report_parts.h"
#include "common/base/strings.h"

#include <algorithm>
#include <charconv>

namespace tocsin::agent {

namespace {

using assertion::Regex;

/// A record as the exporter's library writes it, which is what the patterns were written for.
std::string line_of(const DnsRecord& record, const std::string& class_name) {
  return fmt::format("{}\t{}\t{}\t{}\t{}", record.name, record.ttl, class_name,
                     record_type_name(record.type), record.data);
}

bool matches_any(const std::vector<Regex>& patterns, const std::string& line) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const Regex& pattern) { return pattern.matches(line); });
}

bool matches_all(const std::vector<Regex>& patterns, const std::string& line) {
  return std::all_of(patterns.begin(), patterns.end(),
                     [&](const Regex& pattern) { return pattern.matches(line); });
}

/// Why these records are not what they should be; empty: they are. With the exporter's reading of
/// fail_if_all_match_regexp, which fails when not all of them match.
std::string fault(const std::vector<DnsRecord>& records, std::uint32_t total,
                  const RecordRules& rules, const std::string& class_name) {
  if (total == 0 && !rules.fail_if_not_matches.empty()) {
    return "fail_if_not_matches_regexp is given and there is no record";
  }
  if (total == 0 && !rules.fail_if_none_matches.empty()) {
    return "fail_if_none_matches_regexp is given and there is no record";
  }
  bool any = false;
  bool all = true;
  for (const DnsRecord& record : records) {
    const std::string line = line_of(record, class_name);
    if (matches_any(rules.fail_if_matches, line)) {
      return fmt::format("fail_if_matches_regexp matches \"{}\"", printable(line, 120));
    }
    all = all && matches_all(rules.fail_if_all_match, line);
    if (!matches_all(rules.fail_if_not_matches, line)) {
      return fmt::format("fail_if_not_matches_regexp does not match \"{}\"", printable(line, 120));
    }
    any = any || matches_any(rules.fail_if_none_matches, line);
  }
  if (!rules.fail_if_all_match.empty() && !all) {
    return "fail_if_all_match_regexp does not match every record";
  }
  if (!rules.fail_if_none_matches.empty() && !any) {
    return "fail_if_none_matches_regexp matches no record";
  }
  return {};
}

/// "ns. hostmaster. SERIAL 3600 900 604800 60"
double serial_of(const DnsRecord& record) {
  const auto words = split(record.data, ' ');
  double serial = 0;
  if (words.size() > 2) {
    std::from_chars(words[2].data(), words[2].data() + words[2].size(), serial);
  }
  return serial;
}

ProbeVerdict judge(const BlackboxDns& rules, const DnsFacts& facts) {
  static const std::vector<std::string> noerror{"NOERROR"};
  const auto& valid = rules.valid_rcodes.empty() ? noerror : rules.valid_rcodes;
  if (std::find(valid.begin(), valid.end(), facts.rcode) == valid.end()) {
    return failed(reason_of_rcode(facts.rcode),
                  fmt::format("{} is not among valid_rcodes", facts.rcode));
  }

  struct Section {
    const char* name;
    const std::vector<DnsRecord>& records;
    std::uint32_t total;
    const RecordRules& rules;
  };

  for (const Section& section :
       {Section{"answer", facts.answers, facts.answers_total, rules.answers},
        Section{"authority", facts.authorities, facts.authorities_total, rules.authorities},
        Section{"additional", facts.additionals, facts.additionals_total, rules.additionals}}) {
    const std::string bad = fault(section.records, section.total, section.rules, rules.class_name);
    if (!bad.empty()) {
      return failed(Reason::kAssertDns, fmt::format("{} records: {}", section.name, bad));
    }
  }
  return {.success = true, .reason = Reason::kNone, .detail = {}};
}

}  // namespace

void add_dns(const DnsFigures& figures, MetricSheet& out) {
  const auto phase = [&](const char* name, double value) {
    out.gauge("probe_dns_duration_seconds", "Duration of DNS request by phase", value,
              {{"phase", name}});
  };
  phase("resolve", seconds(figures.resolve));
  phase("connect", seconds_of_us(figures.connect_us));
  phase("request", seconds_of_us(figures.request_us));
  out.gauge("probe_dns_answer_rrs", "Returns number of entries in the answer resource record list",
            figures.answers);
  out.gauge("probe_dns_authority_rrs",
            "Returns number of entries in the authority resource record list", figures.authorities);
  out.gauge("probe_dns_additional_rrs",
            "Returns number of entries in the additional resource record list",
            figures.additionals);
  out.gauge("probe_dns_query_succeeded",
            "Displays whether or not the query was executed successfully", figures.succeeded);
}

ProbeVerdict report_dns(const BlackboxModule& module, const TargetLookup& lookup,
                        const Observation& seen, MetricSheet& out) {
  const Phases& p = seen.phases;
  DnsFigures figures;
  figures.resolve = lookup.took;
  figures.connect_us = std::uint64_t{p.dns_us} + p.connect_us + p.tls_us;
  figures.request_us = std::uint64_t{p.send_us} + p.wait_us + p.receive_us;
  ProbeVerdict verdict;
  if (seen.dns) {
    const DnsFacts& facts = *seen.dns;
    figures.answers = facts.answers_total;
    figures.authorities = facts.authorities_total;
    figures.additionals = facts.additionals_total;
    figures.succeeded = true;
    if (module.dns.query_type == DnsType::kSoa) {
      double serial = 0;
      for (const DnsRecord& record : facts.answers) {
        if (record.type == DnsType::kSoa) serial = serial_of(record);
      }
      out.gauge("probe_dns_serial", "Returns the serial number of the zone", serial);
    }
    verdict = judge(module.dns, facts);
  } else {
    const Failure unknown{Reason::kSelfInternal, "there was no answer"};
    const Failure& failure = seen.failure ? *seen.failure : unknown;
    verdict = failed(failure.reason, failure.detail);
  }
  add_dns(figures, out);
  return verdict;
}

}  // namespace tocsin::agent
