#include "agent/compat/probe_report.h"

#include "common/io/yaml.h"

#include <gtest/gtest.h>

namespace tocsin::agent {
namespace {

BlackboxModule module(const std::string& text) {
  const auto tree = io::parse_yaml("modules:\n  m: " + text + "\n", "b.yml");
  EXPECT_TRUE(tree.has_value());
  const auto made = read_blackbox_modules(*tree, "b.yml");
  EXPECT_TRUE(made.has_value()) << made.error().front();
  return made ? *made->modules.at("m") : BlackboxModule{};
}

/// A line of the answer: "probe_http_redirects" is "2".
std::string value(const MetricSheet& sheet, const std::string& name) {
  const std::string text = "\n" + sheet.text();
  const auto at = text.find("\n" + name + " ");
  if (at == std::string::npos) return "missing";
  const auto begin = at + name.size() + 2;
  return text.substr(begin, text.find('\n', begin) - begin);
}

std::string phase(const MetricSheet& sheet, const std::string& name) {
  return value(sheet, "probe_http_duration_seconds{phase=\"" + name + "\"}");
}

const TargetLookup kLookup{IpAddress::v4({127, 0, 0, 1}), Duration{7}};

Phases phases(std::uint32_t dns, std::uint32_t connect, std::uint32_t tls, std::uint32_t send,
              std::uint32_t wait, std::uint32_t receive) {
  return {dns, connect, tls, send, wait, receive, dns + connect + tls + send + wait + receive};
}

TEST(ProbeReport, PhasesAreSummedOverRedirectsAsTheExporterDoes) {
  Observation seen;
  seen.http = HttpFacts{.status = 200, .version = "1.1", .redirects = 1};
  seen.http->hops = {{"http://a/", "", 302, phases(0, 100, 0, 10, 1000, 50)},
                     {"https://b/", "", 200, phases(5, 200, 3000, 20, 2000, 60)}};
  MetricSheet out;
  EXPECT_TRUE(report_http(module("{prober: http}"), kLookup, seen, out).success);
  EXPECT_EQ(phase(out, "resolve"), "1.2e-05");
  EXPECT_EQ(phase(out, "connect"), "0.0003");
  EXPECT_EQ(phase(out, "tls"), "0.003");
  EXPECT_EQ(phase(out, "processing"), "0.00303");
  EXPECT_EQ(phase(out, "transfer"), "6e-05") << "of the last response alone";
  EXPECT_EQ(value(out, "probe_http_redirects"), "1");

  seen.http->hops[1].phases.receive_us = 0;
  MetricSheet quick;
  report_http(module("{prober: http}"), kLookup, seen, quick);
  EXPECT_EQ(phase(quick, "transfer"), "1e-06") << "there was one";
}

TEST(ProbeReport, ARedirectWhoseTargetFailsWasNoResponse) {
  Observation seen;
  seen.failure = Failure{Reason::kHttpTimeout, "silent"};
  seen.http = HttpFacts{.status = 302, .version = "1.1"};
  seen.http->hops = {{"http://a/", "", 302, phases(0, 100, 0, 10, 1000, 50)},
                     {"http://b/", "", 0, phases(0, 200, 0, 20, 2000, 0)}};
  MetricSheet out;
  const ProbeVerdict verdict =
      report_http(module("{prober: http, http: {valid_status_codes: [302]}}"), kLookup, seen, out);
  EXPECT_FALSE(verdict.success);
  EXPECT_EQ(verdict.reason, Reason::kHttpTimeout);
  EXPECT_EQ(value(out, "probe_http_status_code"), "0");
  EXPECT_EQ(value(out, "probe_http_redirects"), "1");
  EXPECT_EQ(phase(out, "connect"), "0.0003");
  EXPECT_EQ(phase(out, "processing"), "0.00101") << "what never answered was not processed";
}

TEST(ProbeReport, WithoutAConnectionThereAreNoPhasesOfIt) {
  Observation seen;
  seen.failure = Failure{Reason::kTlsVerifyExpired, "expired"};
  seen.phases = phases(0, 100, 2000, 0, 0, 0);
  seen.tls = TlsFacts{.version = "TLSv1.3"};
  MetricSheet out;
  EXPECT_EQ(report_http(module("{prober: http}"), kLookup, seen, out).reason,
            Reason::kTlsVerifyExpired);
  EXPECT_EQ(phase(out, "connect"), "0");
  EXPECT_EQ(phase(out, "tls"), "0");
  EXPECT_EQ(value(out, "probe_http_ssl"), "0");
  EXPECT_EQ(value(out, "probe_ssl_earliest_cert_expiry"), "missing");
}

TEST(ProbeReport, ABodyThatWasNotKeptWholeSatisfiesNoPatternThatItCouldDecide) {
  Observation seen;
  seen.http = HttpFacts{.status = 200,
                        .version = "1.1",
                        .body = "all is well",
                        .body_bytes = 5'000'000,
                        .body_cut = true};
  MetricSheet found;
  EXPECT_TRUE(report_http(module("{prober: http, http: {fail_if_body_not_matches_regexp: [well]}}"),
                          kLookup, seen, found)
                  .success);
  MetricSheet unknown;
  EXPECT_EQ(report_http(module("{prober: http, http: {fail_if_body_matches_regexp: [error]}}"),
                        kLookup, seen, unknown)
                .reason,
            Reason::kAssertBody);
  EXPECT_EQ(value(unknown, "probe_failed_due_to_regex"), "1");
  EXPECT_EQ(value(unknown, "probe_http_uncompressed_body_length"), "5e+06");
}

TEST(ProbeReport, ContentLengthIsWhatTheHeadSays) {
  const auto length = [](HttpFacts facts, const std::string& rules) {
    Observation seen;
    seen.http = std::move(facts);
    MetricSheet out;
    report_http(module(rules), kLookup, seen, out);
    return value(out, "probe_http_content_length");
  };
  const std::string get = "{prober: http}";
  EXPECT_EQ(length({.status = 200, .version = "1.1", .headers = {{"content-length", "7"}}}, get),
            "7");
  EXPECT_EQ(length({.status = 200, .version = "1.1"}, get), "-1");
  EXPECT_EQ(length({.status = 204, .version = "1.1"}, get), "0");
  EXPECT_EQ(length({.status = 200, .version = "2"}, get), "0") << "the head was the end";
  EXPECT_EQ(length({.status = 200, .version = "2", .body_bytes = 3}, get), "-1");
  EXPECT_EQ(length({.status = 200, .version = "2"}, "{prober: http, http: {method: HEAD}}"), "-1");
  EXPECT_EQ(
      length({.status = 200, .version = "1.1", .headers = {{"transfer-encoding", "chunked"}}}, get),
      "-1");
}

TEST(ProbeReport, AddressesAndDatesAreToldAsTheExporterDoes) {
  EXPECT_EQ(address_hash(IpAddress::v4({127, 0, 0, 1})), 3668918509);
  EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
  EXPECT_EQ(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT"), 784111777);
  EXPECT_EQ(parse_http_date("Sun Nov  6 08:49:37 1994"), 784111777);
  EXPECT_EQ(parse_http_date("yesterday"), std::nullopt);
  EXPECT_EQ(parse_http_date(""), std::nullopt);
}

TEST(ProbeReport, AFailureHasItsReasonInOurOwnWords) {
  MetricSheet out;
  add_verdict({.success = false, .reason = Reason::kConnectRefused, .detail = "x"}, Duration{1500},
              out);
  EXPECT_EQ(value(out, "probe_success"), "0");
  EXPECT_EQ(value(out, "probe_duration_seconds"), "0.0015");
  EXPECT_EQ(value(out, "tocsin_probe_failure_reason{reason=\"connect.refused\"}"), "1");
}

}  // namespace
}  // namespace tocsin::agent
