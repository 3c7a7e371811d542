#include "common/assert/parser.h"
#include "common/io/build_info.h"
#include "tests/support/dns_server.h"
#include "tests/unit/agent/probe/probing.h"

#include <fcntl.h>

#include <sys/resource.h>
#include <vector>

namespace tocsin::agent {
namespace {

using test::LoopbackServer;
using test::Peer;
using test::respond;

const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-One: a\r\n\r\nok";

class HttpProbing : public Probing {
 protected:
  static HttpTarget at(std::uint16_t port, const std::string& path = "/") {
    HttpTarget out;
    out.url = fmt::format("http://127.0.0.1:{}{}", port, path);
    return out;
  }
};

TEST_F(HttpProbing, ReportsTheResponseAndWhereItCameFrom) {
  const LoopbackServer server{respond(kOk)};
  const Observation seen = run(at(server.port()));
  EXPECT_EQ(seen.failure, std::nullopt) << detail_of(seen);
  HttpFacts expected;
  expected.status = 200;
  expected.version = "1.1";
  expected.headers = {{"content-length", "2"}, {"x-one", "a"}};
  expected.body = "ok";
  expected.body_bytes = 2;
  EXPECT_EQ(seen.http, expected);
  EXPECT_EQ(seen.remote, fmt::format("127.0.0.1:{}", server.port()));
  EXPECT_TRUE(seen.dns_cached);
  EXPECT_EQ(seen.phases.dns_us, 0U);
  EXPECT_EQ(seen.phases.tls_us, 0U);
}

TEST_F(HttpProbing, SaysWhoItIsAndWhatTheSpecSays) {
  std::string request;
  {
    const LoopbackServer server{[&request](Peer& peer) {
      request = peer.read_until("xyz");
      peer.write(kOk);
      peer.close();
    }};
    HttpTarget target = at(server.port(), "/a?b");
    target.method = "POST";
    target.headers = {{"X-Key", "s"}};
    target.body = "xyz";
    EXPECT_EQ(run(target).failure, std::nullopt);
  }
  EXPECT_TRUE(request.starts_with("POST /a?b HTTP/1.1\r\nHost: 127.0.0.1:")) << request;
  EXPECT_NE(request.find(fmt::format("\r\nUser-Agent: tocsin/{} (+https://tocsin.example; test)",
                                     io::version())),
            std::string::npos);
  EXPECT_NE(request.find("\r\nX-Key: s\r\n"), std::string::npos);
  EXPECT_TRUE(request.ends_with("\r\nContent-Length: 3\r\n\r\nxyz"));
}

TEST_F(HttpProbing, NamesARefusedConnection) {
  const test::ClosedPort closed;
  const std::uint16_t port = closed.port();
  const Observation seen = run(at(port));
  EXPECT_EQ(seen.failure,
            (Failure{Reason::kConnectRefused,
                     fmt::format("connect to 127.0.0.1:{}: Connection refused", port)}));
  EXPECT_EQ(seen.http, std::nullopt);
}

TEST_F(HttpProbing, NamesTheStepThatTookTooLong) {
  const test::FullPort full;
  EXPECT_EQ(reason_of(run(at(full.port()), 150ms)), Reason::kConnectTimeout);

  const LoopbackServer silent{[](Peer& peer) { peer.stall(); }};
  const Observation waited = run(at(silent.port()), 150ms);
  EXPECT_EQ(reason_of(waited), Reason::kHttpTimeout);
  EXPECT_GT(waited.phases.wait_us, waited.phases.connect_us + waited.phases.send_us);

  const LoopbackServer slow{[](Peer& peer) {
    peer.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123");
    peer.stall();
  }};
  const Observation received = run(at(slow.port()), 150ms);
  EXPECT_EQ(received.failure,
            (Failure{Reason::kHttpTimeout,
                     fmt::format("127.0.0.1:{} answered 200 and 3 bytes of body, then not the rest "
                                 "in time",
                                 slow.port())}));
  ASSERT_TRUE(received.http);
  EXPECT_EQ(received.http->status, 200);
}

TEST_F(HttpProbing, NamesEveryWayAResponseCanEndBadly) {
  struct Row {
    const char* what;
    LoopbackServer::Script script;
    Reason reason;
  };

  const Row rows[] = {
      {"reset before anything",
       [](Peer& peer) {
         peer.read_until("\r\n\r\n");
         peer.reset();
       },
       Reason::kHttpReset},
      {"nothing", respond(""), Reason::kHttpEmptyReply},
      {"half a head", respond("HTTP/1.1 200 OK\r\nX"), Reason::kHttpTruncated},
      {"half a body", respond("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
       Reason::kHttpTruncated},
      {"another protocol", respond("SSH-2.0-OpenSSH_9.2p1\r\n"), Reason::kHttpProtocol},
      {"two lengths",
       respond("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
       Reason::kHttpProtocol},
      {"endless head", respond("HTTP/1.1 200 OK\r\nA: " + std::string(100'000, 'x')),
       Reason::kHttpHeadersTooLarge},
  };
  for (const Row& row : rows) {
    const LoopbackServer server{row.script};
    EXPECT_EQ(reason_of(run(at(server.port()))), row.reason) << row.what;
  }
}

TEST_F(HttpProbing, ReadsAnAnswerThatCameBeforeTheWholeRequest) {
  const LoopbackServer server{[](Peer& peer) {
    peer.read_until("\r\n\r\n");
    peer.write("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
    peer.reset();
  }};
  HttpTarget target = at(server.port());
  target.method = "POST";
  target.body = std::string(64 * 1024, 'x');
  const Observation seen = run(target);
  // The kernel may throw the answer away with the reset; a wrong reason would be a lie.
  if (seen.failure) {
    EXPECT_EQ(seen.failure->reason, Reason::kHttpReset) << detail_of(seen);
  } else {
    EXPECT_EQ(seen.http->status, 413);
  }
}

TEST_F(HttpProbing, KeepsSixtyFourKibOfTheBodyUnlessAnAssertionLooksAtIt) {
  const std::string body(200'000, 'b');
  const LoopbackServer server{
      respond(fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", body.size(), body))};
  const Observation cut = run(at(server.port()));
  ASSERT_TRUE(cut.http) << detail_of(cut);
  EXPECT_EQ(cut.http->body.size(), 64U * 1024);
  EXPECT_EQ(cut.http->body_bytes, body.size());
  EXPECT_TRUE(cut.http->body_cut);

  ProbeSpec spec;
  spec.target = at(server.port());
  spec.assertions.all = {*assertion::parse_condition("body contains b", spec.target)};
  const Observation whole = run_spec(spec);
  ASSERT_TRUE(whole.http);
  EXPECT_EQ(whole.http->body, body);
  EXPECT_FALSE(whole.http->body_cut);
}

TEST_F(HttpProbing, AHeadRequestHasNoBodyToWaitFor) {
  const LoopbackServer server{[](Peer& peer) {
    peer.read_until("\r\n\r\n");
    peer.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    peer.stall();
  }};
  HttpTarget target = at(server.port());
  target.method = "HEAD";
  EXPECT_EQ(run(target).failure, std::nullopt);
}

TEST_F(HttpProbing, FollowsRedirectsAndCountsThem) {
  std::vector<std::string> lines;
  {
    const LoopbackServer server{[&lines](Peer& peer) {
      const std::string request = peer.read_until("\r\n\r\n");
      const std::string line = request.substr(0, request.find("\r\n"));
      lines.push_back(line);
      const bool last = line.find("/end") != std::string::npos;
      peer.write(last ? kOk : "HTTP/1.1 302 Found\r\nLocation: end?x\r\nContent-Length: 0\r\n\r\n");
      peer.close();
    }};
    HttpTarget target = at(server.port(), "/a/start");
    target.method = "POST";
    target.body = "b";
    const Observation seen = run(target);
    ASSERT_TRUE(seen.http) << detail_of(seen);
    EXPECT_EQ(seen.http->status, 200);
    EXPECT_EQ(seen.http->redirects, 1U);
  }
  EXPECT_EQ(lines, (std::vector<std::string>{"POST /a/start HTTP/1.1", "GET /a/end?x HTTP/1.1"}));
}

TEST_F(HttpProbing, ARedirectIsTheAnswerWhenNoneAreFollowed) {
  const LoopbackServer server{
      respond("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n")};
  HttpTarget target = at(server.port());
  target.redirects_max = 0;
  const Observation seen = run(target);
  ASSERT_TRUE(seen.http) << detail_of(seen);
  EXPECT_EQ(seen.http->status, 302);
  EXPECT_EQ(server.accepted(), 1);
}

TEST_F(HttpProbing, GivesUpOnTooManyRedirects) {
  const LoopbackServer server{
      respond("HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")};
  HttpTarget target = at(server.port());
  target.redirects_max = 3;
  const Observation seen = run(target);
  EXPECT_EQ(seen.failure, (Failure{Reason::kHttpTooManyRedirects,
                                   "more than 3 redirects; the last goes to /again"}));
  EXPECT_EQ(server.accepted(), 4);
  ASSERT_TRUE(seen.http);
  EXPECT_EQ(seen.http->status, 302);
}

TEST_F(HttpProbing, RefusesRedirectsToWhatItWouldNotRequest) {
  for (const char* location : {"ftp://127.0.0.1/", "http://u:p@127.0.0.1/", "http://0x7f.1/",
                               "javascript:alert(1)", "http://"}) {
    const LoopbackServer server{respond(
        fmt::format("HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", location))};
    EXPECT_EQ(reason_of(run(at(server.port()))), Reason::kHttpBadRedirect) << location;
  }
}

TEST_F(HttpProbing, ARedirectIsJudgedByTheEgressPolicyAgain) {
  open({.egress = *EgressPolicy::parse("private", {"127.0.0.1/32"}, {})});
  const LoopbackServer inner{respond(kOk), "127.0.0.2"};
  const LoopbackServer server{respond(fmt::format(
      "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2:{}/\r\nContent-Length: 0\r\n\r\n",
      inner.port()))};
  const Observation seen = run(at(server.port()));
  EXPECT_EQ(reason_of(seen), Reason::kPolicyDeniedAddress);
  EXPECT_EQ(inner.accepted(), 0);
}

TEST_F(HttpProbing, CredentialsDoNotFollowToAnotherOrigin) {
  std::string second;
  {
    const LoopbackServer other{[&second](Peer& peer) {
      second = peer.read_until("\r\n\r\n");
      peer.write(kOk);
      peer.close();
    }};
    const LoopbackServer server{respond(fmt::format(
        "HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:{}/\r\nContent-Length: 0\r\n\r\n",
        other.port()))};
    HttpTarget target = at(server.port());
    target.headers = {{"Authorization", "Bearer s3cret"},
                      {"X-Api-Key", "s3cret"},
                      {"Cookie", "a=s3cret"},
                      {"Host", "s3cret.example"},
                      {"Accept", "text/plain"}};
    EXPECT_EQ(run(target).failure, std::nullopt);
  }
  EXPECT_EQ(second.find("s3cret"), std::string::npos) << second;
  EXPECT_NE(second.find("Accept: text/plain"), std::string::npos);
}

TEST_F(HttpProbing, DeniedAddressesAreNeverConnectedTo) {
  const LoopbackServer server{respond(kOk)};
  open_as_is({});  // Class public.
  EXPECT_EQ(
      run(at(server.port())).failure,
      (Failure{Reason::kPolicyDeniedAddress, "127.0.0.1 is not public: 127.0.0.0/8 (loopback)"}));
  const Observation named = [&] {
    HttpTarget target;
    target.url = fmt::format("http://localhost:{}/", server.port());
    return run(target);
  }();
  EXPECT_EQ(reason_of(named), Reason::kPolicyDeniedAddress);
  EXPECT_EQ(server.accepted(), 0);
}

TEST_F(HttpProbing, TriesTheNextAddressAndSaysSo) {
  const ScratchDir dir;
  std::ofstream{dir / "hosts"} << "127.0.0.2 two.example\n127.0.0.1 two.example\n";
  open({.hosts_path = dir / "hosts"});
  const LoopbackServer server{respond(kOk)};
  HttpTarget target;
  target.url = fmt::format("http://two.example:{}/", server.port());
  const Observation seen = run(target);
  EXPECT_EQ(seen.failure, std::nullopt) << detail_of(seen);
  EXPECT_EQ(seen.remote, fmt::format("127.0.0.1:{}", server.port()));
  EXPECT_EQ(
      seen.tried,
      (std::vector<std::string>{fmt::format("127.0.0.2:{}: connect.refused", server.port())}));
}

TEST_F(HttpProbing, AnAddressThatSwallowsPacketsDoesNotHideAGoodOne) {
  // 192.0.2.1 is never routed further than this machine's gateway; here the full port plays it.
  const test::FullPort full;
  const ScratchDir dir;
  std::ofstream{dir / "hosts"} << "127.0.0.1 two.example\n127.0.0.2 two.example\n";
  open({.hosts_path = dir / "hosts"});
  HttpTarget target;
  target.url = fmt::format("http://two.example:{}/", full.port());
  const Observation seen = run(target, 400ms);
  // The second address refuses while the first one still may answer.
  EXPECT_EQ(reason_of(seen), Reason::kConnectTimeout);
  EXPECT_EQ(seen.remote, fmt::format("127.0.0.1:{}", full.port()));
  EXPECT_EQ(seen.tried,
            (std::vector<std::string>{fmt::format("127.0.0.2:{}: connect.refused", full.port())}));

  const LoopbackServer good{respond(kOk), "127.0.0.2", full.port()};
  const Observation raced = run(target);
  EXPECT_EQ(raced.failure, std::nullopt) << detail_of(raced);
  EXPECT_EQ(raced.remote, fmt::format("127.0.0.2:{}", full.port()));
  EXPECT_GE(raced.phases.connect_us, 250'000U) << "the first has a start of 250 ms";
}

TEST_F(HttpProbing, TheFamiliesOfAddressesTakeTurns) {
  const test::ClosedPort closed;
  const ScratchDir dir;
  std::ofstream{dir / "hosts"} << "127.0.0.2 two.example\n127.0.0.3 two.example\n"
                               << "::1 two.example\n127.0.0.4 two.example\n";
  open({.hosts_path = dir / "hosts"});
  HttpTarget target;
  target.url = fmt::format("http://two.example:{}/", closed.port());
  const Observation seen = run(target);
  ASSERT_EQ(seen.tried.size(), 3U);
  EXPECT_TRUE(seen.tried[0].starts_with("127.0.0.2:")) << seen.tried[0];
  EXPECT_TRUE(seen.tried[1].starts_with("[::1]:")) << seen.tried[1];
  EXPECT_TRUE(seen.tried[2].starts_with("127.0.0.3:")) << seen.tried[2];
  EXPECT_TRUE(seen.remote.starts_with("127.0.0.4:")) << seen.remote;
}

TEST_F(HttpProbing, AsksTheConfiguredResolver) {
  const test::DnsServer dns{[](const test::DnsRequest& request) -> test::DnsReplies {
    if (request.name != "web.example") return {test::dns_response(request, 3, {})};
    if (request.type != 1) return {test::dns_response(request, 0, {})};
    return {test::dns_response(request, 0, {{"", DnsType::kA, 60, test::a_record(127, 0, 0, 1)}})};
  }};
  open({.dns_servers = {*io::DnsServer::parse(dns.address())}, .hosts_path = "/nonexistent"});
  const LoopbackServer server{respond(kOk)};
  HttpTarget target;
  target.url = fmt::format("http://web.example:{}/", server.port());
  const Observation seen = run(target);
  EXPECT_EQ(seen.failure, std::nullopt) << detail_of(seen);
  EXPECT_FALSE(seen.dns_cached);
  EXPECT_GT(seen.phases.dns_us, 0U);
  target.url = "http://gone.example/";
  EXPECT_EQ(run(target).failure,
            (Failure{Reason::kDnsNxdomain, "the resolver answered NXDOMAIN for gone.example"}));
}

TEST_F(HttpProbing, AResolverThatKeepsSilentIsATimeoutOfDns) {
  const test::DnsServer dns{[](const test::DnsRequest&) -> test::DnsReplies { return {}; }};
  open({.dns_servers = {*io::DnsServer::parse(dns.address())}, .hosts_path = "/nonexistent"});
  HttpTarget target;
  target.url = "http://web.example/";
  EXPECT_EQ(run(target, 150ms).failure,
            (Failure{Reason::kDnsTimeout, "no answer for web.example in time"}));
}

TEST_F(HttpProbing, AnAddressOfTheWrongFamilyIsNoAddress) {
  EXPECT_EQ(reason_of(run(at(1), 10s, IpFamily::kV6)), Reason::kConnectNoAddress);
}

TEST_F(HttpProbing, RunningOutOfDescriptorsIsOurOwnFault) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "UBSan opens a pipe to look at an object, and takes its failure for a bad one";
#endif
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const int next = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::close(next);
  const rlimit none{.rlim_cur = static_cast<rlim_t>(next), .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const Observation seen = run(at(1));
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(reason_of(seen), Reason::kSelfDescriptors);
}

TEST_F(HttpProbing, ASpecThatCannotBeRunIsNotTheTargetsFault) {
  HttpTarget target;
  target.url = "http://u@127.0.0.1/";
  EXPECT_EQ(reason_of(run(target)), Reason::kPolicyUnsupported);
  target.url = "http://127.0.0.1/";
  target.headers = {{"Transfer-Encoding", "chunked"}};
  EXPECT_EQ(reason_of(run(target)), Reason::kPolicyUnsupported);
}

TEST_F(HttpProbing, ADestroyedHandleIsSilentInEveryState) {
  const LoopbackServer server{[](Peer& peer) { peer.stall(); }};
  bool called = false;
  ProbeSpec spec;
  spec.target = at(server.port());
  const auto shared = std::make_shared<const ProbeSpec>(spec);
  for (const int turns : {0, 1, 2, 5, 20}) {
    auto handle = pool_->start(shared, 10s, [&called](const Observation&) { called = true; });
    for (int i = 0; i < turns; ++i) loop_.run_once(1ms);
    handle.reset();
    test::settle(loop_);
  }
  EXPECT_FALSE(called);
}

TEST_F(HttpProbing, TheCallbackMayDestroyTheHandle) {
  const LoopbackServer server{respond(kOk)};
  const test::ClosedPort closed;
  for (const std::uint16_t port : {server.port(), closed.port()}) {
    ProbeSpec spec;
    spec.target = at(port);
    std::unique_ptr<ProbeHandle> handle;
    bool done = false;
    handle = pool_->start(std::make_shared<const ProbeSpec>(spec), 10s, [&](const Observation&) {
      handle.reset();
      done = true;
    });
    EXPECT_TRUE(test::turn_until(loop_, [&] { return done; }));
  }
}

TEST_F(HttpProbing, ManyAttemptsRunAtOnce) {
  const LoopbackServer server{respond(kOk)};
  ProbeSpec spec;
  spec.target = at(server.port());
  const auto shared = std::make_shared<const ProbeSpec>(spec);
  std::vector<std::unique_ptr<ProbeHandle>> handles;
  int up = 0;
  int done = 0;
  for (int i = 0; i < 100; ++i) {
    handles.push_back(pool_->start(shared, 10s, [&](const Observation& seen) {
      ++done;
      if (!seen.failure) ++up;
    }));
  }
  EXPECT_TRUE(test::turn_until(loop_, [&] { return done == 100; }));
  EXPECT_EQ(up, 100);
}

}  // namespace
}  // namespace tocsin::agent
