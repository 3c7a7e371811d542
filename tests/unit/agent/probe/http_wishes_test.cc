// What a monitor may wish of an HTTP attempt, against servers that do not play along.

#include "agent/probe/secret_store.h"
#include "common/base/bytes.h"
#include "common/io/file.h"
#include "tests/support/http2_frames.h"
#include "tests/unit/agent/probe/probing.h"

namespace tocsin::agent {
namespace {

using namespace test;

class HttpWishes : public Probing {
 protected:
  static HttpTarget at(std::uint16_t port, const std::string& path = "/") {
    HttpTarget out;
    out.url = fmt::format("http://127.0.0.1:{}{}", port, path);
    return out;
  }

  static HttpTarget http2_at(std::uint16_t port) {
    HttpTarget out = at(port);
    out.version = HttpVersion::k2;
    return out;
  }

  /// Answers the preface and the request with these bytes, then closes.
  static LoopbackServer::Script frames(std::string bytes) {
    return [bytes = std::move(bytes)](Peer& peer) {
      peer.read_until("SM\r\n\r\n");
      peer.write(bytes);
      peer.close();
    };
  }
};

TEST_F(HttpWishes, Http2ByPriorKnowledge) {
  const LoopbackServer server{
      frames(h2_settings() + h2_head("200", h2_field("x-one", "a")) + h2_data("ok", true))};
  const Observation seen = run(http2_at(server.port()));
  EXPECT_EQ(seen.failure, std::nullopt) << detail_of(seen);
  ASSERT_TRUE(seen.http);
  EXPECT_EQ(seen.http->version, "2");
  EXPECT_EQ(seen.http->body, "ok");
}

TEST_F(HttpWishes, EveryWayToBreakHttp2HasItsReason) {
  std::string storm;
  for (int i = 0; i < 9; ++i) storm += h2_head("103");
  std::string flood;
  for (int i = 0; i < 101; ++i) flood += h2_field(fmt::format("x-{}", i), "v");

  struct Row {
    const char* what;
    std::string bytes;
    Reason reason;
  };

  const Row rows[] = {
      {"nothing", "", Reason::kHttpEmptyReply},
      {"settings alone", h2_settings(), Reason::kHttpEmptyReply},
      {"HTTP/1", "HTTP/1.1 400 Bad Request\r\n\r\n", Reason::kHttpVersion},
      {"garbage", std::string(100, 'x'), Reason::kHttpProtocol},
      {"cut", h2_settings() + h2_head("200") + h2_data("a", false), Reason::kHttpTruncated},
      {"reset", h2_settings() + h2_rst(7), Reason::kHttpStreamReset},
      {"goaway", h2_settings() + h2_goaway(0, 0, ""), Reason::kHttpGoaway},
      {"storm", h2_settings() + storm, Reason::kHttpTooManyInterim},
      {"flood", h2_settings() + h2_head("200", flood, true), Reason::kHttpHeadersTooLarge},
      {"status", h2_settings() + h2_head("999", "", true), Reason::kHttpProtocol},
  };
  for (const Row& row : rows) {
    const LoopbackServer server{frames(row.bytes)};
    const Observation seen = run(http2_at(server.port()));
    EXPECT_EQ(reason_of(seen), row.reason) << row.what << ": " << detail_of(seen);
  }
  const LoopbackServer silent{[](Peer& peer) { peer.stall(); }};
  EXPECT_EQ(reason_of(run(http2_at(silent.port()), 150ms)), Reason::kHttpTimeout);
}

TEST_F(HttpWishes, ASecretThatIsMissingIsTheAgentsAffair) {
  const LoopbackServer server{respond("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")};
  HttpTarget target = at(server.port());
  target.auth = {HttpAuth::Kind::kBearer, {}, SecretRef::file("token")};
  EXPECT_EQ(reason_of(run(target)), Reason::kPolicySecret);
  EXPECT_EQ(server.accepted(), 0);
}

TEST_F(HttpWishes, ASecretTooShortToBeToldApartIsNotSent) {
  const ScratchDir dir;
  ASSERT_TRUE(io::replace_file(dir / "token", as_bytes("abc\n")));
  open({.secrets_dir = dir.path()});
  const LoopbackServer server{respond("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")};
  HttpTarget target = at(server.port());
  target.auth = {HttpAuth::Kind::kBearer, {}, SecretRef::file("token")};
  const Observation seen = run(target);
  EXPECT_EQ(reason_of(seen), Reason::kPolicySecret);
  EXPECT_NE(detail_of(seen).find("secret file token: expected at least 4 bytes"), std::string::npos)
      << detail_of(seen);
  EXPECT_EQ(server.accepted(), 0);
}

TEST_F(HttpWishes, ThroughAProxyAnAddressIsJudgedAndANameIsTheProxysAffair) {
  const LoopbackServer proxy{
      respond("HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n"
              "Content-Length: 0\r\n\r\n")};
  open({.proxies = {{.name = "office",
                     .host = "127.0.0.1",
                     .host_is_address = true,
                     .port = proxy.port()}}});
  HttpTarget target;
  target.proxy = "office";
  for (const char* url : {"http://10.1.2.3/", "https://10.1.2.3/", "http://[fd00::1]/"}) {
    target.url = url;
    EXPECT_EQ(reason_of(run(target)), Reason::kPolicyDeniedAddress) << url;
  }
  EXPECT_EQ(proxy.accepted(), 0);
  target.url = "http://inside.example/";
  const Observation seen = run(target);
  EXPECT_EQ(reason_of(seen), Reason::kPolicyDeniedAddress) << detail_of(seen);
  EXPECT_NE(detail_of(seen).find("169.254.169.254"), std::string::npos) << detail_of(seen);
  EXPECT_EQ(proxy.accepted(), 1);
}

TEST_F(HttpWishes, ASecretIsSentAndStruckOutOfWhatComesBack) {
  const ScratchDir dir;
  ASSERT_TRUE(io::replace_file(dir / "password", as_bytes("open sesame\n")));
  open({.secrets_dir = dir.path()});
  std::string request;
  Observation seen;
  {
    const LoopbackServer server{[&request](Peer& peer) {
      request = peer.read_until("\r\n\r\n");
      peer.write(
          fmt::format("HTTP/1.1 302 open sesame\r\nX-Echo: open sesame\r\n"
                      "Location: ftp://open sesame/\r\nContent-Length: {}\r\n\r\n{}",
                      request.size(), request));
      peer.close();
    }};
    HttpTarget target = at(server.port());
    target.auth = {HttpAuth::Kind::kBasic, "ann", SecretRef::file("password")};
    seen = run(target);
  }
  const std::string basic = to_base64(as_bytes("ann:open sesame"));
  EXPECT_NE(request.find("Authorization: Basic " + basic), std::string::npos) << request;
  EXPECT_EQ(reason_of(seen), Reason::kHttpBadRedirect);
  EXPECT_EQ(detail_of(seen).find("sesame"), std::string::npos) << detail_of(seen);
  ASSERT_TRUE(seen.http);
  EXPECT_NE(seen.http->body.find("Basic ***"), std::string::npos) << seen.http->body;
  EXPECT_EQ(seen.http->body.find(basic), std::string::npos);
  EXPECT_EQ(*seen.http->headers.begin(), (Header{"x-echo", "***"}));
}

TEST_F(HttpWishes, ASecretOfTheCollectorIsSentAndStruckOutAndNeverTakenForAFile) {
  const ScratchDir dir;
  ASSERT_TRUE(io::replace_file(dir / "token", as_bytes("of the file\n")));
  SecretStore stored{io::Secret{"the agent's key"}};
  open({.secrets_dir = dir.path(), .stored = &stored});
  std::string request;
  Observation without;
  Observation seen;
  {
    const LoopbackServer server{[&request](Peer& peer) {
      request = peer.read_until("\r\n\r\n");
      peer.write(
          fmt::format("HTTP/1.1 500 No\r\nContent-Length: {}\r\n\r\n{}", request.size(), request));
      peer.close();
    }};
    HttpTarget target = at(server.port());
    target.auth = {HttpAuth::Kind::kBearer, {}, SecretRef::stored("token")};
    without = run(target);

    std::vector<AssignedSecret> sent{{"token", "open sesame"}};
    stored.seal(sent);
    EXPECT_EQ(sent[0].value.find("sesame"), std::string::npos);
    EXPECT_TRUE(stored.check(sent));
    EXPECT_FALSE(SecretStore{io::Secret{"another key"}}.check(sent));
    stored.replace({{"token", sent[0]}});
    seen = run(target);
  }
  EXPECT_EQ(reason_of(without), Reason::kPolicySecret);
  EXPECT_EQ(detail_of(without),
            "secret token: the collector has none of that name that it can open");
  EXPECT_NE(request.find("Authorization: Bearer open sesame"), std::string::npos) << request;
  ASSERT_TRUE(seen.http);
  EXPECT_EQ(seen.http->body.find("sesame"), std::string::npos) << seen.http->body;
  EXPECT_NE(seen.http->body.find("Bearer ***"), std::string::npos);
}

TEST_F(HttpWishes, AKeptConnectionIsUsedAgainAndReplacedWhenItHasClosed) {
  const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  const LoopbackServer server{[&answer](Peer& peer) {
    for (int i = 0; i < 2; ++i) {
      if (peer.read_until("\r\n\r\n").empty()) return;
      peer.write(answer);
    }
    peer.close();
  }};
  HttpTarget target = at(server.port());
  target.connection = ConnectionMode::kReuse;
  std::vector<ConnectionUse> uses;
  for (int i = 0; i < 4; ++i) {
    const Observation seen = run(target);
    ASSERT_TRUE(seen.http && !seen.failure) << detail_of(seen);
    uses.push_back(seen.http->connection);
  }
  using enum ConnectionUse;
  EXPECT_EQ(uses, (std::vector{kCold, kReused, kCold, kReused}));
  HttpTarget cold = target;
  cold.connection = ConnectionMode::kCold;
  EXPECT_EQ(run(cold).http->connection, kCold);
}

TEST_F(HttpWishes, WhatTheAgentDoesNotHaveOrAllowIsNoFaultOfTheTarget) {
  HttpTarget target = at(1);
  target.proxy = "office";
  EXPECT_EQ(reason_of(run(target)), Reason::kPolicyProxyUnknown);
  target.proxy.clear();
  target.resolver = "192.0.2.1";
  EXPECT_EQ(reason_of(run(target)), Reason::kPolicyDeniedAddress);
  const ClosedPort closed;
  open({.proxies = {{"office", "127.0.0.1", true, closed.port(), {}, {}}}});
  target.resolver.clear();
  target.proxy = "office";
  const Observation seen = run(target);
  EXPECT_EQ(reason_of(seen), Reason::kPolicyProxy);
  EXPECT_NE(detail_of(seen).find("connect.refused"), std::string::npos) << detail_of(seen);
}

}  // namespace
}  // namespace tocsin::agent
