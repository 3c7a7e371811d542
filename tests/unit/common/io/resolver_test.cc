#include "common/io/resolver.h"

#include "common/base/clock.h"
#include "tests/support/dns_server.h"
#include "tests/support/loopback_client.h"
#include "tests/support/loopback_server.h"
#include "tests/unit/common/io/scratch_dir.h"

#include <gtest/gtest.h>

#include <fstream>

namespace tocsin::io {
namespace {

using test::a_record;
using test::dns_response;
using test::DnsReplies;
using test::DnsRequest;
using test::name_record;
using test::turn_until;

constexpr auto kTypeA = static_cast<std::uint16_t>(DnsType::kA);

std::string aaaa_loopback() { return std::string(15, '\0') + '\x01'; }

IpAddress ip(std::string_view text) { return *IpAddress::parse(text); }

class Resolving : public testing::Test {
 protected:
  std::unique_ptr<Resolver> open(ResolverOptions options) {
    if (options.hosts_path == "/etc/hosts") options.hosts_path = "/nonexistent";
    auto opened = Resolver::open(loop_, std::move(options));
    EXPECT_TRUE(opened) << opened.error().text;
    return *std::move(opened);
  }

  std::unique_ptr<Resolver> open(const test::DnsServer& server) {
    return open({.servers = {*DnsServer::parse(server.address())}});
  }

  ResolveResult resolve(Resolver& resolver, const std::string& host,
                        IpFamily family = IpFamily::kAny) {
    std::optional<ResolveResult> result;
    const auto handle =
        resolver.resolve(host, family, [&result](ResolveResult got) { result = std::move(got); });
    EXPECT_FALSE(result) << "called inside resolve()";
    EXPECT_TRUE(turn_until(loop_, [&] { return result.has_value(); }));
    return result ? *result : tl::unexpected{Failure{}};
  }

  Reason reason_of(Resolver& resolver, const std::string& host) {
    const ResolveResult result = resolve(resolver, host);
    return result ? Reason::kNone : result.error().reason;
  }

