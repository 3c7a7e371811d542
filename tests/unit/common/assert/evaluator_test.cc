#include "common/assert/evaluator.h"

#include "common/assert/parser.h"

#include <gtest/gtest.h>

namespace tocsin::assertion {
namespace {

constexpr WallTime kNow{1'700'000'000'000'000};

ProbeSpec http_spec(std::vector<std::string> conditions, std::vector<std::string> degraded = {}) {
  ProbeSpec spec;
  spec.target = HttpTarget{};
  for (const std::string& text : conditions) {
    const auto condition = parse_condition(text, spec.target);
    EXPECT_TRUE(condition) << text;
    if (condition) spec.assertions.all.push_back(*condition);
  }
  for (const std::string& text : degraded) {
    const auto condition = parse_condition(text, spec.target);
    EXPECT_TRUE(condition) << text;
    if (condition) spec.degraded.push_back(*condition);
  }
  return spec;
}

ProbeSpec dns_spec(std::vector<std::string> conditions) {
  ProbeSpec spec;
  spec.target = DnsTarget{"example.com", DnsType::kA, "", false};
  for (const std::string& text : conditions) {
    const auto condition = parse_condition(text, spec.target);
    EXPECT_TRUE(condition) << text;
    if (condition) spec.assertions.all.push_back(*condition);
  }
  return spec;
}

Observation response(int status, std::string body = "") {
  Observation seen;
  seen.http.emplace();
  seen.http->status = status;
  seen.http->version = "1.1";
  seen.http->headers = {{"content-type", "application/json"}, {"via", "a"}, {"via", "b"}};
  seen.http->body_bytes = body.size();
  seen.http->body = std::move(body);
  seen.phases.total_us = 900'000;
  seen.phases.tls_us = 400'000;
  return seen;
}

Observation answer(std::string rcode, std::vector<DnsRecord> records = {}) {
  Observation seen;
  seen.dns.emplace();
  seen.dns->rcode = std::move(rcode);
  seen.dns->answers = std::move(records);
  return seen;
}

Finding judge(const ProbeSpec& spec, const Observation& seen) {
  const auto evaluator = Evaluator::compile(spec);
  EXPECT_TRUE(evaluator) << (evaluator ? "" : evaluator.error().text);
  return evaluator->judge(seen, kNow);
}

/// What one condition says: "holds", or the detail of its finding.
std::string verdict(const std::string& condition, const Observation& seen) {
  const Finding f = judge(http_spec({condition}), seen);
  return f.outcome == Outcome::kUp ? "holds" : f.detail;
}

std::string dns_verdict(const std::string& condition, const Observation& seen) {
  const Finding f = judge(dns_spec({condition}), seen);
  return f.outcome == Outcome::kUp ? "holds" : f.detail;
}

TEST(Evaluator, WithoutAssertionsHttpNeedsAStatusBelow300) {
  EXPECT_EQ(judge(http_spec({}), response(204)), Finding{});
  EXPECT_EQ(judge(http_spec({}), response(503)), (Finding{Outcome::kDown, Reason::kAssertStatus,
                                                          "expected status in 200..299, got 503"}));
  EXPECT_EQ(judge(http_spec({}), response(304)).outcome, Outcome::kDown);
  EXPECT_EQ(judge(http_spec({}), response(199)).outcome, Outcome::kDown);
}

TEST(Evaluator, WithoutAssertionsDnsNeedsNoerrorAndARecordOfTheAskedType) {
  EXPECT_EQ(judge(dns_spec({}), answer("NOERROR", {{"example.com", DnsType::kA, 60, "192.0.2.1"}})),
            Finding{});
  EXPECT_EQ(
      judge(dns_spec({}), answer("NXDOMAIN")),
      (Finding{Outcome::kDown, Reason::kDnsRcode, "expected dns rcode == NOERROR, got NXDOMAIN"}));
  EXPECT_EQ(judge(dns_spec({}), answer("NOERROR", {{"example.com", DnsType::kCname, 60, "b."}})),
            (Finding{Outcome::kDown, Reason::kDnsNodata, "expected a record of type A, got none"}));
}

TEST(Evaluator, WithoutAssertionsTcpNeedsOnlyAProbeThatDidNotFail) {
  ProbeSpec spec;
  spec.target = TcpTarget{"db", 5432, "", ""};
  EXPECT_EQ(judge(spec, Observation{}), Finding{});
}

TEST(Evaluator, AFailedProbeIsDownOnlyWhenTheTargetIsToBlame) {
  Observation seen;
  seen.failure = Failure{Reason::kConnectRefused, "127.0.0.1:80: nothing listens"};
  EXPECT_EQ(judge(http_spec({"status == 200"}), seen),
            (Finding{Outcome::kDown, Reason::kConnectRefused, "127.0.0.1:80: nothing listens"}));
  seen.failure = Failure{Reason::kSelfDescriptors, "socket: too many open files"};
  EXPECT_EQ(judge(http_spec({}), seen).outcome, Outcome::kNoData);
  seen.failure = Failure{Reason::kPolicyDeniedAddress, "10.0.0.1 is not public"};
  EXPECT_EQ(judge(http_spec({}), seen).outcome, Outcome::kNoData);
}

TEST(Evaluator, TheFirstAssertionThatDoesNotHoldIsTheFinding) {
  EXPECT_EQ(judge(http_spec({"latency < 2s", "status == 200", "body contains x"}), response(503)),
            (Finding{Outcome::kDown, Reason::kAssertStatus, "expected status == 200, got 503"}));
}

TEST(Evaluator, DegradedAppliesOnlyToWhatPasses) {
  const ProbeSpec spec = http_spec({"status == 200"}, {"latency > 800ms"});
  EXPECT_EQ(judge(spec, response(200)),
            (Finding{Outcome::kDegraded, Reason::kAssertLatency, "latency > 800ms: 900.0ms"}));
  EXPECT_EQ(judge(spec, response(500)).outcome, Outcome::kDown);
  EXPECT_EQ(judge(http_spec({}, {"latency > 1s"}), response(200)), Finding{});
}

TEST(Evaluator, ComparesNumbersAtTheirEdges) {
  EXPECT_EQ(verdict("status == 200", response(200)), "holds");
  EXPECT_EQ(verdict("status != 200", response(200)), "expected status != 200, got 200");
  EXPECT_EQ(verdict("status in 200..299", response(299)), "holds");
  EXPECT_EQ(verdict("status in 200..299", response(300)), "expected status in 200..299, got 300");
  EXPECT_EQ(verdict("status < 400", response(400)), "expected status < 400, got 400");
  EXPECT_EQ(verdict("status <= 400", response(400)), "holds");
  EXPECT_EQ(verdict("redirects > 0", response(200)), "expected redirects > 0, got 0");
}

TEST(Evaluator, ComparesDurations) {
  EXPECT_EQ(verdict("latency < 900ms", response(200)), "expected latency < 900ms, got 900.0ms");
  EXPECT_EQ(verdict("latency <= 900ms", response(200)), "holds");
  EXPECT_EQ(verdict("phase tls < 500ms", response(200)), "holds");
  EXPECT_EQ(verdict("phase tls < 100ms", response(200)), "expected phase tls < 100ms, got 400.0ms");
}

TEST(Evaluator, AnyHeaderOfTheNameMayMatchAndNoneMayMatchANegation) {
  const Observation seen = response(200);
  EXPECT_EQ(verdict("header content-type contains json", seen), "holds");
  EXPECT_EQ(verdict("header via == b", seen), "holds");
  EXPECT_EQ(verdict("header via != b", seen), "expected header via != b, got \"a\"");
  EXPECT_EQ(verdict("header via not matches c", seen), "holds");
  EXPECT_EQ(verdict("header x-none == b", seen), "expected header x-none == b, got no such header");
  EXPECT_EQ(verdict("header x-none exists", seen),
            "expected header x-none exists, got no such header");
  EXPECT_EQ(verdict("header x-none not exists", seen), "holds");
  EXPECT_EQ(verdict("header via not exists", seen), "expected header via not exists, got \"a\"");
  EXPECT_EQ(verdict("header x-none not contains b", seen), "holds");
}

TEST(Evaluator, LooksIntoTheBody) {
  EXPECT_EQ(verdict("body contains ready", response(200, "all ready")), "holds");
  EXPECT_EQ(verdict("body matches \"ready|ok\"", response(200, "not yet")),
            "expected body matches \"ready|ok\", got \"not yet\"");
  EXPECT_EQ(verdict("body not contains error", response(200, "an error")),
            "expected body not contains error, got \"an error\"");
  EXPECT_EQ(verdict("body == ok", response(200, "ok")), "holds");
  EXPECT_EQ(verdict("body contains x", response(200, "")),
            "expected body contains x, got an empty body");
}

TEST(Evaluator, AHostileBodyStaysPrintableAndShortInTheDetail) {
  const std::string detail =
      verdict("body contains x", response(200, "\x1b[31m\xff" + std::string(5000, 'y')));
  EXPECT_EQ(detail.find('\x1b'), std::string::npos);
  EXPECT_LE(detail.size(), 256U);
}

TEST(Evaluator, ACutBodyDecidesOnlyWhatWasSeen) {
  Observation seen = response(200, "{\"ok\": true, ready");
  seen.http->body_cut = true;
  EXPECT_EQ(verdict("body contains ready", seen), "holds");
  EXPECT_EQ(verdict("body contains x", seen),
            "expected body contains x, got a body of more than 18 bytes, which was cut");
  EXPECT_NE(verdict("body not contains x", seen), "holds");
  EXPECT_NE(verdict("body != x", seen), "holds");
  EXPECT_NE(verdict("json $.ok == true", seen), "holds");
}

TEST(Evaluator, ReadsJsonByItsTypes) {
  const Observation seen = response(
      200, R"({"ok": true, "n": 3, "v": "1", "z": null, "list": [{"a b": "x"}], "big": 1e3})");
  EXPECT_EQ(verdict("json $.ok == true", seen), "holds");
  EXPECT_EQ(verdict("json $.ok == false", seen), "expected json $.ok == false, got true");
  EXPECT_EQ(verdict("json $.n >= 3", seen), "holds");
  EXPECT_EQ(verdict("json $.big == 1000", seen), "holds");
  EXPECT_EQ(verdict("json $.v == 1", seen), "expected json $.v == 1, got \"1\"");
  EXPECT_EQ(verdict("json $.v == \"1\"", seen), "holds");
  EXPECT_EQ(verdict("json $.v > 0", seen), "expected json $.v > 0, got \"1\"");
  EXPECT_EQ(verdict("json $.z == null", seen), "holds");
  EXPECT_EQ(verdict("json $.list[0][\"a b\"] matches \"^x$\"", seen), "holds");
  EXPECT_EQ(verdict("json $.list[1] exists", seen),
            "expected json $.list[1] exists, got nothing there");
  EXPECT_EQ(verdict("json $.list == x", seen), "expected json $.list == x, got an array");
  EXPECT_EQ(verdict("json $.ok contains tr", seen), "expected json $.ok contains tr, got true");
}

TEST(Evaluator, AJsonPathThatLeadsNowhereSatisfiesOnlyNotExists) {
  const Observation seen = response(200, R"({"a": 1})");
  EXPECT_EQ(verdict("json $.b != 1", seen), "expected json $.b != 1, got nothing there");
  EXPECT_NE(verdict("json $.b not contains x", seen), "holds");
  EXPECT_EQ(verdict("json $.b not exists", seen), "holds");
  EXPECT_EQ(verdict("json $.a not exists", seen), "expected json $.a not exists, got 1");
}

TEST(Evaluator, ABodyThatIsNotJsonFailsEveryJsonAssertion) {
  for (const char* body : {"", "{", "<html>", "{\"a\": 1} x", "{\"a\": \"\xff\"}"}) {
    EXPECT_NE(verdict("json $.a not exists", response(200, body)), "holds") << body;
  }
  std::string deep(3000, '[');
  EXPECT_NE(verdict("json $[0] exists", response(200, deep + std::string(3000, ']'))), "holds");
}

TEST(Evaluator, JudgesTheCertificateByTheGivenTime) {
  Observation seen = response(200);
  EXPECT_EQ(verdict("certificate expires in > 14d", seen),
            "expected certificate expires in > 14d, got no certificate");
  seen.tls.emplace();
  seen.tls->not_after = kNow + Duration{15 * 24h};
  EXPECT_EQ(verdict("certificate expires in > 14d", seen), "holds");
  seen.tls->not_after = kNow + Duration{14 * 24h};
  EXPECT_EQ(verdict("certificate expires in > 14d", seen),
            "expected certificate expires in > 14d, got 14d 0h");
  seen.tls->not_after = kNow - Duration{2h};
  EXPECT_EQ(verdict("certificate expires in > 14d", seen),
            "expected certificate expires in > 14d, got expired 2h 0m ago");
}

TEST(Evaluator, ReadsDnsAnswers) {
  const Observation seen =
      answer("NOERROR", {{"example.com", DnsType::kCname, 60, "www.example.com."},
                         {"www.example.com", DnsType::kA, 60, "192.0.2.1"},
                         {"www.example.com", DnsType::kA, 60, "192.0.2.2"}});
  EXPECT_EQ(dns_verdict("dns rcode == NOERROR", seen), "holds");
  EXPECT_EQ(dns_verdict("dns rcode != NOERROR", seen),
            "expected dns rcode != NOERROR, got NOERROR");
  EXPECT_EQ(dns_verdict("dns count == 2", seen), "holds");
  EXPECT_EQ(dns_verdict("dns record == 192.0.2.2", seen), "holds");
  EXPECT_EQ(dns_verdict("dns record contains 203.0.113.9", seen),
            "expected dns record contains 203.0.113.9, got www.example.com., 192.0.2.1, 192.0.2.2");
  EXPECT_NE(dns_verdict("dns record != 192.0.2.2", seen), "holds");
  EXPECT_EQ(dns_verdict("dns rcode == NXDOMAIN", answer("NXDOMAIN")), "holds");
  EXPECT_EQ(dns_verdict("dns record not contains 192.0.2.9", answer("NXDOMAIN")), "holds");
  EXPECT_EQ(dns_verdict("dns record not contains 192.0.2.9", answer("SERVFAIL")),
            "expected dns record not contains 192.0.2.9, got SERVFAIL");
}

TEST(Evaluator, RefusesWhatItDoesNotKnowInsteadOfPassingIt) {
  ProbeSpec spec = http_spec({"status == 200"});
  spec.assertions.all[0].compare = static_cast<Compare>(77);
  const auto refused = Evaluator::compile(spec);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().text, "assert[0]: operator 77 (?) is not known after 'status'");
  spec = http_spec({}, {"latency > 1s"});
  spec.degraded[0].subject = static_cast<Subject>(77);
  EXPECT_FALSE(Evaluator::compile(spec));
  spec = http_spec({"status == 200"});
  spec.assertions.all.resize(33, spec.assertions.all[0]);
  EXPECT_EQ(Evaluator::compile(spec).error().code, Errc::kLimit);
}

TEST(Evaluator, MissingFactsNeverPass) {
  for (const char* text :
       {"status == 200", "status != 200", "header a not exists", "body not contains x",
        "json $.a not exists", "http version != 2", "redirects < 5"}) {
    EXPECT_NE(verdict(text, Observation{}), "holds") << text;
  }
  for (const char* text : {"dns rcode != SERVFAIL", "dns record != x", "dns count < 9"}) {
    EXPECT_NE(dns_verdict(text, Observation{}), "holds") << text;
  }
}

TEST(Evaluator, CatastrophicPatternsStayLinear) {
  const std::string body(200'000, 'a');
  EXPECT_NE(verdict("body matches \"(a+)+b\"", response(200, body)), "holds");
}

TEST(Evaluator, KnowsWhichSpecsNeedTheBody) {
  EXPECT_TRUE(looks_at_body(http_spec({"body contains x"})));
  EXPECT_TRUE(looks_at_body(http_spec({}, {"json $.slow == true"})));
  EXPECT_FALSE(looks_at_body(http_spec({"status == 200"})));
}

}  // namespace
}  // namespace tocsin::assertion
