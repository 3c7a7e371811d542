#include "tests/support/dns_server.h"
#include "tests/unit/agent/probe/probing.h"

namespace tocsin::agent {
namespace {

using test::a_record;
using test::dns_response;
using test::DnsReplies;
using test::DnsRequest;

class DnsProbing : public Probing {
 protected:
  static DnsTarget ask(const std::string& resolver, DnsTransport transport = DnsTransport::kUdp) {
    return {.name = "a.example", .resolver = resolver, .transport = transport};
  }

  static DnsTarget ask(const test::DnsServer& server, DnsTransport transport = DnsTransport::kUdp) {
    return ask(server.address(), transport);
  }

  /// What a server of its own is asked; it is read when the server's thread has ended.
  DnsRequest question_of(DnsTarget target) {
    DnsRequest seen;
    {
      const test::DnsServer server{[&seen](const DnsRequest& request) -> DnsReplies {
        seen = request;
        return {dns_response(request, 0, {})};
      }};
      target.resolver = server.address();
      EXPECT_TRUE(run(target).dns);
    }
    return seen;
  }
};

TEST_F(DnsProbing, ReportsTheAnswer) {
  const test::DnsServer server{[](const DnsRequest& request) -> DnsReplies {
    return {dns_response(request, 0, {{"", DnsType::kA, 300, a_record(192, 0, 2, 1)}}, 0x0420)};
  }};
  const Observation seen = run(ask(server));
  EXPECT_EQ(seen.failure, std::nullopt) << detail_of(seen);
  DnsFacts expected;
  expected.rcode = "NOERROR";
  expected.authoritative = true;
  expected.authentic_data = true;
  expected.recursion_available = true;
  expected.count = expected.answers_total = 1;
  expected.answers = {{"a.example.", DnsType::kA, 300, "192.0.2.1"}};
  EXPECT_EQ(seen.dns, expected);
  EXPECT_EQ(seen.remote, server.address());
  EXPECT_EQ(seen.phases.wait_us, seen.phases.total_us - seen.phases.dns_us);
}

TEST_F(DnsProbing, AnErrorCodeIsAnAnswer) {
  for (const auto& [rcode, name] : {std::pair{1U, "FORMERR"},
                                    {2U, "SERVFAIL"},
                                    {3U, "NXDOMAIN"},
                                    {4U, "NOTIMP"},
                                    {5U, "REFUSED"}}) {
    const test::DnsServer server{[rcode = rcode](const DnsRequest& request) -> DnsReplies {
      return {dns_response(request, rcode, {})};
    }};
    const Observation seen = run(ask(server));
    EXPECT_EQ(seen.failure, std::nullopt) << detail_of(seen);
    ASSERT_TRUE(seen.dns) << name;
    EXPECT_EQ(seen.dns->rcode, name);
  }
}

TEST_F(DnsProbing, NamesSilenceAndAbsence) {
  const test::DnsServer server{[](const DnsRequest&) -> DnsReplies { return {}; }};
  EXPECT_EQ(run(ask(server), 150ms).failure,
            (Failure{Reason::kDnsTimeout, server.address() + " did not answer in time"}));
  const test::ClosedPort closed;
  const DnsTarget dead = ask(fmt::format("127.0.0.1:{}", closed.port()));
  EXPECT_EQ(reason_of(run(dead)), Reason::kDnsRefused);
  EXPECT_EQ(reason_of(run(ask(dead.resolver, DnsTransport::kTcp))), Reason::kDnsRefused);
}

TEST_F(DnsProbing, ACutAnswerIsAskedForAgainOverTcp) {
  const test::DnsServer server{[](const DnsRequest& request) -> DnsReplies {
    if (!request.tcp) return {dns_response(request, 0, {}, 0x0200)};
    return {dns_response(request, 0, {{"", DnsType::kA, 60, a_record(192, 0, 2, 7)}})};
  }};
  const Observation seen = run(ask(server));
  ASSERT_TRUE(seen.dns) << detail_of(seen);
  EXPECT_TRUE(seen.dns->truncated_udp);
  EXPECT_EQ(seen.dns->answers.at(0).data, "192.0.2.7");
}

TEST_F(DnsProbing, ACutAnswerWithoutTcpIsNamed) {
  const test::DnsServer server{[](const DnsRequest& request) -> DnsReplies {
                                 return {dns_response(request, 0, {}, 0x0200)};
                               },
                               false};
  EXPECT_EQ(reason_of(run(ask(server))), Reason::kDnsTruncated);
}

TEST_F(DnsProbing, ACutAnswerOverTcpIsNotTakenForAWholeOne) {
  const test::DnsServer server{[](const DnsRequest& request) -> DnsReplies {
    return {dns_response(request, 0, {{"", DnsType::kA, 60, a_record(192, 0, 2, 7)}}, 0x0200)};
  }};
  EXPECT_EQ(reason_of(run(ask(server))), Reason::kDnsTruncated);
  EXPECT_EQ(reason_of(run(ask(server, DnsTransport::kTcp))), Reason::kDnsTruncated);
}

TEST_F(DnsProbing, TheQuestionCarriesTheFlagsThatWereAskedFor) {
  DnsTarget target;
  target.name = "example.com";
  DnsRequest seen = question_of(target);
  EXPECT_EQ(seen.bytes.substr(2, 2), std::string("\x01\x00", 2));
  EXPECT_EQ(seen.bytes.substr(seen.bytes.size() - 6), std::string(6, '\0'));
  target.recursion = false;
  target.dnssec = true;
  seen = question_of(target);
  EXPECT_EQ(seen.bytes.substr(2, 2), std::string("\x00\x20", 2));
  EXPECT_EQ(seen.bytes.substr(seen.bytes.size() - 6), std::string("\0\0\x80\0\0\0", 6));
}

TEST_F(DnsProbing, AnAddressIsTurnedRoundForPtr) {
  DnsTarget target;
  target.type = DnsType::kPtr;
  target.name = "192.0.2.1";
  EXPECT_EQ(question_of(target).name, "1.2.0.192.in-addr.arpa");
  target.name = "example.com";
  EXPECT_EQ(question_of(target).name, "example.com");
  const test::DnsServer server{[](const DnsRequest& request) -> DnsReplies {
    return {dns_response(request, 0, {{"", DnsType::kPtr, 60, test::name_record("host.example")}})};
  }};
  target.resolver = server.address();
  EXPECT_EQ(run(target).dns->answers.at(0).data, "host.example.");
}

TEST_F(DnsProbing, TheSystemsResolverHasTheWantedFamily) {
  const test::DnsServer server{
      [](const DnsRequest& request) -> DnsReplies { return {dns_response(request, 0, {})}; }};
  open(
      {.dns_servers = {*io::DnsServer::parse("[::1]:9"), *io::DnsServer::parse(server.address())}});
  const Observation seen = run(ask(""), 10s, IpFamily::kV4);
  EXPECT_EQ(seen.failure, std::nullopt) << detail_of(seen);
  EXPECT_EQ(seen.remote, server.address());
  open({.dns_servers = {*io::DnsServer::parse(server.address())}});
  EXPECT_EQ(reason_of(run(ask(""), 10s, IpFamily::kV6)), Reason::kSelfResolver);
}

TEST_F(DnsProbing, AsksOverTcpAtOnceWhenTold) {
  const test::DnsServer server{[](const DnsRequest& request) -> DnsReplies {
    if (!request.tcp) return {};
    return {dns_response(request, 0, {{"", DnsType::kA, 60, a_record(192, 0, 2, 7)}})};
  }};
  const Observation seen = run(ask(server, DnsTransport::kTcp));
  ASSERT_TRUE(seen.dns) << detail_of(seen);
  EXPECT_FALSE(seen.dns->truncated_udp);
}

TEST_F(DnsProbing, AForgedAnswerIsIgnoredAndTheRealOneTaken) {
  const test::DnsServer server{[](const DnsRequest& request) -> DnsReplies {
    std::string wrong_id = dns_response(request, 0, {{"", DnsType::kA, 60, a_record(6, 6, 6, 6)}});
    wrong_id[0] = static_cast<char>(wrong_id[0] ^ 0x55);
    return {wrong_id, dns_response(request, 0, {{"", DnsType::kA, 60, a_record(192, 0, 2, 7)}})};
  }};
  const Observation seen = run(ask(server));
  ASSERT_TRUE(seen.dns) << detail_of(seen);
  EXPECT_EQ(seen.dns->answers.at(0).data, "192.0.2.7");
}

TEST_F(DnsProbing, AMalformedAnswerIsNamed) {
  const test::DnsServer server{[](const DnsRequest& request) -> DnsReplies {
    return {dns_response(request, 0, {{"", DnsType::kA, 60, "abc"}})};
  }};
  EXPECT_EQ(reason_of(run(ask(server))), Reason::kDnsProtocol);
}

TEST_F(DnsProbing, ANamedServerIsJudgedByTheEgressPolicyAndTheOwnersIsNot) {
  const test::DnsServer server{[](const DnsRequest& request) -> DnsReplies {
    return {dns_response(request, 0, {{"", DnsType::kA, 60, a_record(192, 0, 2, 7)}})};
  }};
  open_as_is({.dns_servers = {*io::DnsServer::parse(server.address())}});
  EXPECT_EQ(reason_of(run(ask(server))), Reason::kPolicyDeniedAddress);
  EXPECT_EQ(server.requests(), 0);
  EXPECT_EQ(run(ask("")).failure, std::nullopt);
}

TEST_F(DnsProbing, ASpecThatCannotBeRunIsNotTheTargetsFault) {
  EXPECT_EQ(reason_of(run(ask("resolver.example"))), Reason::kPolicyUnsupported);
}

}  // namespace
}  // namespace tocsin::agent