  SystemClock clock_;
  EventLoop loop_{clock_};
};

TEST_F(Resolving, AsksForBothFamiliesAndPutsIpv4First) {
  const test::DnsServer server{[](const DnsRequest& request) -> DnsReplies {
    if (request.type == kTypeA) {
      return {dns_response(request, 0, {{"", DnsType::kA, 60, a_record(192, 0, 2, 1)}})};
    }
    return {dns_response(request, 0, {{"", DnsType::kAaaa, 60, aaaa_loopback()}})};
  }};
  const auto resolver = open(server);
  EXPECT_EQ(resolve(*resolver, "a.example"),
            (ResolveResult{Resolution{{ip("192.0.2.1"), ip("::1")}, false}}));
  EXPECT_EQ(resolve(*resolver, "a.example", IpFamily::kV6),
            (ResolveResult{Resolution{{ip("::1")}, false}}));
}

TEST_F(Resolving, FollowsTheChainOfAliasesAndNothingElse) {
  const test::DnsServer server{[](const DnsRequest& request) -> DnsReplies {
    return {dns_response(request, 0,
                         {{"evil.example", DnsType::kA, 60, a_record(6, 6, 6, 6)},
                          {"", DnsType::kCname, 60, name_record("b.example")},
                          {"b.example", DnsType::kCname, 60, name_record("C.example")},
                          {"c.example", DnsType::kA, 60, a_record(192, 0, 2, 9)}})};
  }};
  const auto resolver = open(server);
  EXPECT_EQ(resolve(*resolver, "a.example", IpFamily::kV4),
            (ResolveResult{Resolution{{ip("192.0.2.9")}, false}}));
}

TEST_F(Resolving, AnAliasThatGoesInACircleIsNoData) {
  const test::DnsServer server{[](const DnsRequest& request) -> DnsReplies {
    return {dns_response(request, 0,
                         {{"", DnsType::kCname, 60, name_record("b.example")},
                          {"b.example", DnsType::kCname, 60, name_record("a.example")}})};
  }};
  const auto resolver = open(server);
  EXPECT_EQ(reason_of(*resolver, "a.example"), Reason::kDnsNodata);
}

TEST_F(Resolving, SaysWhatTheResolverSaid) {
  const test::DnsServer server{[](const DnsRequest& request) -> DnsReplies {
    if (request.name == "gone.example") return {dns_response(request, 3, {})};
    if (request.name == "broken.example") return {dns_response(request, 2, {})};
    if (request.name == "garbage.example") return {dns_response(request, 0, {}) + "x"};
    return {dns_response(request, 0, {})};
  }};
  const auto resolver = open(server);
  EXPECT_EQ(resolve(*resolver, "gone.example").error(),
            (Failure{Reason::kDnsNxdomain, "the resolver answered NXDOMAIN for gone.example"}));
  EXPECT_EQ(resolve(*resolver, "broken.example").error(),
            (Failure{Reason::kDnsServfail, "the resolver answered SERVFAIL for broken.example"}));
  EXPECT_EQ(
      resolve(*resolver, "empty.example").error(),
      (Failure{Reason::kDnsNodata, "empty.example exists, but has neither A nor AAAA record"}));
  EXPECT_EQ(reason_of(*resolver, "garbage.example"), Reason::kDnsProtocol);
}

TEST_F(Resolving, OneFamilyIsEnoughWhenTheOtherFails) {
  const test::DnsServer server{[](const DnsRequest& request) -> DnsReplies {
    if (request.type == kTypeA) {
      return {dns_response(request, 0, {{"", DnsType::kA, 60, a_record(192, 0, 2, 1)}})};
    }
    return {dns_response(request, 2, {})};
  }};
  const auto resolver = open(server);
  EXPECT_TRUE(resolve(*resolver, "a.example"));
}

TEST_F(Resolving, DoesNotWaitForAFamilyThatStaysSilent) {
  const test::DnsServer server{[](const DnsRequest& request) -> DnsReplies {
    if (request.type != kTypeA) return {};
    return {dns_response(request, 0, {{"", DnsType::kA, 60, a_record(192, 0, 2, 1)}})};
  }};
  const auto resolver = open({.servers = {*DnsServer::parse(server.address())}, .timeout = 60s});
  EXPECT_EQ(resolve(*resolver, "a.example"), (ResolveResult{Resolution{{ip("192.0.2.1")}, false}}));
}

TEST_F(Resolving, SilenceIsATimeout) {
  const test::DnsServer server{[](const DnsRequest&) -> DnsReplies { return {}; }};
  const auto resolver = open({.servers = {*DnsServer::parse(server.address())}, .timeout = 50ms});
  EXPECT_EQ(reason_of(*resolver, "a.example"), Reason::kDnsTimeout);
}

TEST_F(Resolving, AResolverThatIsNotThereIsOurOwnFault) {
  const test::ClosedPort closed;
  const auto resolver =
      open({.servers = {{.address = ip("127.0.0.1"), .port = closed.port()}}, .timeout = 5s});
  EXPECT_EQ(reason_of(*resolver, "a.example"), Reason::kSelfResolver);
}

TEST_F(Resolving, GoesToTheNextServerWhenTheFirstIsNotThere) {
  const test::ClosedPort closed;
  const test::DnsServer server{[](const DnsRequest& request) -> DnsReplies {
    return {dns_response(request, 0, {{"", DnsType::kA, 60, a_record(192, 0, 2, 1)}})};
  }};
  const auto resolver = open({.servers = {{.address = ip("127.0.0.1"), .port = closed.port()},
                                          *DnsServer::parse(server.address())},
                              .timeout = 5s});
  EXPECT_TRUE(resolve(*resolver, "a.example", IpFamily::kV4));
}

TEST_F(Resolving, ALongAnswerComesOverTcp) {
  const test::DnsServer server{[](const DnsRequest& request) -> DnsReplies {
    if (!request.tcp) return {dns_response(request, 0, {}, 0x0200)};
    return {dns_response(request, 0, {{"", DnsType::kA, 60, a_record(192, 0, 2, 7)}})};
  }};
  const auto resolver = open(server);
  EXPECT_EQ(resolve(*resolver, "a.example", IpFamily::kV4),
            (ResolveResult{Resolution{{ip("192.0.2.7")}, false}}));
}

TEST_F(Resolving, ADestroyedHandleIsSilent) {
  const test::DnsServer server{[](const DnsRequest& request) -> DnsReplies {
    return {dns_response(request, 0, {{"", DnsType::kA, 60, a_record(192, 0, 2, 1)}})};
  }};
  const auto resolver = open(server);
  bool called = false;
  resolver->resolve("a.example", IpFamily::kV4, [&called](const ResolveResult&) { called = true; })
      .reset();
  EXPECT_TRUE(turn_until(loop_, [&] { return server.requests() > 0; }));
  EXPECT_TRUE(resolve(*resolver, "b.example", IpFamily::kV4));  // Whatever was due has come.
  EXPECT_FALSE(called);
}

TEST_F(Resolving, TheCallbackMayDestroyTheResolver) {
  const test::DnsServer server{[](const DnsRequest& request) -> DnsReplies {
    return {dns_response(request, 0, {{"", DnsType::kA, 60, a_record(192, 0, 2, 1)}})};
  }};
  auto resolver = open(server);
  std::unique_ptr<ResolveHandle> handle;
  handle = resolver->resolve("a.example", IpFamily::kV4, [&](const ResolveResult&) {
    handle.reset();
    resolver.reset();
  });
  EXPECT_TRUE(turn_until(loop_, [&] { return resolver == nullptr; }));
}

TEST_F(Resolving, AnswersAreKeptForTheirTtlOnlyWhenAsked) {
  const test::DnsServer server{[](const DnsRequest& request) -> DnsReplies {
    const std::uint32_t ttl = request.name == "zero.example" ? 0 : 3600;
    return {dns_response(request, 0, {{"", DnsType::kA, ttl, a_record(192, 0, 2, 1)}})};
  }};
  test::ManualClock clock;
  EventLoop loop{clock};
  auto resolver = *Resolver::open(loop, {.servers = {*DnsServer::parse(server.address())},
                                         .hosts_path = "/nonexistent",
                                         .cache = true});
  for (const char* host : {"a.example", "zero.example"}) {
    bool done = false;
    const auto handle =
        resolver->resolve(host, IpFamily::kV4, [&done](const ResolveResult&) { done = true; });
    ASSERT_TRUE(turn_until(loop, [&] { return done; }));
  }
  EXPECT_EQ(resolver->find("a.example", IpFamily::kV4), (Resolution{{ip("192.0.2.1")}, true}));
  EXPECT_EQ(resolver->find("zero.example", IpFamily::kV4), std::nullopt);
  clock.advance(Resolver::kCacheMax - 1us);
  EXPECT_TRUE(resolver->find("a.example", IpFamily::kV4));
  clock.advance(1us);
  EXPECT_EQ(resolver->find("a.example", IpFamily::kV4), std::nullopt);

  const auto without = open(server);
  EXPECT_TRUE(resolve(*without, "a.example", IpFamily::kV4));
  EXPECT_EQ(without->find("a.example", IpFamily::kV4), std::nullopt);
}

TEST_F(Resolving, ReadsTheHostsFileAgainWhenItChanges) {
  const ScratchDir dir;
  const std::string path = dir / "hosts";
  std::ofstream{path} << "# comment\n192.0.2.5\tDb.internal db # alias\n::1 db\nbad line\n";
  const auto resolver = open({.servers = {*DnsServer::parse("127.0.0.1")}, .hosts_path = path});
  EXPECT_EQ(resolver->find("db", IpFamily::kAny), (Resolution{{ip("192.0.2.5"), ip("::1")}, true}));
  EXPECT_EQ(resolver->find("db", IpFamily::kV6), (Resolution{{ip("::1")}, true}));
  EXPECT_EQ(resolver->find("db.internal", IpFamily::kAny), (Resolution{{ip("192.0.2.5")}, true}));
  EXPECT_EQ(resolver->find("other", IpFamily::kAny), std::nullopt);
  std::ofstream{path} << "192.0.2.66 other another\n";
  EXPECT_EQ(resolver->find("other", IpFamily::kAny), (Resolution{{ip("192.0.2.66")}, true}));
  EXPECT_EQ(resolver->find("db", IpFamily::kAny), std::nullopt);
}

TEST_F(Resolving, LocalhostNeverLeavesTheMachine) {
  const auto resolver = open({.servers = {*DnsServer::parse("127.0.0.1")}});
  EXPECT_EQ(resolver->find("localhost", IpFamily::kAny),
            (Resolution{{ip("127.0.0.1"), ip("::1")}, true}));
  EXPECT_EQ(resolver->find("x.localhost", IpFamily::kV4), (Resolution{{ip("127.0.0.1")}, true}));
  EXPECT_EQ(resolver->find("notlocalhost", IpFamily::kAny), std::nullopt);
}

TEST(DnsServer, ReadsAddressAndPort) {
  EXPECT_EQ(*DnsServer::parse("192.0.2.1"), (DnsServer{ip("192.0.2.1"), 53}));
  EXPECT_EQ(*DnsServer::parse("192.0.2.1:5353"), (DnsServer{ip("192.0.2.1"), 5353}));
  EXPECT_EQ(*DnsServer::parse("::1"), (DnsServer{ip("::1"), 53}));
  EXPECT_EQ(*DnsServer::parse("[::1]:5353"), (DnsServer{ip("::1"), 5353}));
  EXPECT_EQ(*DnsServer::parse("[::1]"), (DnsServer{ip("::1"), 53}));
  for (const char* text : {"", "name", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "[::1",
                           "[::1]53", "192.0.2.1:5x", "192.0.2.1:99999999999999"}) {
    EXPECT_FALSE(DnsServer::parse(text)) << text;
  }
}

}  // namespace
}  // namespace tocsin::io
