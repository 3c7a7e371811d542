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
            "certificate expires in, latency, phase, not 'statsu' (did you mean status?)");
  EXPECT_EQ(error_of("", kTcp), "column 1: expected one of latency, phase, not the end");
}

TEST(Parser, KnowsWhichKindOfMonitorHasWhat) {
  EXPECT_EQ(error_of("status == 200", kTcp),
            "column 1: a tcp monitor has no 'status': expected one of latency, phase");
  EXPECT_EQ(error_of("dns rcode == NOERROR", kHttp),
            "column 1: a http monitor has no 'dns': expected one of status, header, body, json, "
            "http version, redirects, certificate expires in, latency, phase");
  EXPECT_NE(error_of("body contains x", kDns), "accepted");
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
