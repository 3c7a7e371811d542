#include "common/assert/parser.h"

#include <gtest/gtest.h>

namespace tocsin::assertion {
namespace {

const Target kHttp = HttpTarget{};
const Target kTcp = TcpTarget{};
const Target kDns = DnsTarget{};

std::string error_of(std::string_view text, const Target& target) {
  const auto condition = parse_condition(text, target);
  return condition ? "accepted" : condition.error().text;
}

TEST(Parser, ReadsEveryLineOfTheDocumentedExample) {
  struct Row {
    std::string text;
    const Target& target;
    Condition expected;
  };

  const Row rows[] = {
      {"status == 200", kHttp, {Subject::kStatus, "", Compare::kEq, 200.0, Null{}, ""}},
      {"status in 200..299", kHttp, {Subject::kStatus, "", Compare::kInRange, 200.0, 299.0, ""}},
      {"header Content-Type contains json",
       kHttp,
       {Subject::kHeader, "content-type", Compare::kContains, std::string{"json"}, Null{}, ""}},
      {"header x-cache exists",
       kHttp,
       {Subject::kHeader, "x-cache", Compare::kExists, Null{}, Null{}, ""}},
      {"json $.ok == true", kHttp, {Subject::kJson, "$.ok", Compare::kEq, true, Null{}, ""}},
      {"json $.n >= -1.5e3", kHttp, {Subject::kJson, "$.n", Compare::kGe, -1500.0, Null{}, ""}},
      {"json $.v == \"1\"",
       kHttp,
       {Subject::kJson, "$.v", Compare::kEq, std::string{"1"}, Null{}, ""}},
      {"json $[\"a b\"] not exists",
       kHttp,
       {Subject::kJson, "$[\"a b\"]", Compare::kNotExists, Null{}, Null{}, ""}},
      {"json $['a b'][0] exists",
       kHttp,
       {Subject::kJson, "$['a b'][0]", Compare::kExists, Null{}, Null{}, ""}},
      {"json $.gone == null", kHttp, {Subject::kJson, "$.gone", Compare::kEq, Null{}, Null{}, ""}},
      {"body matches \"ready|ok\"",
       kHttp,
       {Subject::kBody, "", Compare::kMatches, std::string{"ready|ok"}, Null{}, ""}},
      {R"(body matches "a\d+\"x\"")",
       kHttp,
       {Subject::kBody, "", Compare::kMatches, std::string{R"(a\d+"x")"}, Null{}, ""}},
      {R"(body contains "a\n\"b\\")",
       kHttp,
       {Subject::kBody, "", Compare::kContains, std::string{"a\n\"b\\"}, Null{}, ""}},
      {"body not contains error",
       kHttp,
       {Subject::kBody, "", Compare::kNotContains, std::string{"error"}, Null{}, ""}},
      {"latency < 2s", kHttp, {Subject::kLatency, "", Compare::kLt, Duration{2s}, Null{}, ""}},
      {"phase tls < 500ms",
       kHttp,
       {Subject::kPhase, "tls", Compare::kLt, Duration{500ms}, Null{}, ""}},
      {"certificate expires in > 14d",
       kHttp,
       {Subject::kCertificateExpiry, "", Compare::kGt, Duration{14 * 24h}, Null{}, ""}},
      {"http version == 1.1",
       kHttp,
       {Subject::kHttpVersion, "", Compare::kEq, std::string{"1.1"}, Null{}, ""}},
      {"redirects <= 2", kHttp, {Subject::kRedirects, "", Compare::kLe, 2.0, Null{}, ""}},
      {"phase connect < 1s",
       kTcp,
       {Subject::kPhase, "connect", Compare::kLt, Duration{1s}, Null{}, ""}},
      {"dns rcode == NOERROR",
       kDns,
       {Subject::kDnsRcode, "", Compare::kEq, std::string{"NOERROR"}, Null{}, ""}},
      {"dns record contains \"192.0.2.1\"",
       kDns,
       {Subject::kDnsRecord, "", Compare::kContains, std::string{"192.0.2.1"}, Null{}, ""}},
      {"dns count >= 1", kDns, {Subject::kDnsCount, "", Compare::kGe, 1.0, Null{}, ""}},
  };
  for (const Row& row : rows) {
    const auto parsed = parse_condition(row.text, row.target);
    ASSERT_TRUE(parsed) << row.text << ": " << parsed.error().text;
    Condition expected = row.expected;
    expected.text = row.text;
    EXPECT_EQ(*parsed, expected) << row.text;
    EXPECT_TRUE(check_condition(*parsed, row.target)) << row.text;
  }
}

