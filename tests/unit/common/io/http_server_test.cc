#include "common/io/http_server.h"

#include "tests/support/loopback_client.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <vector>

namespace tocsin::io {
namespace {

using test::LoopbackClient;
using test::ManualClock;
using test::settle;
using test::turn_until;

std::string get(std::string_view path, std::string_view more = "") {
  return fmt::format("GET {} HTTP/1.1\r\nHost: x\r\n{}\r\n", path, more);
}

std::size_t count(std::string_view text, std::string_view word) {
  std::size_t n = 0;
  for (std::size_t at = text.find(word); at != std::string_view::npos;
       at = text.find(word, at + 1)) {
    ++n;
  }
  return n;
}

class HttpServerTest : public testing::Test {
 protected:
  void open(HttpServerOptions options = {}) {
    options.listen = "127.0.0.1:0";
    auto opened = HttpServer::open(loop, options, [this](codec::HttpRequest r, HttpResponder out) {
      on_request(std::move(r), std::move(out));
    });
    ASSERT_TRUE(opened) << opened.error().text;
    server = *std::move(opened);
  }

  void on_request(codec::HttpRequest request, HttpResponder responder) {
    seen.push_back(request.path);
    if (request.path == "/watched") {
      responder.on_gone([this] { ++left; });
      kept.push_back(std::move(responder));
    } else if (request.path == "/later") {
      kept.push_back(std::move(responder));
    } else if (request.path == "/big") {
      std::move(responder).send(HttpResponse::text(200, std::string(big, 'b')));
    } else if (request.path == "/tagged") {
      HttpResponse r = HttpResponse::text(200, "tagged");
      r.etag = true;
      std::move(responder).send(std::move(r));
    } else if (request.path == "/evil") {
      HttpResponse r = HttpResponse::text(200, "evil");
      r.headers.push_back({"X-Name", "a\r\nSet-Cookie: b"});
      std::move(responder).send(std::move(r));
    } else if (request.path != "/drop") {
      std::move(responder).send(HttpResponse::text(200, request.path + ":" + request.body));
    }
  }

  LoopbackClient connect(int receive_buffer = 0) {
    return LoopbackClient{loop, server->port(), receive_buffer};
  }

