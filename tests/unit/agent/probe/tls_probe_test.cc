#include "tests/unit/agent/probe/probing.h"

namespace tocsin::agent {
namespace {

using test::Certificate;
using test::LoopbackServer;
using test::make_certificate;
using test::Peer;

LoopbackServer::Script handshake(const Certificate& certificate) {
  return [certificate](Peer& peer) {
    if (peer.start_tls(certificate)) peer.stall();
  };
}

class TlsProbing : public Probing {
 protected:
  static TlsTarget at(std::uint16_t port, const Certificate& trusted) {
    TlsTarget out;
    out.host = "127.0.0.1";
    out.port = port;
    out.server_name = "localhost";
    out.ca_pem = trusted.ca_pem;
    return out;
  }
};

TEST_F(TlsProbing, EndsWithTheHandshakeAndTellsTheChain) {
  const Certificate certificate = make_certificate();
  const LoopbackServer server{handshake(certificate)};
  const Observation seen = run(at(server.port(), certificate));
  EXPECT_EQ(seen.failure, std::nullopt) << detail_of(seen);
  ASSERT_TRUE(seen.tls);
  EXPECT_TRUE(seen.tls->verified);
  EXPECT_EQ(seen.tls->server_name, "localhost");
  EXPECT_EQ(seen.tls->alpn, "");
  ASSERT_EQ(seen.tls->chain.size(), 1U);
  EXPECT_EQ(seen.tls->chain[0].subject, "CN=test.example");
  EXPECT_GT(seen.phases.tls_us, 0U);
  EXPECT_EQ(seen.phases.send_us + seen.phases.wait_us + seen.phases.receive_us, 0U);
}

TEST_F(TlsProbing, AStapleIsAskedForOnlyWhenTheMonitorWantsIt) {
  using std::string_view_literals::operator""sv;
  // RFC 6066 section 8: status_request of type ocsp, nobody and nothing named.
  constexpr std::string_view kAsked = "\x00\x05\x00\x05\x01\x00\x00\x00\x00"sv;
  // RFC 8446 section 4.2.8: key_share with one of X25519, which stands at the hello's end.
  constexpr std::string_view kEnd = "\x00\x33\x00\x26"sv;
  for (const OcspMode mode : {OcspMode::kOff, OcspMode::kCheck, OcspMode::kRequire}) {
    std::string hello;
    {
      const LoopbackServer server{[&](Peer& peer) {
        hello = peer.read_until(kEnd);
        peer.reset();
      }};
      TlsTarget target = at(server.port(), make_certificate());
      target.ocsp = mode;
      EXPECT_EQ(reason_of(run(target)), Reason::kTlsReset);
    }
    EXPECT_NE(hello.find(kEnd), std::string::npos);
    EXPECT_EQ(hello.find(kAsked) != std::string::npos, mode != OcspMode::kOff) << to_string(mode);
  }
}

TEST_F(TlsProbing, TheNameThatWasAskedForIsTheOneThatCounts) {
  const Certificate certificate = make_certificate();
  const LoopbackServer server{handshake(certificate)};
  TlsTarget target = at(server.port(), certificate);
  target.server_name = "other.example";
  const Observation seen = run(target);
  EXPECT_EQ(reason_of(seen), Reason::kTlsVerifyHostname);
  EXPECT_NE(detail_of(seen).find("it is for localhost, not for other.example"), std::string::npos)
      << detail_of(seen);
  target.verify = false;
  const Observation unverified = run(target);
  EXPECT_EQ(unverified.failure, std::nullopt);
  EXPECT_EQ(unverified.tls->problems.front().reason, Reason::kTlsVerifyHostname);
}

TEST_F(TlsProbing, AServerThatChoosesNoneOfTheProtocolsFails) {
  const Certificate certificate = make_certificate();
  const LoopbackServer server{handshake(certificate)};  // Knows no ALPN.
  TlsTarget target = at(server.port(), certificate);
  target.alpn = {"h2", "http/1.1"};
  const Observation seen = run(target);
  EXPECT_EQ(reason_of(seen), Reason::kTlsAlpn);
  EXPECT_NE(detail_of(seen).find("the server chose none of h2, http/1.1"), std::string::npos);
  ASSERT_TRUE(seen.tls);
  EXPECT_EQ(seen.tls->subject, "CN=test.example");
}

TEST_F(TlsProbing, StarttlsComesBeforeTheHandshakeAndItsFailuresHaveReasons) {
  const Certificate certificate = make_certificate();
  const LoopbackServer server{[certificate](Peer& peer) {
    peer.write("220-mx.example\r\n220 hello\r\n");
    if (!peer.read_until("EHLO [127.0.0.1]\r\n").ends_with("[127.0.0.1]\r\n")) return;
    peer.write("250-mx.example\r\n250 STARTTLS\r\n");
    peer.read_until("STARTTLS\r\n");
    peer.write("220 go\r\n");
    if (peer.start_tls(certificate)) peer.stall();
  }};
  TlsTarget target = at(server.port(), certificate);
  target.starttls = StartTls::kSmtp;
  const Observation seen = run(target);
  EXPECT_EQ(seen.failure, std::nullopt) << detail_of(seen);
  EXPECT_EQ(seen.banner, "220-mx.example");
  EXPECT_TRUE(seen.tls && seen.tls->verified);

  struct Row {
    const char* what;
    LoopbackServer::Script script;
    Reason reason;
    std::string_view part;
  };

  const Row rows[] = {
      {"closes", [](Peer& peer) { peer.close(); }, Reason::kStarttlsClosed,
       "closed before its greeting"},
      {"resets",
       [](Peer& peer) {
         peer.write("220 mx\r\n");
         peer.read_until("\n");
         peer.reset();
       },
       Reason::kStarttlsReset, "before its answer to EHLO"},
      {"offers none",
       [](Peer& peer) {
         peer.write("220 mx\r\n");
         peer.read_until("\n");
         peer.write("250 mx\r\n");
         peer.stall();
       },
       Reason::kStarttlsNotOffered, "EHLO lists no STARTTLS"},
      {"speaks something else",
       [](Peer& peer) {
         peer.write("* OK imap\r\n");
         peer.stall();
       },
       Reason::kStarttlsProtocol, "got \"* OK imap\""},
  };
  for (const Row& row : rows) {
    const LoopbackServer bad{row.script};
    target.port = bad.port();
    const Observation failed = run(target);
    EXPECT_EQ(reason_of(failed), row.reason) << row.what;
    EXPECT_NE(detail_of(failed).find(row.part), std::string::npos) << detail_of(failed);
  }
  const LoopbackServer silent{[](Peer& peer) { peer.stall(); }};
  target.port = silent.port();
  const Observation stalled = run(target, 150ms);
  EXPECT_EQ(
      stalled.failure,
      (Failure{Reason::kStarttlsTimeout,
               fmt::format("127.0.0.1:{} did not send its greeting in time", silent.port())}));
  EXPECT_GT(stalled.phases.tls_us, stalled.phases.connect_us);
}

TEST_F(TlsProbing, TcpSendsAndExpectsThroughTlsAfterStarttls) {
  const Certificate certificate = make_certificate();
  const LoopbackServer server{[certificate](Peer& peer) {
    peer.read_until(std::string_view{"\x04\xd2\x16\x2f", 4});
    peer.write("S");
    if (!peer.start_tls(certificate)) return;
    peer.read_until("hello");
    peer.write("welcome");
    peer.stall();
  }};
  TcpTarget target;
  target.host = "127.0.0.1";
  target.port = server.port();
  target.starttls = StartTls::kPostgres;
  target.server_name = "localhost";
  target.ca_pem = certificate.ca_pem;
  target.send = "hello";
  target.expect = "welcome";
  const Observation seen = run(target);
  EXPECT_EQ(seen.failure, std::nullopt) << detail_of(seen);
  EXPECT_EQ(seen.banner, "welcome");
  EXPECT_TRUE(seen.tls && seen.tls->verified);
}

}  // namespace
}  // namespace tocsin::agent