TEST(Parser, SaysTheColumnAndWhatWasExpected) {
  EXPECT_EQ(error_of("status = 200", kHttp),
            "column 8: expected one of ==, !=, <, <=, >, >=, in after 'status', not '='");
  EXPECT_EQ(error_of("status == ok", kHttp), "column 11: expected a whole number, not 'ok'");
  EXPECT_EQ(error_of("status == 99", kHttp), "column 11: expected a status from 100 to 599");
  EXPECT_EQ(error_of("status in 299..200", kHttp),
            "column 11: expected a range whose end is not before its start");
  EXPECT_EQ(error_of("status ==", kHttp),
            "column 10: expected something to compare with after '=='");
  EXPECT_EQ(error_of("status == 200 now", kHttp),
            "column 15: expected the end, not 'now' (put a text with blanks in quotes)");
  EXPECT_EQ(error_of("latency < 2", kHttp),
            "column 11: expected a duration such as 500ms, 2s or 14d, not '2'");
  EXPECT_EQ(error_of("phase tsl < 2s", kHttp),
            "column 7: expected dns, connect, tls, send, wait or receive, not 'tsl'");
  EXPECT_EQ(error_of("certificate expires > 14d", kHttp),
            "column 21: expected in after 'certificate expires', not '>'");
  EXPECT_EQ(error_of("body contains \"x", kHttp), "column 15: this text has no closing '\"'");
  EXPECT_EQ(error_of("body contains \"x\\", kHttp), "column 15: this text has no closing '\"'");
  EXPECT_EQ(error_of(R"(body contains "a\q")", kHttp),
            R"(column 17: unknown escape: expected \" \\ \n \r or \t)");
  EXPECT_EQ(error_of("body matches \"(\"", kHttp),
            "column 14: '(' is not a regular expression: missing ): (");
  EXPECT_EQ(error_of("json ok == true", kHttp),
            "column 6: JSON path 'ok': expected '$' at the start of a JSON path at byte 1");
  EXPECT_EQ(error_of("json $.n < many", kHttp), "column 12: expected a number, not 'many'");
  EXPECT_EQ(error_of("dns rcode == OK", kDns),
            "column 14: expected a response code such as NOERROR, NXDOMAIN or SERVFAIL");
  EXPECT_EQ(error_of("statsu == 200", kHttp),
            "column 1: expected one of status, header, body, json, http version, redirects, "
            "certificate expires in, certificate chain expires in, tls version, tls cipher, "
            "tls alpn, latency, phase, length json, length body, address, connected, "
            "not 'statsu' (did you mean status?)");
  EXPECT_EQ(error_of("", kTcp),
            "column 1: expected one of latency, phase, address, connected, not the end");
}

TEST(Parser, KnowsWhichKindOfMonitorHasWhat) {
  EXPECT_EQ(error_of("status == 200", kTcp),
            "column 1: a tcp monitor has no 'status': expected one of latency, phase, address, "
            "connected");
  EXPECT_EQ(error_of("dns rcode == NOERROR", kHttp),
            "column 1: a http monitor has no 'dns': expected one of status, header, body, json, "
            "http version, redirects, certificate expires in, certificate chain expires in, "
            "tls version, tls cipher, tls alpn, latency, phase, length json, "
            "length body, address, connected");
  EXPECT_NE(error_of("body contains x", kDns), "accepted");
  TcpTarget upgraded;
  upgraded.starttls = StartTls::kSmtp;
  EXPECT_EQ(error_of("certificate chain expires in > 14d", Target{upgraded}), "accepted");
  EXPECT_EQ(error_of("tls version >= 1.2", Target{TlsTarget{}}), "accepted");
  for (const char* text : {"certificate expires in > 14d", "tls version >= 1.2"}) {
    EXPECT_EQ(error_of(text, Target{DnsTarget{.transport = DnsTransport::kTls}}), "accepted");
    EXPECT_NE(error_of(text, kDns), "accepted") << "it could never hold";
  }
  EXPECT_EQ(error_of("tls version >= 1.1", Target{TlsTarget{}}),
            "column 16: expected 1.2 or 1.3, not '1.1'");
}

