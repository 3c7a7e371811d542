#include "tests/unit/agent/probe/probing.h"

namespace tocsin::agent {
namespace {

using test::LoopbackServer;
using test::Peer;

class TcpProbing : public Probing {
 protected:
  static TcpTarget at(std::uint16_t port, std::string send = "", std::string expect = "") {
    TcpTarget out;
    out.host = "127.0.0.1";
    out.port = port;
    out.send = std::move(send);
    out.expect = std::move(expect);
    return out;
  }
};

TEST_F(TcpProbing, ConnectingIsEnoughWhenNothingIsExpected) {
  const LoopbackServer server{[](Peer& peer) { peer.stall(); }};
  const Observation seen = run(at(server.port()));
  EXPECT_EQ(seen.failure, std::nullopt) << detail_of(seen);
  EXPECT_EQ(seen.remote, fmt::format("127.0.0.1:{}", server.port()));
  EXPECT_EQ(reason_of(run(at(test::ClosedPort{}.port()))), Reason::kConnectRefused);
}

TEST_F(TcpProbing, SendsAndLooksForTheExpectedBytesInWhateverPieces) {
  std::string got;
  {
    const LoopbackServer server{[&got](Peer& peer) {
      got = peer.read_until("\n");
      peer.write("+PO");
      peer.write("NG\r\n");
      peer.stall();
    }};
    const Observation seen = run(at(server.port(), "PING\n", "PONG"));
    EXPECT_EQ(seen.failure, std::nullopt) << detail_of(seen);
    EXPECT_TRUE(seen.banner.starts_with("+PONG")) << seen.banner;
  }
  EXPECT_EQ(got, "PING\n");
}

TEST_F(TcpProbing, NamesWhatCameInsteadOfTheExpectedBytes) {
  const LoopbackServer closes{[](Peer& peer) {
    peer.write("220 x\r\n");
    peer.close();
  }};
  EXPECT_EQ(run(at(closes.port(), "", "SSH-2.0")).failure,
            (Failure{Reason::kTcpClosed,
                     fmt::format("127.0.0.1:{} closed after 7 bytes \"220 x\\x0d\\x0a\"",
                                 closes.port())}));
  const LoopbackServer resets{[](Peer& peer) {
    peer.read_until("x");
    peer.reset();
  }};
  EXPECT_EQ(reason_of(run(at(resets.port(), "x", "y"))), Reason::kTcpReset);
  const LoopbackServer silent{[](Peer& peer) { peer.stall(); }};
  EXPECT_EQ(run(at(silent.port(), "", "y"), 150ms).failure,
            (Failure{Reason::kTcpTimeout, "expected \"y\", got nothing in time"}));
  const LoopbackServer talks{[](Peer& peer) {
    peer.write(std::string(5000, 'z'));
    peer.stall();
  }};
  const Observation seen = run(at(talks.port(), "", "y"));
  EXPECT_EQ(reason_of(seen), Reason::kTcpUnexpected);
  EXPECT_EQ(seen.banner.size(), 1024U);
}

TEST_F(TcpProbing, WhatTheKernelKnewIsEvidenceOfAFailure) {
  const LoopbackServer talks{[](Peer& peer) {
    peer.read_until("PING\n");
    peer.write("-ERR\r\n");
    peer.stall();
  }};
  const Observation failed = run(at(talks.port(), "PING\n", "PONG"), 300ms);
  EXPECT_EQ(reason_of(failed), Reason::kTcpTimeout);
  ASSERT_TRUE(failed.tcp);
  EXPECT_EQ(failed.tcp->state, TcpState::kEstablished);
  EXPECT_GT(failed.tcp->rtt_us, 0U);
  EXPECT_EQ(failed.tcp->bytes_received, 6U);
  EXPECT_GE(failed.tcp->bytes_acknowledged, 5U);  // Linux counts the SYN.
  EXPECT_EQ(failed.tcp->unacknowledged, 0U);

  const Observation passed = run(at(talks.port(), "PING\n", "ERR"));
  EXPECT_EQ(passed.failure, std::nullopt) << detail_of(passed);
  EXPECT_FALSE(passed.tcp) << "nothing can make a failure of it";
  const Observation refused = run(at(test::ClosedPort{}.port()));
  ASSERT_TRUE(refused.tcp);
  EXPECT_EQ(refused.tcp->state, TcpState::kClosed);
}

TEST_F(TcpProbing, ATimeoutIsTheTimeThatWasAskedFor) {
  const test::FullPort full;
  const Observation seen = run(at(full.port()), 200ms);
  EXPECT_EQ(reason_of(seen), Reason::kConnectTimeout);
  ASSERT_TRUE(seen.tcp);
  EXPECT_EQ(seen.tcp->state, TcpState::kSynSent);
  EXPECT_EQ(seen.tcp->bytes_received, 0U);
  // Not less, and not more by a unit.
  EXPECT_GE(seen.phases.connect_us, 200'000U);
  EXPECT_LT(seen.phases.connect_us, 20'000'000U);
}

TEST_F(TcpProbing, TakesNamesAndBracketedAddresses) {
  const LoopbackServer server{[](Peer& peer) { peer.stall(); }};
  TcpTarget target = at(server.port());
  target.host = "localhost";
  EXPECT_EQ(run(target, 10s, IpFamily::kV4).failure, std::nullopt);
  target.host = "0x7f.1";
  EXPECT_EQ(reason_of(run(target)), Reason::kPolicyUnsupported);
}

}  // namespace
}  // namespace tocsin::agent
