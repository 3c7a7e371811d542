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
  spec.target = DnsTarget{.name = "example.com"};
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
  for (const DnsRecord& record : seen.dns->answers) {
    if (record.type == DnsType::kA || record.type == DnsType::kAaaa) ++seen.dns->count;
  }
  return seen;
}

Finding judge(const ProbeSpec& spec, const Observation& seen) {
  const auto evaluator = Evaluator::compile(spec);
  EXPECT_TRUE(evaluator) << (evaluator ? "" : evaluator.error().text);
  return evaluator->judge(seen, kNow);
}

/// What the only condition of a spec says: "holds", or the detail of its finding without the place,
/// which is known.
std::string verdict_of(const ProbeSpec& spec, const Observation& seen) {
  constexpr std::string_view kPlace = " (assert[0])";
  const Finding f = judge(spec, seen);
  if (f.outcome == Outcome::kUp) return "holds";
  if (!f.detail.ends_with(kPlace)) return f.detail;
  return f.detail.substr(0, f.detail.size() - kPlace.size());
}

std::string verdict(const std::string& condition, const Observation& seen) {
  return verdict_of(http_spec({condition}), seen);
}

std::string dns_verdict(const std::string& condition, const Observation& seen) {
  return verdict_of(dns_spec({condition}), seen);
}

Condition condition(const std::string& text, const Target& target = HttpTarget{}) {
  const auto parsed = parse_condition(text, target);
  EXPECT_TRUE(parsed) << text << (parsed ? "" : ": " + parsed.error().text);
  return parsed ? *parsed : Condition{};
}

Condition group(GroupKind kind, std::vector<Condition> parts) {
  Condition out;
  out.group = kind;
  out.parts = std::move(parts);
  return out;
}

/// The detail of a spec with this one condition after one that holds.
std::string group_verdict(Condition c, const Observation& seen) {
  ProbeSpec spec = http_spec({"latency < 1h"});
  spec.assertions.all.push_back(std::move(c));
  const Finding f = judge(spec, seen);
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
  EXPECT_EQ(judge(dns_spec({}), answer("NXDOMAIN")),
            (Finding{Outcome::kDown, Reason::kDnsNxdomain,
                     "expected dns rcode == NOERROR, got NXDOMAIN"}));
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
            (Finding{Outcome::kDown, Reason::kAssertStatus,
                     "expected status == 200, got 503 (assert[1])"}));
}

