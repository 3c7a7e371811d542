#include "agent/app/check_report.h"

#include "common/base/strings.h"
#include "common/codec/json.h"

#include <gtest/gtest.h>

namespace tocsin::agent {
namespace {

constexpr WallTime kNow{1'795'230'000'000'000};

ProbeSpec spec_of(const std::string& url) {
  ProbeSpec out;
  HttpTarget target;
  target.url = url;
  out.target = target;
  return out;
}

Observation good() {
  Observation seen;
  seen.phases = {.connect_us = 1000,
                 .tls_us = 2000,
                 .send_us = 10,
                 .wait_us = 990,
                 .receive_us = 1000,
                 .total_us = 5000};
  seen.remote = "127.0.0.1:443";
  seen.http.emplace();
  seen.http->status = 200;
  seen.http->version = "1.1";
  seen.http->headers = {{"content-type", "text/html"}};
  seen.http->body_bytes = 615;
  seen.tls.emplace();
  seen.tls->version = "TLSv1.3";
  seen.tls->cipher = "TLS_AES_256_GCM_SHA384";
  seen.tls->subject = "CN=a.example";
  seen.tls->issuer = "CN=Root";
  seen.tls->not_after = kNow + Duration{30 * 24h};
  seen.tls->verified = true;
  return seen;
}

std::size_t widest_line(const std::string& text) {
  std::size_t widest = 0;
  for (const std::string_view line : split(text, '\n')) {
    std::size_t columns = 0;
    for (const char c : line) columns += (static_cast<std::uint8_t>(c) & 0xc0) != 0x80 ? 1U : 0U;
    widest = std::max(widest, columns);
  }
  return widest;
}

TEST(CheckReport, ShowsWhereTheTimeWentAndWhatWasSeen) {
  EXPECT_EQ(render_report(spec_of("https://a.example/"), good(), {}, kNow, false),
            "UP  https://a.example/\n"
            "\n"
            "  dns                -\n"
            "  connect      1.00 ms  ##########\n"
            "  tls          2.00 ms            ######################\n"
            "  send         0.01 ms                                  #\n"
            "  wait         0.99 ms                                  ###########\n"
            "  receive      1.00 ms                                             ###########\n"
            "  total        5.00 ms\n"
            "\n"
            "  address      127.0.0.1:443\n"
            "  http         HTTP/1.1 200, 615 bytes\n"
            "  content-type text/html\n"
            "  tls          TLSv1.3, TLS_AES_256_GCM_SHA384\n"
            "  certificate  CN=a.example, verified\n"
            "  issuer       CN=Root\n"
            "  validity     expires in 30d 0h (2026-12-21)\n");
}

TEST(CheckReport, SaysTheReasonInWords) {
  Observation seen;
  seen.phases = {.connect_us = 50, .total_us = 50};
  const Finding finding{Outcome::kDown, Reason::kConnectRefused,
                        "connect to 127.0.0.1:7: Connection refused"};
  EXPECT_TRUE(render_report(spec_of("http://127.0.0.1:7/"), seen, finding, kNow, false)
                  .starts_with("DOWN  http://127.0.0.1:7/\n"
                               "  connect.refused: nothing listens on that port\n"
                               "  connect to 127.0.0.1:7: Connection refused\n"));
  EXPECT_TRUE(render_report(spec_of("http://10.0.0.1/"), {},
                            {Outcome::kNoData, Reason::kPolicyDeniedAddress, "x"}, kNow, false)
                  .starts_with("NOT CHECKED  "));
}

TEST(CheckReport, NoLineIsLongerThanTheTerminalWhateverThePeerSays) {
  Observation seen = good();
  const std::string longest = "\x1b[2J" + std::string(3000, 'w') + "\xc3\xa9\xff";
  seen.http->headers = {{"server", longest}, {"location", longest}};
  seen.tls->subject = seen.tls->issuer = longest;
  seen.tried = {longest};
  seen.banner = longest;
  seen.dns.emplace();
  seen.dns->rcode = "NOERROR";
  seen.dns->answers.assign(64, {longest, DnsType::kTxt, 1, longest});
  const Finding finding{Outcome::kDown, Reason::kAssertBody, printable(longest, 250)};
  for (const bool utf8 : {false, true}) {
    const std::string text = render_report(spec_of("https://a.example/" + std::string(2000, 'p')),
                                           seen, finding, kNow, utf8);
    EXPECT_LE(widest_line(text), kReportColumns) << text;
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
  }
}

TEST(CheckReport, WhatWasStapledIsToldWhenItWasAskedFor) {
  Observation seen = good();
  const auto report = [&] {
    return render_report(spec_of("https://a.example/"), seen, {}, kNow, false);
  };
  const auto json = [&] {
    const auto node = codec::parse_json(render_json(spec_of("https://a.example/"), seen, {}, kNow));
    return codec::print_json(node->find("tls")->find("ocsp") == nullptr
                                 ? codec::Node{}
                                 : *node->find("tls")->find("ocsp"));
  };
  EXPECT_EQ(report().find("ocsp"), std::string::npos);
  EXPECT_EQ(json(), "null");
  seen.tls->ocsp.status = OcspStatus::kNone;
  EXPECT_NE(report().find("\n  ocsp         nothing stapled\n"), std::string::npos) << report();
  EXPECT_EQ(json(), R"({"status":"none","this_update":null,"next_update":null})");
  seen.tls->ocsp = {OcspStatus::kGood, kNow, kNow + Duration{7 * 24h}};
  EXPECT_NE(report().find("\n  ocsp         good, of 2026-11-21 until 2026-11-28\n"),
            std::string::npos)
      << report();
}

TEST(CheckReport, ShowsTheAttemptsBeforeTheOneThatPassed) {
  Attempt first;
  first.finding = {Outcome::kDown, Reason::kConnectRefused, "connect to 127.0.0.1:443 refused"};
  first.phases.total_us = 1500;
  first.remote = "127.0.0.1:443";
  const std::string text =
      render_report(spec_of("https://a.example/"), good(), {}, kNow, false, {first});
  EXPECT_TRUE(text.starts_with("UP  https://a.example/\n  recovered on attempt 2\n")) << text;
  EXPECT_NE(text.find("  attempt 1    connect.refused after 1.50 ms, 127.0.0.1:443\n"
                      "               connect to 127.0.0.1:443 refused\n"),
            std::string::npos)
      << text;
  Attempt second;
  second.start_offset_us = 1'001'500;
  const auto json = codec::parse_json(
      render_json(spec_of("https://a.example/"), good(), {}, kNow, {first, second}));
  ASSERT_TRUE(json);
  EXPECT_EQ(json->find("recovered_on_attempt")->number_value, 2);
  EXPECT_EQ(json->find("attempts")->items.size(), 2U);
}

TEST(CheckReport, SecretsOfTheRequestAreStruckOut) {
  ProbeSpec spec = spec_of("https://a.example/");
  std::get<HttpTarget>(spec.target).headers = {{"Authorization", "Bearer t0ken"}};
  Observation seen = good();
  seen.http->headers = {{"set-cookie", "s=1234"}, {"x-echo", "t0ken"}};
  seen.http->body = "you are t0ken";
  const Finding finding{Outcome::kDown, Reason::kAssertStatus, "x"};
  for (const std::string& text :
       {render_report(spec, seen, finding, kNow, false), render_json(spec, seen, finding, kNow)}) {
    EXPECT_EQ(text.find("t0ken"), std::string::npos) << text;
    EXPECT_EQ(text.find("1234"), std::string::npos) << text;
  }
}

TEST(CheckReport, WhatTheKernelKnewOfTheConnectionIsToldOfFailures) {
  Observation seen = good();
  seen.tcp = TcpFacts{
      .state = TcpState::kEstablished, .rtt_us = 12'345, .retransmissions = 3, .unacknowledged = 2};
  const ProbeSpec spec = spec_of("https://a.example/");
  const Finding slow{Outcome::kDown, Reason::kAssertLatency, "latency > 1ms: 5ms"};
  const std::string down = render_report(spec, seen, slow, kNow, true, {});
  EXPECT_NE(down.find("  tcp          established, round trip 12.35 ms, sent again 3, "
                      "unacknowledged 2\n"),
            std::string::npos)
      << down;
  EXPECT_LE(widest_line(down), kReportColumns);
  EXPECT_EQ(render_report(spec, seen, {}, kNow, true, {}).find("  tcp  "), std::string::npos);

  seen.tcp = TcpFacts{.state = TcpState::kSynSent, .retransmissions = 1};
  const std::string lost = render_report(spec, seen, slow, kNow, true, {});
  EXPECT_NE(lost.find("  tcp          syn-sent, sent again 1\n"), std::string::npos) << lost;
  const std::string json = render_json(spec, seen, slow, kNow, {});
  for (const char* expected : {"\"state\": \"syn-sent\"", "\"rtt_us\": null",
                               "\"retransmissions\": 1", "\"unacknowledged_segments\": 0"}) {
    EXPECT_NE(json.find(expected), std::string::npos) << expected << "\n" << json;
  }
}

TEST(CheckReport, JsonSaysTheSame) {
  const Finding finding{Outcome::kDegraded, Reason::kAssertLatency, "latency > 1ms: 5ms"};
  const std::string text = render_json(spec_of("https://a.example/"), good(), finding, kNow);
  const auto node = codec::parse_json(text);
  ASSERT_TRUE(node) << node.error().text;
  for (const char* expected :
       {"\"outcome\": \"degraded\"", "\"reason\": \"assert.latency\"", "\"total_us\": 5000",
        "\"status\": 200", "\"verified\": true", "\"at\": \"2026-11-21T03:00:00.000Z\""}) {
    EXPECT_NE(text.find(expected), std::string::npos) << expected << "\n" << text;
  }
}

}  // namespace
}  // namespace tocsin::agent