TEST(Parser, RefusesOperatorsThatTheSubjectDoesNotHave) {
  for (const char* text :
       {"status contains 2", "status matches 2", "latency == 2s", "latency in 1s..2s",
        "header a < b", "body exists", "json $.a in 1..2", "status not == 200", "body not \"x\"",
        "json $.a contains", "header exists", "header a", "status exists", "redirects == -1",
        "status == 2.5", "status == \"200\"", "latency < \"2s\"", "body contains \"\"",
        "http version == 3"}) {
    EXPECT_NE(error_of(text, kHttp), "accepted") << text;
  }
}

TEST(Parser, ReadsGatusConditionsAsTheSameTree) {
  const auto same = [](std::string_view gatus, std::string_view ours, const Target& target) {
    const auto left = parse_condition(gatus, target);
    const auto right = parse_condition(ours, target);
    ASSERT_TRUE(left) << gatus << ": " << left.error().text;
    ASSERT_TRUE(right) << ours << ": " << right.error().text;
    Condition expected = *right;
    expected.text = gatus;
    EXPECT_EQ(*left, expected) << gatus;
    EXPECT_TRUE(check_condition(*left, target)) << gatus;
  };
  same("[STATUS] == 200", "status == 200", kHttp);
  same("[STATUS] <= 299", "status <= 299", kHttp);
  same("[RESPONSE_TIME] < 500", "latency < 500ms", kHttp);
  same("[RESPONSE_TIME] < 2s", "latency < 2s", kTcp);
  same("[BODY] == a b \"c\"", R"(body == "a b \"c\"")", kHttp);
  same("[BODY] != pat(a.*)", R"(body not matches "(?s)\Aa\..*\z")", kHttp);
  same("[BODY].a[0].b == x y", "json $.a[0].b == \"x y\"", kHttp);
  same("[BODY][1] == true", "json $[1] == true", kHttp);
  same("[BODY].n >= 3", "json $.n >= 3", kHttp);
  same("[BODY].n == \"3\"", "json $.n == \"3\"", kHttp);
  same("len([BODY].items) > 2", "length json $.items > 2", kHttp);
  same("len([BODY]) < 100", "length body < 100", kHttp);
  same("has([BODY].error) == false", "json $.error not exists", kHttp);
  same("has([BODY].error) != false", "json $.error exists", kHttp);
  same("[IP] == 192.0.2.1", "address == 192.0.2.1", kTcp);
  same("[CONNECTED] == true", "connected == true", kTcp);
  same("[CERTIFICATE_EXPIRATION] > 48h", "certificate expires in > 48h", kHttp);
  same("[DNS_RCODE] == NXDOMAIN", "dns rcode == NXDOMAIN", kDns);
  same("[BODY] == 192.0.2.1", "dns record == 192.0.2.1", kDns);
}

TEST(Parser, ReadsAnyAsAGroup) {
  const auto any = parse_condition("[STATUS] == any(200, 204)", kHttp);
  ASSERT_TRUE(any);
  EXPECT_EQ(any->group, GroupKind::kOr);
  EXPECT_EQ(any->text, "[STATUS] == any(200, 204)");
  ASSERT_EQ(any->parts.size(), 2U);
  EXPECT_EQ(any->parts[1].operand, Operand{204.0});
  const auto none = parse_condition("[BODY].s != any(a, pat(b,*))", kHttp);
  ASSERT_TRUE(none) << none.error().text;
  EXPECT_EQ(none->group, GroupKind::kAnd);
  EXPECT_EQ(none->parts.at(1).compare, Compare::kNotMatches);
}