TEST(Evaluator, DegradedAppliesOnlyToWhatPasses) {
  const ProbeSpec spec = http_spec({"status == 200"}, {"latency > 800ms"});
  EXPECT_EQ(judge(spec, response(200)), (Finding{Outcome::kDegraded, Reason::kAssertLatency,
                                                 "latency > 800ms: 900.0ms (degraded[0])"}));
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

TEST(Evaluator, ExactlyAtAThresholdTheWrittenSideDecides) {
  Observation seen = response(200);
  seen.phases.total_us = 2'000'000;
  EXPECT_NE(verdict("latency < 2s", seen), "holds");
  EXPECT_EQ(verdict("latency <= 2s", seen), "holds");
  EXPECT_EQ(judge(http_spec({}, {"latency > 2s"}), seen).outcome, Outcome::kUp);
  EXPECT_EQ(judge(http_spec({}, {"latency >= 2s"}), seen).outcome, Outcome::kDegraded);
  seen.phases.total_us = 1'999'999;
  EXPECT_EQ(verdict("latency < 2s", seen), "holds");
  seen.phases.total_us = 2'000'001;
  EXPECT_EQ(judge(http_spec({}, {"latency > 2s"}), seen).outcome, Outcome::kDegraded);
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

TEST(Evaluator, JudgesTheChainAndTheConnectionOfTls) {
  Observation seen;
  EXPECT_EQ(verdict("tls version >= 1.2", seen), "expected tls version >= 1.2, got no TLS");
  seen.tls.emplace();
  seen.tls->not_after = kNow + Duration{90 * 24h};
  seen.tls->chain_not_after = kNow + Duration{3 * 24h};
  seen.tls->version = "TLSv1.2";
  seen.tls->cipher = "ECDHE-RSA-AES128-GCM-SHA256";
  EXPECT_EQ(verdict("certificate expires in > 14d", seen), "holds");
  EXPECT_EQ(verdict("certificate chain expires in > 14d", seen),
            "expected certificate chain expires in > 14d, got 3d 0h");
  EXPECT_EQ(verdict("tls version >= 1.2", seen), "holds");
  EXPECT_EQ(verdict("tls version == 1.3", seen), "expected tls version == 1.3, got 1.2");
  EXPECT_EQ(verdict("tls cipher contains GCM", seen), "holds");
  EXPECT_EQ(verdict("tls alpn == h2", seen), "expected tls alpn == h2, got none");
}

TEST(Evaluator, ABadCertificateIsJudgedByWhatWasAssertedOfItToo) {
  Observation seen;
  seen.failure = Failure{Reason::kTlsVerifyExpired, std::string(240, 'x')};
  seen.tls.emplace();
  seen.tls->not_after = kNow - Duration{3 * 24h};
  const std::string finding = verdict("certificate expires in > 14d", seen);
  EXPECT_TRUE(finding.ends_with("; expected certificate expires in > 14d, got expired 3d 0h ago"))
      << finding;
  seen.tls->not_after = kNow + Duration{90 * 24h};
  seen.failure->detail = "another name";
  EXPECT_EQ(verdict("certificate expires in > 14d", seen), "another name");

  // In a group all of which must hold it is no less asserted; in others it need not hold.
  ProbeSpec spec = http_spec({});
  const Condition far = condition("certificate expires in > 99d", spec.target);
  spec.assertions.all = {group(GroupKind::kAnd, {far, far})};
  EXPECT_EQ(judge(spec, seen).detail,
            "another name; expected certificate expires in > 99d, got 90d 0h");
  spec.assertions.all = {group(GroupKind::kOr, {far, far})};
  EXPECT_EQ(judge(spec, seen).detail, "another name");
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
  EXPECT_EQ(dns_verdict("dns record == www.Example.com", seen), "holds");
  EXPECT_EQ(dns_verdict("dns ttl >= 1m", seen), "holds");
  EXPECT_EQ(dns_verdict("dns ttl > 1m", seen), "expected dns ttl > 1m, got 1m 0s");
}

TEST(Evaluator, ALookupThatFailedIsNeverUpWhateverIsAssertedOfIt) {
  for (const char* text : {"dns record not contains 192.0.2.9", "dns count >= 0", "latency < 1h",
                           "dns flags not contains ad", "connected == true"}) {
    for (const char* rcode : {"NXDOMAIN", "SERVFAIL", "REFUSED", "FORMERR"}) {
      EXPECT_EQ(judge(dns_spec({text}), answer(rcode)),
                (Finding{Outcome::kDown, reason_of_rcode(rcode),
                         fmt::format("expected dns rcode == NOERROR, got {}", rcode)}))
          << text;
    }
  }
  for (const char* text : {"dns record not contains 192.0.2.9", "latency < 1h",
                           "dns rcode == NOERROR", "dns flags not contains ad"}) {
    EXPECT_EQ(judge(dns_spec({text}), answer("NOERROR")).reason, Reason::kDnsNodata) << text;
  }
  EXPECT_EQ(judge(dns_spec({"dns rcode != NOERROR", "dns record != x"}), answer("SERVFAIL")),
            (Finding{Outcome::kDown, Reason::kAssertDns,
                     "expected dns record != x, got SERVFAIL (assert[1])"}));
}

TEST(Evaluator, AnotherResponseCodeCanBeExpected) {
  ProbeSpec spec = dns_spec({});
  std::get<DnsTarget>(spec.target).rcode = "NXDOMAIN";
  EXPECT_EQ(judge(spec, answer("NXDOMAIN")), Finding{});
  EXPECT_EQ(
      judge(spec, answer("NOERROR")),
      (Finding{Outcome::kDown, Reason::kDnsRcode, "expected dns rcode == NXDOMAIN, got NOERROR"}));
  EXPECT_EQ(judge(spec, answer("SERVFAIL")).reason, Reason::kDnsRcode);
}

TEST(Evaluator, AnAbsenceCanBeAskedForInSoManyWords) {
  EXPECT_EQ(dns_verdict("dns count == 0", answer("NOERROR")), "holds");
  EXPECT_EQ(dns_verdict("dns rcode == NXDOMAIN", answer("NXDOMAIN")), "holds");
  ProbeSpec spec = dns_spec({});
  spec.assertions.all = {group(GroupKind::kOr, {condition("dns rcode == NXDOMAIN", spec.target),
                                                condition("dns count == 0", spec.target)})};
  EXPECT_EQ(judge(spec, answer("NXDOMAIN")), Finding{});
  EXPECT_EQ(judge(spec, answer("NOERROR")), Finding{});
  EXPECT_EQ(judge(spec, answer("SERVFAIL")).outcome, Outcome::kDown);
}

TEST(Evaluator, ReadsDnsFlagsAndAddressesInAnySpelling) {
  ProbeSpec spec = dns_spec({});
  std::get<DnsTarget>(spec.target).type = DnsType::kAaaa;
  const Observation seen = [] {
    Observation out = answer("NOERROR", {{"a.", DnsType::kAaaa, 60, "2001:db8::1"}});
    out.dns->authentic_data = true;
    out.dns->recursion_available = true;
    out.remote = "[::1]:53";
    return out;
  }();
  const auto verdict_on = [&](const std::string& text) {
    spec.assertions.all = {condition(text, spec.target)};
    return verdict_of(spec, seen);
  };
  EXPECT_EQ(verdict_on("dns record == 2001:0DB8:0::0001"), "holds");
  EXPECT_NE(verdict_on("dns record != 2001:0DB8:0::0001"), "holds");
  EXPECT_EQ(verdict_on("dns flags contains ad"), "holds");
  EXPECT_EQ(verdict_on("dns flags contains aa"), "expected dns flags contains aa, got ra ad");
  EXPECT_EQ(verdict_on("dns flags not contains aa"), "holds");
  EXPECT_EQ(verdict_on("address == 0:0:0:0:0:0:0:1"), "holds");
  EXPECT_EQ(verdict_on("address matches \"^10\\.\""),
            "expected address matches \"^10\\.\", got ::1");
}

TEST(Evaluator, CountsWhatIsInJsonAndBody) {
  const Observation seen = response(200, R"({"a": [1, 2], "o": {"x": 1}, "s": "four", "n": 7})");
  EXPECT_EQ(verdict("length json $.a == 2", seen), "holds");
  EXPECT_EQ(verdict("length json $.o in 1..1", seen), "holds");
  EXPECT_EQ(verdict("length json $.s == 4", seen), "holds");
  EXPECT_EQ(verdict("length json $.n >= 0", seen), "expected length json $.n >= 0, got 7");
  EXPECT_EQ(verdict("length json $.z >= 0", seen),
            "expected length json $.z >= 0, got nothing there");
  EXPECT_EQ(verdict("length body > 10", seen), "holds");
  EXPECT_EQ(verdict("length body < 10", response(200, "0123456789")),
            "expected length body < 10, got 10");
}

TEST(Evaluator, GroupsFollowTheirWords) {
  const Condition good = condition("status == 200");
  const Condition bad = condition("status == 204");
  const Observation seen = response(200);
  EXPECT_EQ(group_verdict(group(GroupKind::kAnd, {good, good}), seen), "holds");
  EXPECT_NE(group_verdict(group(GroupKind::kAnd, {good, bad}), seen), "holds");
  EXPECT_EQ(group_verdict(group(GroupKind::kOr, {bad, good}), seen), "holds");
  EXPECT_NE(group_verdict(group(GroupKind::kOr, {bad, bad}), seen), "holds");
  EXPECT_EQ(group_verdict(group(GroupKind::kNot, {bad}), seen), "holds");
  EXPECT_NE(group_verdict(group(GroupKind::kNot, {good}), seen), "holds");
  EXPECT_EQ(group_verdict(group(GroupKind::kNot, {group(GroupKind::kNot, {good})}), seen), "holds");
}

TEST(Evaluator, AFindingNamesTheNodeThatFailedAndWhatWasThere) {
  const Observation seen = response(503, R"({"ok": false})");
  const Condition ok = condition("json $.ok == true");
  const Condition teapot = condition("status == 418");
  const Condition broken = condition("status == 503");
  EXPECT_EQ(group_verdict(group(GroupKind::kAnd, {broken, ok}), seen),
            "expected json $.ok == true, got false (assert[1].and[1])");
  EXPECT_EQ(
      group_verdict(group(GroupKind::kOr, {teapot, group(GroupKind::kAnd, {broken, ok})}), seen),
      "or[0]: expected status == 418, got 503; or[1].and[1]: expected json $.ok == true, "
      "got false (assert[1])");
  EXPECT_EQ(group_verdict(group(GroupKind::kOr, {teapot}), seen),
            "expected status == 418, got 503 (assert[1].or[0])");
  EXPECT_EQ(group_verdict(group(GroupKind::kNot, {broken}), seen),
            "expected not status == 503, got 503 (assert[1].not)");
  EXPECT_EQ(group_verdict(group(GroupKind::kNot, {group(GroupKind::kOr, {teapot, broken})}), seen),
            "expected not status == 503, got 503 (assert[1].not.or[1])");
  EXPECT_EQ(group_verdict(group(GroupKind::kNot, {group(GroupKind::kAnd, {broken})}), seen),
            "expected not status == 503, got 503 (assert[1].not.and[0])");
}

TEST(Evaluator, ADegradedGroupSaysWhichPartHeld) {
  ProbeSpec spec = http_spec({"status == 200"});
  spec.degraded = {
      group(GroupKind::kOr, {condition("latency > 1h"), condition("header x-slow not exists")})};
  EXPECT_EQ(judge(spec, response(200)),
            (Finding{Outcome::kDegraded, Reason::kAssertHeader,
                     "header x-slow not exists: no such header (degraded[0].or[1])"}));
}

TEST(Evaluator, WhatWasNotSeenSatisfiesNeitherAConditionNorItsDenial) {
  const Observation seen = response(200, R"({"a": 1, "s": "x"})");
  for (const char* text :
       {"json $.b == 1", "json $.s > 0", "certificate expires in < 1d", "length json $.a == 0"}) {
    EXPECT_NE(group_verdict(condition(text), seen), "holds") << text;
    EXPECT_NE(group_verdict(group(GroupKind::kNot, {condition(text)}), seen), "holds") << text;
  }
  // What decides without it decides.
  const Condition nowhere = condition("json $.b == 1");
  const Condition good = condition("status == 200");
  EXPECT_EQ(group_verdict(group(GroupKind::kOr, {nowhere, good}), seen), "holds");
  EXPECT_NE(group_verdict(group(GroupKind::kAnd, {nowhere, good}), seen), "holds");
  EXPECT_EQ(
      group_verdict(group(GroupKind::kNot,
                          {group(GroupKind::kAnd, {nowhere, group(GroupKind::kNot, {good})})}),
                    seen),
      "holds");
}

TEST(Evaluator, ALongFindingKeepsItsPlace) {
  const Observation seen = response(200, std::string(5000, 'y'));
  std::vector<Condition> many(20, condition("body contains " + std::string(900, 'x')));
  const std::string detail = group_verdict(group(GroupKind::kOr, many), seen);
  EXPECT_LE(detail.size(), 256U);
  EXPECT_TRUE(detail.ends_with(" (assert[1])")) << detail;
}

TEST(Evaluator, GroupsHaveBounds) {
  ProbeSpec spec = http_spec({});
  Condition nested = condition("status == 200");
  for (std::size_t i = 0; i < Assertions::kGroupDepthMax; ++i)
    nested = group(GroupKind::kNot, {nested});
  spec.assertions.all = {nested};
  EXPECT_TRUE(Evaluator::compile(spec));
  spec.assertions.all = {group(GroupKind::kNot, {nested})};
  EXPECT_EQ(Evaluator::compile(spec).error().code, Errc::kLimit);
  spec.assertions.all = {group(
      GroupKind::kOr, std::vector<Condition>(Assertions::kNodesMax, condition("status == 200")))};
  EXPECT_EQ(Evaluator::compile(spec).error().code, Errc::kLimit);
  spec.assertions.all = {group(GroupKind::kOr, {})};
  EXPECT_EQ(Evaluator::compile(spec).error().text, "assert[0]: 'or' needs at least one condition");
  const Condition one = condition("status == 200");
  spec.assertions.all = {group(GroupKind::kNot, {one, one})};
  EXPECT_FALSE(Evaluator::compile(spec));
  spec.assertions.all = {group(static_cast<GroupKind>(9), {one})};
  EXPECT_EQ(Evaluator::compile(spec).error().code, Errc::kUnsupported);
  Condition wrong = one;
  wrong.compare = static_cast<Compare>(77);
  spec.assertions.all = {group(GroupKind::kAnd, {one, group(GroupKind::kOr, {wrong})})};
  EXPECT_EQ(Evaluator::compile(spec).error().text,
            "assert[0]: and[1]: or[0]: operator 77 (?) is not known after 'status'");
}

TEST(Evaluator, JudgesGatusConditionsAsTheyAreMeant) {
  Observation seen = response(200, R"({"user": {"name": "john"}, "items": [{"id": 7}], "n": 3})");
  seen.remote = "192.0.2.1:443";
  for (const char* text : {"[STATUS] == 200",
                           "[STATUS] == any(200, 204)",
                           "[STATUS] != any(500, 503)",
                           "[RESPONSE_TIME] < 901",
                           "[RESPONSE_TIME] <= 900ms",
                           "[BODY].user.name == john",
                           "[BODY].user.name == pat(j*n)",
                           "[BODY].user.name == any(jane, john)",
                           "[BODY].items[0].id > 6",
                           "len([BODY].items) == 1",
                           "len([BODY]) > 10",
                           "len([BODY].user.name) == 4",
                           "has([BODY].user) == true",
                           "has([BODY].error) == false",
                           "[IP] == 192.0.2.1",
                           "[IP] == pat(192.*)",
                           "[CONNECTED] == true",
                           "[BODY] == pat(*john*)",
                           "[BODY].n == 3",
                           "[BODY].n != 4"}) {
    EXPECT_EQ(verdict(text, seen), "holds") << text;
  }
  EXPECT_EQ(verdict("[RESPONSE_TIME] < 900", seen), "expected [RESPONSE_TIME] < 900, got 900.0ms");
  EXPECT_EQ(verdict("[STATUS] == any(500, 503)", seen),
            "expected [STATUS] == any(500, 503), got 200");
  EXPECT_EQ(verdict("[BODY] == pat(*j.hn*)", seen).substr(0, 31),
            "expected [BODY] == pat(*j.hn*),");
  EXPECT_EQ(verdict("has([BODY].n) == false", seen), "expected has([BODY].n) == false, got 3");
  seen.tls.emplace();
  seen.tls->not_after = kNow + Duration{48h};
  EXPECT_NE(verdict("[CERTIFICATE_EXPIRATION] > 48h", seen), "holds");
  EXPECT_EQ(verdict("[CERTIFICATE_EXPIRATION] >= 48h", seen), "holds");
  const Observation dns = answer("NOERROR", {{"a.", DnsType::kA, 60, "192.0.2.1"}});
  EXPECT_EQ(dns_verdict("[DNS_RCODE] == NOERROR", dns), "holds");
  EXPECT_EQ(dns_verdict("[DNS_RCODE] == any(NXDOMAIN, SERVFAIL)", dns),
            "expected [DNS_RCODE] == any(NXDOMAIN, SERVFAIL), got NOERROR");
  EXPECT_EQ(dns_verdict("[BODY] == 192.0.2.1", dns), "holds");
  EXPECT_EQ(dns_verdict("[BODY] == pat(192.0.*)", dns), "holds");
}

TEST(Evaluator, HeaderNamesAreComparedWithoutCase) {
  EXPECT_EQ(verdict("header CONTENT-TYPE == application/json", response(200)), "holds");
  EXPECT_EQ(verdict("header Content-Type == application/json", response(200)), "holds");
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
