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
            (Target{DnsTarget{.name = "example.com"}}));
  EXPECT_EQ(
      parse_check_request({"dns://[::1]:5353/example.com?type=mx"})->spec.target,
      (Target{DnsTarget{.name = "example.com", .type = DnsType::kMx, .resolver = "[::1]:5353"}}));
}

TEST(CheckRequest, ADnsUrlSaysEverythingADnsMonitorCan) {
  EXPECT_EQ(parse_check_request({"dns://192.0.2.53/old.example?type=AAAA&transport=tls&server_name="
                                 "dns.example&verify=false&recursion=false&dnssec=true&rcode="
                                 "NXDOMAIN"})
                ->spec.target,
            (Target{DnsTarget{.name = "old.example",
                              .type = DnsType::kAaaa,
                              .resolver = "192.0.2.53",
                              .transport = DnsTransport::kTls,
                              .server_name = "dns.example",
                              .verify = false,
                              .recursion = false,
                              .dnssec = true,
                              .rcode = "NXDOMAIN"}}));
  EXPECT_EQ(error_of({"dns:///a?typ=MX"}),
            "expected FIELD=VALUE after the name, not 'typ'; did you mean type?");
  EXPECT_EQ(error_of({"dns:///a?transport=quic"}),
            "transport: expected udp, tcp or tls, not 'quic'");
  EXPECT_EQ(error_of({"dns:///a?dnssec=yes"}), "dnssec: expected true or false, not 'yes'");
  EXPECT_EQ(error_of({"dns:///a?transport=tls"}),
            "resolver: expected an address: the system's resolver is not asked over TLS");
  EXPECT_EQ(error_of({"dns://192.0.2.1/a?server_name=b"}),
            "transport: expected tls, because server_name, verify or ca is given");
  EXPECT_EQ(error_of({"dns:///a?rcode=nxdomain"}),
            "rcode: expected a response code such as NOERROR or NXDOMAIN, not 'nxdomain'");
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

TEST(CheckRequest, TlsAndStarttlsHaveTheirOptions) {
  TlsTarget tls;
  tls.host = "mx.example";
  EXPECT_EQ(parse_check_request({"tls://mx.example"})->spec.target, Target{tls});
  tls.port = 25;
  tls.starttls = StartTls::kSmtp;
  tls.server_name = "a.example";
  tls.alpn = {"h2", "http/1.1"};
  tls.tls13_only = true;
  tls.verify = false;
  EXPECT_EQ(parse_check_request({"tls://mx.example:25", "--starttls", "smtp", "--server-name",
                                 "a.example", "--alpn", "h2", "--alpn=http/1.1", "--min-version",
                                 "1.3", "--insecure"})
                ->spec.target,
            Target{tls});
  const auto tcp =
      parse_check_request({"tcp://mx:25", "--starttls=smtp", "--send", "NOOP\\r\\n", "--insecure"});
  ASSERT_TRUE(tcp) << tcp.error().text;
  EXPECT_EQ(std::get<TcpTarget>(tcp->spec.target).send, "NOOP\r\n");
  EXPECT_EQ(error_of({"tcp://mx:25", "--server-name", "a"}),
            "--server-name is for tls, and for tcp with --starttls");
  EXPECT_EQ(error_of({"tcp://mx:25", "--alpn", "h2"}), "--alpn is for tls");
  for (const std::string url : {"tls://a", "https://a/"}) {
    EXPECT_EQ(ocsp_mode(parse_check_request({url, "--ocsp", "check"})->spec.target),
              OcspMode::kCheck);
    EXPECT_EQ(error_of({url, "--ocsp=require", "--insecure"}).substr(0, 37),
              "ocsp: expected off with verify: false");
  }
  EXPECT_EQ(
      ocsp_mode(
          parse_check_request({"tcp://mx:25", "--starttls=smtp", "--ocsp=require"})->spec.target),
      OcspMode::kRequire);
  EXPECT_EQ(error_of({"tcp://mx:25", "--ocsp", "check"}),
            "--ocsp is for tls, and for tcp with --starttls");
  EXPECT_EQ(error_of({"http://a/", "--ocsp", "check"}),
            "ocsp: expected off with http://: only TLS has certificates");
  EXPECT_EQ(error_of({"tls://a", "--ocsp", "off"}),
            "--ocsp: expected one of check, require, not 'off'");
  EXPECT_EQ(error_of({"dns:///a", "--insecure"}), "--insecure is for http, https and tls");
  EXPECT_EQ(error_of({"http://a/", "--starttls", "smtp"}), "--starttls is for tcp and tls");
  EXPECT_EQ(error_of({"tls://a/path"}), "expected tls://HOST[:PORT], not 'tls://a/path'");
  EXPECT_EQ(error_of({"tls://a", "--starttls", "ftp"}),
            "--starttls: expected smtp, imap, pop3 or postgres, not 'ftp'");
}

TEST(CheckRequest, ABodyMakesItAPost) {
  EXPECT_EQ(
      std::get<HttpTarget>(parse_check_request({"http://a/", "--body", "x"})->spec.target).method,
      "POST");
}

TEST(CheckRequest, SaysWhatIsWrong) {
  EXPECT_EQ(error_of({}), "expected a URL; see check --help");
  EXPECT_EQ(error_of({"example.com"}),
            "'example.com': expected http://, https://, tcp://, tls:// or dns:// at the start");
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