  ManualClock clock;
  EventLoop loop{clock};
  std::vector<std::string> seen;
  std::vector<HttpResponder> kept;
  std::size_t big = 0;
  int left = 0;
  std::unique_ptr<HttpServer> server;
};

TEST_F(HttpServerTest, AnswersWithLengthDateAndTheHeadersThatKeepABrowserTame) {
  open();
  LoopbackClient c = connect();
  c.send(get("/a", "Connection: close\r\n"));
  EXPECT_EQ(c.read_all(),
            "HTTP/1.1 200 OK\r\n"
            "Date: Sat, 21 Nov 2026 03:00:00 GMT\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n"
            "Content-Length: 3\r\n"
            "Cache-Control: no-store\r\n"
            "X-Content-Type-Options: nosniff\r\n"
            "Referrer-Policy: no-referrer\r\n"
            "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
            "Connection: close\r\n"
            "\r\n"
            "/a:");
}

TEST_F(HttpServerTest, KeepsAConnectionAndAnswersPipelinedRequestsInOrder) {
  open();
  LoopbackClient c = connect();
  std::string many;
  for (int i = 0; i < 50; ++i) many += get("/" + std::to_string(i));
  many += get("/end", "Connection: close\r\n");
  c.send(many);
  const std::string got = c.read_all();
  EXPECT_EQ(count(got, "HTTP/1.1 200 OK"), 51U);
  std::size_t at = 0;
  for (int i = 0; i < 50; ++i) {
    at = got.find("\r\n\r\n/" + std::to_string(i) + ":", at);
    ASSERT_NE(at, std::string::npos) << i;
  }
  EXPECT_EQ(server->stats().accepted, 1U);
}

TEST_F(HttpServerTest, ALateAnswerKeepsTheOrderOfPipelinedRequests) {
  open();
  LoopbackClient c = connect();
  c.send(get("/later") + get("/second", "Connection: close\r\n"));
  ASSERT_TRUE(turn_until(loop, [&] { return kept.size() == 1; }));
  settle(loop);
  EXPECT_EQ(seen, (std::vector<std::string>{"/later"})) << "the second one waits";
  std::move(kept[0]).send(HttpResponse::text(200, "first"));
  const std::string got = c.read_all();
  EXPECT_LT(got.find("first"), got.find("/second:"));
}

TEST_F(HttpServerTest, AnAnswerMayComeFromAnotherThread) {
  open();
  LoopbackClient c = connect();
  c.send(get("/later", "Connection: close\r\n"));
  ASSERT_TRUE(turn_until(loop, [&] { return kept.size() == 1; }));
  std::jthread other{[&] { std::move(kept[0]).post(HttpResponse::text(200, "from afar")); }};
  EXPECT_NE(c.read_all().find("from afar"), std::string::npos);
}

TEST_F(HttpServerTest, ADroppedResponderAnswersThatItIsUnavailable) {
  open();
  LoopbackClient c = connect();
  c.send(get("/drop", "Connection: close\r\n"));
  EXPECT_TRUE(c.read_all().starts_with("HTTP/1.1 503 Service Unavailable"));
}

TEST_F(HttpServerTest, WhoeverWorksForAClientHearsThatItHasLeft) {
  open();
  {
    LoopbackClient c = connect();
    c.send(get("/watched"));
    ASSERT_TRUE(turn_until(loop, [&] { return kept.size() == 1; }));
    settle(loop);
    EXPECT_EQ(left, 0);
  }
  ASSERT_TRUE(turn_until(loop, [&] { return left == 1; }));
  EXPECT_EQ(server->stats().open, 0U);
  std::move(kept.back()).send(HttpResponse::text(200, "too late"));
  settle(loop);
  EXPECT_EQ(left, 1);
}

TEST_F(HttpServerTest, AClientThatIsAnsweredOrAsksOnIsNotSaidToHaveLeft) {
  open();
  LoopbackClient c = connect();
  c.send(get("/watched") + get("/next", "Connection: close\r\n"));
  ASSERT_TRUE(turn_until(loop, [&] { return kept.size() == 1; }));
  settle(loop);
  std::move(kept.back()).send(HttpResponse::text(200, "here"));
  const std::string got = c.read_all();
  EXPECT_NE(got.find("here"), std::string::npos);
  EXPECT_NE(got.find("/next:"), std::string::npos);
  settle(loop);
  EXPECT_EQ(left, 0);
}

TEST_F(HttpServerTest, AHeadIsAnsweredWithTheLengthAndWithoutTheBody) {
  open();
  LoopbackClient c = connect();
  c.send("HEAD /abc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string got = c.read_all();
  EXPECT_NE(got.find("Content-Length: 5\r\n"), std::string::npos);
  EXPECT_TRUE(got.ends_with("\r\n\r\n")) << got;
}

TEST_F(HttpServerTest, ReadsABodyAndAsksForItWhenTheClientWaits) {
  open();
  LoopbackClient c = connect();
  c.send("POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  ASSERT_TRUE(c.read_until("HTTP/1.1 100 Continue\r\n\r\n"));
  c.send("body");
  EXPECT_TRUE(c.read_until("/p:body"));
  EXPECT_EQ(count(c.received(), "100 Continue"), 1U);
}

TEST_F(HttpServerTest, SaysNotModifiedToWhoHasItAlready) {
  open();
  LoopbackClient c = connect();
  c.send(get("/tagged"));
  ASSERT_TRUE(c.read_until("\r\n\r\ntagged"));
  const std::size_t at = c.received().find("ETag: ") + 6;
  const std::string tag = c.received().substr(at, c.received().find("\r\n", at) - at);
  c.take();
  c.send(get("/tagged", "If-None-Match: \"other\", W/" + tag + "\r\nConnection: close\r\n"));
  const std::string got = c.read_all();
  EXPECT_TRUE(got.starts_with("HTTP/1.1 304 Not Modified\r\n")) << got;
  EXPECT_EQ(got.find("Content-Length"), std::string::npos);
  EXPECT_TRUE(got.ends_with("\r\n\r\n"));
}

TEST_F(HttpServerTest, AHeadersValueCannotAddAHeader) {
  open();
  LoopbackClient c = connect();
  c.send(get("/evil", "Connection: close\r\n"));
  const std::string got = c.read_all();
  EXPECT_EQ(got.find("\r\nSet-Cookie"), std::string::npos);
  EXPECT_NE(got.find("X-Name: a??Set-Cookie: b\r\n"), std::string::npos);
}

TEST_F(HttpServerTest, ServesHttp10AndClosesUnlessAskedToKeep) {
  open();
  LoopbackClient c = connect();
  c.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  ASSERT_TRUE(c.read_until("/a:"));
  EXPECT_NE(c.take().find("Connection: keep-alive\r\n"), std::string::npos);
  c.send("GET /b HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(c.read_all().ends_with("/b:"));
}

struct Bad {
  const char* name;
  std::string bytes;
  int status;
};

void PrintTo(const Bad& b, std::ostream* out) { *out << b.name; }

class HttpServerRefuses : public HttpServerTest, public testing::WithParamInterface<Bad> {};

TEST_P(HttpServerRefuses, AnswersOnceAndNeverReachesTheHandler) {
  open();
  LoopbackClient c = connect();
  // What follows would be the smuggled request.
  c.send(GetParam().bytes + get("/smuggled"));
  const std::string got = c.read_all();
  EXPECT_TRUE(got.starts_with(fmt::format("HTTP/1.1 {} ", GetParam().status))) << got;
  EXPECT_NE(got.find("application/problem+json"), std::string::npos);
  EXPECT_EQ(count(got, "\r\nDate: "), 1U) << got;
  EXPECT_TRUE(seen.empty()) << seen[0];
  EXPECT_EQ(server->stats().refused, 1U);
}

INSTANTIATE_TEST_SUITE_P(
    Table, HttpServerRefuses,
    testing::Values(
        Bad{"LengthBesideChunked",
            "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nTransfer-Encoding: "
            "chunked\r\n\r\n0\r\n\r\n",
            400},
        Bad{"TwoLengths",
            "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 30\r\n\r\n", 400},
        Bad{"LengthWithPlus", "POST /d HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc", 400},
        Bad{"FoldedHeader", "GET /e HTTP/1.1\r\nHost: x\r\nX-A: one\r\n two\r\n\r\n", 400},
        Bad{"BareLineFeed", "GET /f HTTP/1.1\nHost: x\n\n", 400},
        Bad{"SpaceBeforeColon", "GET /g HTTP/1.1\r\nHost : x\r\n\r\n", 400},
        Bad{"TwoHosts", "GET /h HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
        Bad{"NoHost", "GET /i HTTP/1.1\r\n\r\n", 400},
        Bad{"AnotherHostsUrl", "GET http://169.254.169.254/o HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Bad{"ChunkSizeWithPlus",
            "POST /l HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
            "chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n",
            400},
        Bad{"BodyTooLarge", "POST /m HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n", 413},
        Bad{"LongLine", "GET /" + std::string(9000, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n", 414},
        Bad{"HeadersTooLarge",
            "GET / HTTP/1.1\r\nHost: x\r\nX-A: " + std::string(40'000, 'a') + "\r\n\r\n", 431},
        Bad{"Trace", "TRACE /q HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Bad{"Http2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400}),
    [](const auto& c) { return std::string{c.param.name}; });

TEST_F(HttpServerTest, ATricklingHeaderIsCutAtItsDeadlineHoweverItTrickles) {
  open();
  LoopbackClient c = connect();
  c.send("GET / HTTP/1.1\r\nHost: x\r\n");
  settle(loop);
  for (int i = 0; i < 9; ++i) {
    clock.advance(1s);
    c.send("X: 1\r\n");
    settle(loop);
    ASSERT_TRUE(c.read_some()) << "after " << i + 1 << " s";
  }
  clock.advance(1s);
  EXPECT_TRUE(c.read_all().starts_with("HTTP/1.1 408 Request Timeout"));
  EXPECT_EQ(server->stats().timed_out, 1U);
}

TEST_F(HttpServerTest, AConnectionThatNeverAsksIsClosedWithoutAWord) {
  open();
  LoopbackClient c = connect();
  settle(loop);
  clock.advance(10s);
  EXPECT_EQ(c.read_all(), "");
}

TEST_F(HttpServerTest, ATricklingBodyIsCutAtItsDeadline) {
  open();
  LoopbackClient c = connect();
  c.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\na");
  settle(loop);
  clock.advance(29s);
  c.send("b");
  settle(loop);
  ASSERT_TRUE(c.read_some());
  clock.advance(1s);
  EXPECT_TRUE(c.read_all().starts_with("HTTP/1.1 408 "));
}

TEST_F(HttpServerTest, EveryRequestOfAConnectionHasAHeaderDeadlineOfItsOwn) {
  open();
  LoopbackClient c = connect();
  for (int i = 0; i < 5; ++i) {
    const std::string whole = get("/x");
    c.send(whole.substr(0, 10));
    settle(loop);
    clock.advance(6s);
    c.send(whole.substr(10) + whole.substr(0, 5));  // Ends this one and begins the next.
    ASSERT_TRUE(c.read_until("/x:")) << i;
    c.take();
    clock.advance(6s);
    c.send(whole.substr(5));
    ASSERT_TRUE(c.read_until("/x:")) << i;
    c.take();
  }
}

TEST_F(HttpServerTest, AnIdleConnectionIsKeptForItsDeadlineAndNotLonger) {
  open();
  LoopbackClient c = connect();
  c.send(get("/a"));
  ASSERT_TRUE(c.read_until("/a:"));
  settle(loop);
  clock.advance(74s);
  settle(loop);
  EXPECT_TRUE(c.read_some());
  clock.advance(1s);
  EXPECT_TRUE(c.closes());
  EXPECT_EQ(server->stats().open, 0U);
}

TEST_F(HttpServerTest, AHandlerThatNeverAnswersIsAnsweredFor) {
  open();
  LoopbackClient c = connect();
  c.send(get("/later"));
  ASSERT_TRUE(turn_until(loop, [&] { return kept.size() == 1; }));
  settle(loop);
  clock.advance(30s);
  EXPECT_TRUE(c.read_all().starts_with("HTTP/1.1 503 "));
  std::move(kept[0]).send(HttpResponse::text(200, "too late"));  // Falls on the floor.
  settle(loop);
}

TEST_F(HttpServerTest, ASlowReaderHoldsItsOwnAnswerAndNothingElse) {
  open({.listen = "", .send_buffer_bytes = 16 * 1024});
  big = 4 << 20;
  LoopbackClient slow = connect(8 * 1024);
  slow.send(get("/big") + get("/after"));
  ASSERT_TRUE(turn_until(loop, [&] { return !seen.empty(); }));
  settle(loop);
  EXPECT_GT(server->stats().unsent_bytes, 1U << 20);
  EXPECT_EQ(seen.size(), 1U) << "the next request of the slow reader is not even read";

  LoopbackClient quick = connect();
  quick.send(get("/quick", "Connection: close\r\n"));
  EXPECT_NE(quick.read_all().find("/quick:"), std::string::npos);

  ASSERT_TRUE(slow.read_until("/after:"));
  EXPECT_NE(slow.received().find(std::string(big, 'b') + "HTTP/1.1 200 OK"), std::string::npos);
  EXPECT_EQ(server->stats().unsent_bytes, 0U);
}

TEST_F(HttpServerTest, AReaderThatStopsIsCutAfterTheTimeItsAnswerMayTake) {
  open({.listen = "", .write_bytes_per_second = 1 << 20, .send_buffer_bytes = 16 * 1024});
  big = 4 << 20;
  LoopbackClient c = connect(8 * 1024);
  c.send(get("/big"));
  ASSERT_TRUE(turn_until(loop, [&] { return !seen.empty(); }));
  settle(loop);
  clock.advance(19s);
  settle(loop);
  EXPECT_EQ(server->stats().open, 1U);
  clock.advance(5s);
  settle(loop);
  EXPECT_EQ(server->stats().open, 0U);
  EXPECT_EQ(server->stats().unsent_bytes, 0U);
}

TEST_F(HttpServerTest, UnsentAnswersTogetherAreBounded) {
  open({.listen = "", .unsent_bytes_max = 3 << 20, .send_buffer_bytes = 16 * 1024});
  big = 2 << 20;
  LoopbackClient first = connect(8 * 1024);
  first.send(get("/big"));
  ASSERT_TRUE(turn_until(loop, [&] { return seen.size() == 1; }));
  LoopbackClient second = connect(8 * 1024);
  second.send(get("/big", "Connection: close\r\n"));
  EXPECT_TRUE(second.read_all().starts_with("HTTP/1.1 503 "));
}

TEST_F(HttpServerTest, AtItsBoundTheConnectionThatWaitsLongestWithoutARequestGivesWay) {
  open({.listen = "", .connections_max = 3});
  LoopbackClient working = connect();
  working.send(get("/later"));
  ASSERT_TRUE(turn_until(loop, [&] { return kept.size() == 1; }));
  LoopbackClient silent = connect();
  ASSERT_TRUE(turn_until(loop, [&] { return server->stats().open == 2; }));
  LoopbackClient answered = connect();
  answered.send(get("/one"));
  ASSERT_TRUE(answered.read_until("/one:"));
  // Who has been answered once and says nothing more goes before who has not spoken yet.
  LoopbackClient fourth = connect();
  fourth.send(get("/fourth"));
  ASSERT_TRUE(fourth.read_until("/fourth:"));
  EXPECT_EQ(answered.read_all().find("/two"), std::string::npos) << "it was closed";
  silent.send("GET /sil");
  LoopbackClient fifth = connect();
  fifth.send(get("/fifth"));
  ASSERT_TRUE(fifth.read_until("/fifth:"));
  EXPECT_EQ(server->stats().displaced, 2U);
  std::move(kept[0]).send(HttpResponse::text(200, "still here"));
  EXPECT_TRUE(working.read_until("still here"));
  silent.send("ent HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(silent.read_until("/silent:"));
}

TEST_F(HttpServerTest, WhenEveryConnectionHasARequestItStopsAcceptingUntilOneLeaves) {
  open({.listen = "", .connections_max = 3});
  std::vector<std::unique_ptr<LoopbackClient>> held;
  for (int i = 0; i < 3; ++i) {
    held.push_back(std::make_unique<LoopbackClient>(loop, server->port()));
    held.back()->send(get("/later"));
  }
  ASSERT_TRUE(turn_until(loop, [&] { return kept.size() == 3; }));
  LoopbackClient fourth = connect();
  ASSERT_TRUE(fourth.connected()) << "the kernel's queue holds it";
  fourth.send(get("/fourth", "Connection: close\r\n"));
  settle(loop);
  EXPECT_EQ(server->stats().open, 3U);
  EXPECT_EQ(server->stats().accept_pauses, 1U) << "it waits and does not spin";
  std::move(kept[0]).send(HttpResponse::text(200, "done"));
  EXPECT_NE(fourth.read_all().find("/fourth:"), std::string::npos);
}

TEST_F(HttpServerTest, WithoutFreeDescriptorsItTurnsAwayAndPausesInsteadOfSpinning) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "UBSan opens a pipe to look at an object, and takes its failure for a bad one";
#endif
  open();
  LoopbackClient c = connect();
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  // Every descriptor below the new limit is in use: accepting must fail with EMFILE.
  const Fd probe{::dup(0)};
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(probe.get() + 1);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
  EXPECT_TRUE(turn_until(loop, [&] { return server->stats().accept_pauses == 1; }));
  settle(loop);
  EXPECT_EQ(server->stats().accept_pauses, 1U);
  EXPECT_TRUE(c.closes());
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);

  clock.advance(1s);
  LoopbackClient later = connect();
  later.send(get("/later-on", "Connection: close\r\n"));
  EXPECT_NE(later.read_all().find("/later-on:"), std::string::npos);
}

TEST_F(HttpServerTest, DrainsByEndingWhatIsUnderWayAndClosingWhatIsIdle) {
  open();
  LoopbackClient idle = connect();
  idle.send(get("/a"));
  ASSERT_TRUE(idle.read_until("/a:"));
  LoopbackClient busy = connect();
  busy.send(get("/later"));
  ASSERT_TRUE(turn_until(loop, [&] { return kept.size() == 1; }));

  bool drained = false;
  const std::uint16_t port = server->port();
  server->drain(25s, [&] { drained = true; });
  EXPECT_FALSE(drained);
  EXPECT_TRUE(idle.closes());
  EXPECT_FALSE((LoopbackClient{loop, port}.connected()));
  settle(loop);
  EXPECT_FALSE(drained);

  std::move(kept[0]).send(HttpResponse::text(200, "last"));
  const std::string got = busy.read_all();
  EXPECT_NE(got.find("Connection: close\r\n"), std::string::npos);
  EXPECT_TRUE(got.ends_with("last"));
  // The client has hung up too; the linger of the server ends with it.
  { const LoopbackClient gone = std::move(busy); }
  EXPECT_TRUE(turn_until(loop, [&] { return drained; }));
}

TEST_F(HttpServerTest, ADrainEndsAtItsGraceWhateverIsUnderWay) {
  open();
  LoopbackClient busy = connect();
  busy.send(get("/later"));
  ASSERT_TRUE(turn_until(loop, [&] { return kept.size() == 1; }));
  bool drained = false;
  server->drain(25s, [&] { drained = true; });
  clock.advance(25s);
  EXPECT_TRUE(turn_until(loop, [&] { return drained; }));
  EXPECT_TRUE(busy.closes());
}

TEST_F(HttpServerTest, ATakenAddressIsAnErrorThatNamesIt) {
  open();
  const std::string listen = fmt::format("127.0.0.1:{}", server->port());
  const auto second = HttpServer::open(loop, {.listen = listen}, [](auto, auto) {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::kExists);
  EXPECT_NE(second.error().text.find(listen), std::string::npos);
}

TEST_F(HttpServerTest, AMalformedListenAddressIsAnError) {
  for (const std::string listen : {"", "7400", "127.0.0.1", "127.0.0.1:", "127.0.0.1:70000",
                                   "127.0.0.1:-1", "somewhere:80", "127.0.0.1:1x"}) {
    const auto opened = HttpServer::open(loop, {.listen = listen}, [](auto, auto) {});
    ASSERT_FALSE(opened) << listen;
    EXPECT_EQ(opened.error().code, Errc::kInvalid) << listen;
  }
}

TEST_F(HttpServerTest, AClientThatStopsWritingStillHearsItsAnswer) {
  open();
  LoopbackClient c = connect();
  c.send(get("/half"));
  c.shut_down_writing();
  EXPECT_TRUE(c.read_all().ends_with("/half:"));
}

TEST_F(HttpServerTest, ListensOnIpv6) {
  HttpServerOptions options;
  options.listen = "[::1]:0";
  const auto opened = HttpServer::open(loop, options, [](auto, auto) {});
  if (!opened) GTEST_SKIP() << opened.error().text;
  EXPECT_GT((*opened)->port(), 0);
}

}  // namespace
}  // namespace tocsin::io
