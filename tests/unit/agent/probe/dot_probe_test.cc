#include "tests/support/dns_server.h"
#include "tests/unit/agent/probe/probing.h"

namespace tocsin::agent {
namespace {

using test::a_record;
using test::Certificate;
using test::dns_response;
using test::DnsRequest;
using test::LoopbackServer;
using test::make_certificate;
using test::Peer;

std::string framed(const std::string& message) {
  return std::string{static_cast<char>(message.size() >> 8),
                     static_cast<char>(message.size() & 0xff)} +
         message;
}

/// Reads one question, which ends with the six zero bytes of its OPT record.
DnsRequest read_question(Peer& peer) {
  const std::string bytes = peer.read_until(std::string(6, '\0'));
  return test::read_dns_request(bytes.size() < 2 ? "" : bytes.substr(2), true);
}

using Reply = std::function<void(Peer&, const DnsRequest&)>;

class DotProbing : public Probing {
 protected:
  DotProbing()
      : certificate_(make_certificate({.names = {"dns.example"}, .addresses = {"127.0.0.1"}})) {}

  DnsTarget ask(std::uint16_t port) const {
    return {.name = "a.example",
            .resolver = fmt::format("127.0.0.1:{}", port),
            .transport = DnsTransport::kTls,
            .ca_pem = certificate_.ca_pem};
  }

  Observation run_against(Reply reply, Duration timeout = 10s) {
    const LoopbackServer server{[this, reply = std::move(reply)](Peer& peer) {
      if (!peer.start_tls(certificate_)) return;
      reply(peer, read_question(peer));
    }};
    return run(ask(server.port()), timeout);
  }

  /// Nothing to a client that went away without asking.
  static std::string good(const DnsRequest& request) {
    if (request.bytes.empty()) return {};
    return framed(dns_response(request, 0, {{"", DnsType::kA, 60, a_record(192, 0, 2, 7)}}, 0x20));
  }

  Certificate certificate_;
};

TEST_F(DotProbing, ReportsTheAnswerTheCertificateAndEveryPhase) {
  const Observation seen = run_against([](Peer& peer, const DnsRequest& request) {
    EXPECT_EQ(request.name, "a.example");
    peer.write(good(request));
    peer.stall();
  });
  EXPECT_EQ(seen.failure, std::nullopt) << detail_of(seen);
  DnsFacts expected;
  expected.rcode = "NOERROR";
  expected.authentic_data = true;
  expected.recursion_available = true;
  expected.transport = DnsTransport::kTls;
  expected.answers = {{"a.example.", DnsType::kA, 60, "192.0.2.7"}};
  expected.count = expected.answers_total = 1;
  EXPECT_EQ(seen.dns, expected);
  ASSERT_TRUE(seen.tls);
  EXPECT_TRUE(seen.tls->verified);
  EXPECT_TRUE(seen.dns_cached);
  EXPECT_EQ(seen.phases.dns_us, 0U);
  EXPECT_GT(seen.phases.tls_us, 0U);
}

TEST_F(DotProbing, AnAnswerInPiecesIsPutTogether) {
  const Observation seen = run_against([](Peer& peer, const DnsRequest& request) {
    for (const char byte : good(request)) peer.write(std::string(1, byte));
    peer.stall();
  });
  ASSERT_TRUE(seen.dns) << detail_of(seen);
  EXPECT_EQ(seen.dns->answers.at(0).data, "192.0.2.7");
}

TEST_F(DotProbing, NamesWhatGoesWrongAfterTheHandshake) {
  struct Row {
    const char* what;
    Reply reply;
    Reason reason;
  };

  const Row rows[] = {
      {"silence", [](Peer& peer, const DnsRequest&) { peer.stall(); }, Reason::kDnsTimeout},
      {"half an answer",
       [](Peer& peer, const DnsRequest& request) {
         peer.write(good(request).substr(0, 20));
         peer.stall();
       },
       Reason::kDnsTimeout},
      {"an end", [](Peer& peer, const DnsRequest&) { peer.close_tls(); }, Reason::kDnsClosed},
      {"half an answer and an end",
       [](Peer& peer, const DnsRequest& request) {
         peer.write(good(request).substr(0, 20));
         peer.close();
       },
       Reason::kDnsClosed},
      {"a reset", [](Peer& peer, const DnsRequest&) { peer.reset(); }, Reason::kDnsClosed},
      {"an empty message",
       [](Peer& peer, const DnsRequest&) {
         peer.write(framed(""));
         peer.stall();
       },
       Reason::kDnsProtocol},
      {"another question's answer",
       [](Peer& peer, const DnsRequest& request) {
         std::string other = good(request);
         other[2] = static_cast<char>(other[2] ^ 0x55);
         peer.write(other);
         peer.stall();
       },
       Reason::kDnsProtocol},
      {"a cut answer",
       [](Peer& peer, const DnsRequest& request) {
         peer.write(framed(dns_response(request, 0, {}, 0x0200)));
         peer.stall();
       },
       Reason::kDnsTruncated},
      {"garbage",
       [](Peer& peer, const DnsRequest&) {
         peer.write(std::string(70'000, '\xff'));
         peer.stall();
       },
       Reason::kDnsProtocol},
  };
  for (const Row& row : rows) {
    const Observation seen = run_against(row.reply, 400ms);
    EXPECT_EQ(reason_of(seen), row.reason) << row.what << ": " << detail_of(seen);
    EXPECT_FALSE(seen.dns) << row.what;
  }
}

TEST_F(DotProbing, VerifiesTheNameThatWasGivenOrElseTheAddress) {
  const LoopbackServer server{[this](Peer& peer) {
    if (peer.start_tls(certificate_)) peer.write(good(read_question(peer)));
    peer.stall();
  }};
  DnsTarget target = ask(server.port());
  EXPECT_EQ(reason_of(run(target)), Reason::kNone);
  target.server_name = "dns.example";
  EXPECT_EQ(reason_of(run(target)), Reason::kNone);
  target.server_name = "other.example";
  const Observation other = run(target);
  EXPECT_EQ(reason_of(other), Reason::kTlsVerifyHostname);
  EXPECT_FALSE(other.dns);
  target.verify = false;
  EXPECT_EQ(reason_of(run(target)), Reason::kNone);
}

TEST_F(DotProbing, NamesAbsenceAndWhatIsNotTls) {
  const test::ClosedPort closed;
  EXPECT_EQ(reason_of(run(ask(closed.port()))), Reason::kConnectRefused);
  const LoopbackServer plain{[](Peer& peer) {
    peer.write("220 mail.example ESMTP\r\n");
    peer.stall();
  }};
  EXPECT_EQ(reason_of(run(ask(plain.port()))), Reason::kTlsNotTls);
}

TEST_F(DotProbing, TheResolverIsJudgedByTheEgressPolicy) {
  const LoopbackServer server{[](Peer& peer) { peer.stall(); }};
  open_as_is({});
  EXPECT_EQ(reason_of(run(ask(server.port()))), Reason::kPolicyDeniedAddress);
  EXPECT_EQ(server.accepted(), 0);
}

}  // namespace
}  // namespace tocsin::agent
