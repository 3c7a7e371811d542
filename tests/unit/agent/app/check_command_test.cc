#include "agent/app/check_command.h"

#include "tests/support/dns_server.h"
#include "tests/support/loopback_server.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

namespace tocsin::agent {
namespace {

struct Ran {
  int status = -1;
  std::string out;
  std::string err;
};

Ran run(const std::vector<std::string>& words) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  Ran ran;
  ran.status = run_check_command(words);
  std::fflush(stdout);
  ran.out = testing::internal::GetCapturedStdout();
  ran.err = testing::internal::GetCapturedStderr();
  return ran;
}

TEST(CheckCommand, ItsExitStatusIsTheOutcome) {
  const test::LoopbackServer server{
      test::respond("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")};
  const std::string url = fmt::format("http://127.0.0.1:{}/", server.port());
  const Ran up = run({url});
  EXPECT_EQ(up.status, kCheckUp) << up.out;
  EXPECT_TRUE(up.out.starts_with("UP  " + url)) << up.out;
  EXPECT_EQ(run({url, "--degraded", "latency > 0s"}).status, kCheckDegraded);
  const Ran down = run({url, "--assert", "status == 503"});
  EXPECT_EQ(down.status, kCheckDown);
  EXPECT_NE(down.out.find("expected status == 503, got 200"), std::string::npos) << down.out;
  const Ran bad = run({"example.com"});
  EXPECT_EQ(bad.status, kCheckImpossible);
  EXPECT_EQ(bad.out, "");
  EXPECT_TRUE(bad.err.starts_with("tocsin-agent check: ")) << bad.err;
}

TEST(CheckCommand, ChecksTcpAndDnsAndPrintsJson) {
  const test::LoopbackServer server{[](test::Peer& peer) {
    peer.write("SSH-2.0-x\r\n");
    peer.stall();
  }};
  EXPECT_EQ(run({fmt::format("tcp://127.0.0.1:{}", server.port()), "--expect", "SSH-"}).status,
            kCheckUp);
  const test::DnsServer dns{[](const test::DnsRequest& request) -> test::DnsReplies {
    return {test::dns_response(request, 0, {{"", DnsType::kA, 60, test::a_record(192, 0, 2, 1)}})};
  }};
  const Ran ran = run({fmt::format("dns://{}/a.example", dns.address()), "--json"});
  EXPECT_EQ(ran.status, kCheckUp) << ran.out;
  EXPECT_NE(ran.out.find("\"data\": \"192.0.2.1\""), std::string::npos) << ran.out;
}

TEST(CheckCommand, HelpIsNotAFailure) {
  const Ran ran = run({"--help"});
  EXPECT_EQ(ran.status, 0);
  EXPECT_NE(ran.out.find("--assert CONDITION"), std::string::npos);
}

}  // namespace
}  // namespace tocsin::agent