TEST(Parser, SaysTheColumnInGatusConditionsToo) {
  EXPECT_EQ(error_of("[STATUS]", kHttp),
            "column 9: expected ==, !=, <, <=, > or >= between blanks, and a value");
  EXPECT_EQ(error_of("[STATUS]==200", kHttp),
            "column 14: expected ==, !=, <, <=, > or >= between blanks, and a value");
  EXPECT_EQ(error_of("[STATUS] ~ 200", kHttp).substr(0, 21), "column 15: expected =");
  EXPECT_EQ(error_of("[STATSU] == 200", kHttp),
            "column 1: expected [STATUS], [BODY], [RESPONSE_TIME], [IP], [CONNECTED], "
            "[CERTIFICATE_EXPIRATION] or [DNS_RCODE], not '[STATSU]'");
  EXPECT_EQ(error_of("[STATUS] == ok", kHttp), "column 13: expected a whole number, not 'ok'");
  EXPECT_EQ(error_of("[STATUS] == any(200, 999)", kHttp),
            "column 22: expected a status from 100 to 599");
  EXPECT_EQ(error_of("[STATUS] == any()", kHttp), "column 17: expected a value in any()");
  EXPECT_EQ(error_of("[STATUS] < any(200)", kHttp), "column 10: expected == or != before any()");
  EXPECT_EQ(error_of("[STATUS] == pat(2*)", kHttp),
            "column 10: 'pat()' cannot be used with [STATUS]");
  EXPECT_EQ(error_of("[RESPONSE_TIME] == 5", kHttp),
            "column 17: '==' cannot be used with [RESPONSE_TIME]");
  EXPECT_EQ(error_of("[DOMAIN_EXPIRATION] > 48h", kHttp),
            "column 1: [DOMAIN_EXPIRATION] is not supported: no registry is asked");
  EXPECT_EQ(error_of("has([BODY]) == true", kHttp), "column 5: expected [BODY].path in has()");
  EXPECT_EQ(error_of("len([STATUS]) == 3", kHttp),
            "column 5: expected [BODY] or [BODY].path in len()");
  EXPECT_EQ(error_of("[CONNECTED] == false", kTcp),
            "column 16: expected true: a target that cannot be reached is down before it is "
            "asserted on");
  EXPECT_EQ(error_of("[STATUS] == 200", kTcp),
            "column 1: a tcp monitor has no [STATUS]: expected one of latency, phase, address, "
            "connected");
  EXPECT_NE(error_of("[STATUS] == any(" + std::string(40, '1') + ")", kHttp), "accepted");
  std::string many = "[STATUS] == any(200";
  for (int i = 0; i < 16; ++i) many += ",200";
  EXPECT_EQ(error_of(many + ")", kHttp), "column 13: expected at most 16 values in any()");
}

TEST(Parser, SplitsTheColumnFromTheText) {
  const auto wrong = parse_condition("status == ok", kHttp);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(split_column(wrong.error()),
            (std::pair<std::size_t, std::string_view>{11, "expected a whole number, not 'ok'"}));
  EXPECT_EQ(split_column({Errc::kInvalid, "column of smoke"}).first, 0U);
}

TEST(Parser, RefusesControlsBadUtf8AndTooMuch) {
  EXPECT_EQ(error_of("status\t== 200", kHttp),
            "column 7: a control character is not allowed: write it as an escape in quotes");
  EXPECT_EQ(error_of("body contains \xff", kHttp), "column 1: expected UTF-8");
  EXPECT_NE(error_of("body contains " + std::string(kConditionSizeMax, 'x'), kHttp), "accepted");
  EXPECT_NE(error_of("body matches " + std::string(kPatternSizeMax + 1, 'x'), kHttp), "accepted");
}

TEST(Parser, ConditionsFromElsewhereObeyTheSameTable) {
  const Condition good = *parse_condition("status == 200", kHttp);
  EXPECT_TRUE(check_condition(good, kHttp));
  Condition c = good;
  c.compare = static_cast<Compare>(99);
  EXPECT_EQ(check_condition(c, kHttp).error().code, Errc::kUnsupported);
  c = good;
  c.subject = static_cast<Subject>(99);
  EXPECT_EQ(check_condition(c, kHttp).error().code, Errc::kUnsupported);
  c = good;
  c.operand = std::string{"200"};
  EXPECT_FALSE(check_condition(c, kHttp));
  c = good;
  c.operand = Null{};
  EXPECT_FALSE(check_condition(c, kHttp));
  c = good;
  c.selector = "x";
  EXPECT_FALSE(check_condition(c, kHttp));
  EXPECT_FALSE(check_condition(good, kTcp));
  c = *parse_condition("json $.a matches x", kHttp);
  c.operand = true;
  EXPECT_FALSE(check_condition(c, kHttp));
  c = *parse_condition("header a exists", kHttp);
  c.operand = 1.0;
  EXPECT_FALSE(check_condition(c, kHttp));
}

}  // namespace
}  // namespace tocsin::assertion
