#include "agent/app/check_request.h"

#include <gtest/gtest.h>

namespace tocsin::agent {
namespace {

std::string error_of(const std::vector<std::string>& words) {
  const auto request = parse_check_request(words);
  return request ? "accepted" : request.error().text;
}

TEST(CheckRequest, AUrlIsEnough) {
  const auto request = parse_check_request({"http://127.0.0.1:7480/health"});
  ASSERT_TRUE(request);
  HttpTarget expected;
  expected.url = "http://127.0.0.1:7480/health";
  EXPECT_EQ(request->spec.target, Target{expected});
  EXPECT_EQ(request->spec.retry.retries, 0);
  EXPECT_EQ(request->spec.timeout, Duration{10s});
  EXPECT_FALSE(request->json);
}

TEST(CheckRequest, EveryKindOfTargetHasAUrl) {
  EXPECT_EQ(parse_check_request({"tcp://db.example:5432"})->spec.target,
            (Target{TcpTarget{"db.example", 5432, "", ""}}));
  EXPECT_EQ(parse_check_request({"tcp://[::1]:80"})->spec.target,
            (Target{TcpTarget{"::1", 80, "", ""}}));
  EXPECT_EQ(parse_check_request({"dns:///example.com"})->spec.target,
            (Target{DnsTarget{"example.com", DnsType::kA, "", false}}));
  EXPECT_EQ(parse_check_request({"dns://[::1]:5353/example.com?type=mx"})->spec.target,
            (Target{DnsTarget{"example.com", DnsType::kMx, "[::1]:5353", false}}));
}

TEST(CheckRequest, OptionsStandBeforeOrAfterTheUrlAndWithOrWithoutEquals) {
  const auto request = parse_check_request(
      {"--timeout=2s", "--assert", "status == 200", "-6", "https://a.example/", "--json",
       "--assert", "latency < 1s", "--degraded=latency > 100ms", "--header", "X-A:  b",
       "--redirects", "0", "--insecure", "--resolver", "192.0.2.1"});
  ASSERT_TRUE(request) << request.error().text;
  const auto& http = std::get<HttpTarget>(request->spec.target);
  EXPECT_EQ(request->spec.timeout, Duration{2s});
  EXPECT_EQ(request->spec.assertions.all.size(), 2U);
  EXPECT_EQ(request->spec.degraded.size(), 1U);
  EXPECT_EQ(request->spec.family, IpFamily::kV6);
  EXPECT_EQ(http.headers, (std::vector<Header>{{"X-A", "b"}}));
  EXPECT_EQ(http.redirects_max, 0);
  EXPECT_FALSE(http.verify);
  EXPECT_TRUE(request->json);
  EXPECT_EQ(request->resolver, *io::DnsServer::parse("192.0.2.1"));
}

TEST(CheckRequest, ABodyMakesItAPost) {
  EXPECT_EQ(
      std::get<HttpTarget>(parse_check_request({"http://a/", "--body", "x"})->spec.target).method,
      "POST");
}

TEST(CheckRequest, SaysWhatIsWrong) {
  EXPECT_EQ(error_of({}), "expected a URL; see check --help");
  EXPECT_EQ(error_of({"example.com"}),
            "'example.com': expected http://, https://, tcp:// or dns:// at the start");
  EXPECT_EQ(error_of({"http://a/", "http://b/"}),
            "unexpected argument 'http://b/': one URL at a time");
  EXPECT_EQ(error_of({"http://a/", "--timeot", "2s"}),
            "unknown option --timeot; did you mean --timeout?");
  EXPECT_EQ(error_of({"http://a/", "--timeout"}), "--timeout needs a value");
  EXPECT_EQ(error_of({"http://a/", "--json=x"}), "--json takes no value");
  EXPECT_EQ(error_of({"http://a/", "--assert", "status = 200"}),
            "--assert 'status = 200': column 8: expected one of ==, !=, <, <=, >, >=, in after "
            "'status', not '='");
  EXPECT_EQ(error_of({"tcp://a:1", "--header", "A: b"}), "--header is for http and https");
  EXPECT_EQ(error_of({"http://a/", "--expect", "x"}), "--expect is for tcp");
  EXPECT_EQ(error_of({"http://a/", "--timeout", "1h"}), "--timeout: expected 10ms to 5m");
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"tcp://a"},
                                             {"tcp://a:0"},
                                             {"tcp://a:1/x"},
                                             {"tcp://[::1]"},
                                             {"dns://a"},
                                             {"dns:///"},
                                             {"dns://ns.example/a"},
                                             {"dns:///a?type=NONE"},
                                             {"dns:///a?x"},
                                             {"dns:///a..b"},
                                             {"http://0x7f.1/"},
                                             {"http://a/", "--method", "BREW"},
                                             {"http://a/", "--header", "none"},
                                             {"http://a/", "--redirects", "99"}}) {
    EXPECT_NE(error_of(words), "accepted") << words.back();
  }
}

}  // namespace
}  // namespace tocsin::agent
