// Streamed answers (HS6), connections of one address (HS3) and the bound of one turn (HS7).

#include "common/io/http_server.h"
#include "tests/support/loopback_client.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace tocsin::io {
namespace {

using test::LoopbackClient;
using test::ManualClock;
using test::settle;
using test::turn_until;

constexpr std::string_view kAsk = "GET /events HTTP/1.1\r\nHost: x\r\n\r\n";

std::string get(std::string_view path) {
  return fmt::format("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", path);
}

HttpResponse event_head() {
  HttpResponse head;
  head.content_type = "text/event-stream";
  head.body = "retry: 3000\n\n";
  return head;
}

class HttpStreamTest : public testing::Test {
 protected:
  void open(HttpServerOptions options = {}) {
    options.listen = "127.0.0.1:0";
    auto opened = HttpServer::open(loop, options, [this](codec::HttpRequest r, HttpResponder out) {
      ++handled;
      if (r.path != "/events") {
        return std::move(out).send(HttpResponse::text(200, r.peer + r.path));
      }
      auto stream = std::move(out).start_stream(event_head());
      if (!stream) return;
      stream->on_close([this] { ++closed; });
      if (greet) stream->send("hello\n\n");
      streams.push_back(std::move(stream));
    });
    ASSERT_TRUE(opened) << opened.error().text;
    server = *std::move(opened);
  }

  std::unique_ptr<LoopbackClient> connect(std::string_view ask = kAsk, int receive_buffer = 0) {
    auto client = std::make_unique<LoopbackClient>(loop, server->port(), receive_buffer);
    client->send(ask);
    return client;
  }

  /// Sends until the client's buffers are full and at least `bytes` wait here.
  void stall(HttpStream& stream, std::size_t bytes) {
    const HttpPiece piece{std::string(8 * 1024, 's')};
    for (int i = 0; i < 10'000 && stream.open() && stream.buffered() < bytes; ++i) {
      stream.send(piece);
    }
  }

  ManualClock clock;
  EventLoop loop{clock};
  int handled = 0;
  int closed = 0;
  bool greet = false;
  std::unique_ptr<HttpServer> server;
  std::vector<std::unique_ptr<HttpStream>> streams;
};

TEST_F(HttpStreamTest, SendsItsHeadAtOnceAndEachPieceAsAChunk) {
  open();
  greet = true;
  auto c = connect();
  ASSERT_TRUE(c->read_until("7\r\nhello\n\n\r\n"));
  EXPECT_EQ(c->take(),
            "HTTP/1.1 200 OK\r\n"
            "Date: Sat, 21 Nov 2026 03:00:00 GMT\r\n"
            "Content-Type: text/event-stream\r\n"
            "Transfer-Encoding: chunked\r\n"
            "Cache-Control: no-store\r\n"
            "X-Content-Type-Options: nosniff\r\n"
            "Referrer-Policy: no-referrer\r\n"
            "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
            "Connection: close\r\n"
            "\r\n"
            "d\r\nretry: 3000\n\n\r\n"
            "7\r\nhello\n\n\r\n");
  streams[0]->send("data: 1\n\n");
  EXPECT_EQ(streams[0]->buffered(), 0U) << "the client takes it at once";
  ASSERT_TRUE(c->read_until("9\r\ndata: 1\n\n\r\n"));
  streams[0]->close();
  EXPECT_FALSE(streams[0]->open());
  EXPECT_TRUE(c->read_all().ends_with("\r\n0\r\n\r\n"));
  EXPECT_EQ(closed, 0) << "who closes is not told";
  EXPECT_EQ(server->stats().streams, 0U);
}

TEST_F(HttpStreamTest, ToHttp10ItIsPlainBytesUntilTheConnectionCloses) {
  open();
  auto c = connect("GET /events HTTP/1.0\r\n\r\n");
  ASSERT_TRUE(turn_until(loop, [&] { return streams.size() == 1; }));
  streams[0]->send("data: 1\n\n");
  streams.clear();
  EXPECT_TRUE(c->read_all().ends_with("\r\n\r\nretry: 3000\n\ndata: 1\n\n"));
  EXPECT_EQ(c->received().find("chunked"), std::string::npos);
}

TEST_F(HttpStreamTest, AHeadIsAnsweredByTheHeadAlone) {
  open();
  auto c = connect("HEAD /events HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(c->read_all().ends_with("\r\n\r\n"));
  EXPECT_TRUE(streams.empty());
}

TEST_F(HttpStreamTest, OnePieceGoesToManyStreams) {
  open();
  std::vector<std::unique_ptr<LoopbackClient>> clients;
  for (int i = 0; i < 50; ++i) clients.push_back(connect());
  ASSERT_TRUE(turn_until(loop, [&] { return streams.size() == 50; }));
  settle(loop);
  const HttpPiece piece{"data: for all\n\n"};
  for (const auto& stream : streams) stream->send(piece);
  for (const auto& client : clients) EXPECT_TRUE(client->read_until("f\r\ndata: for all\n\n\r\n"));
}

TEST_F(HttpStreamTest, HasNoDeadlineAsLongAsItsReaderTakesEverything) {
  open();
  auto c = connect();
  ASSERT_TRUE(c->read_until("retry"));
  clock.advance(24h);
  settle(loop);
  streams[0]->send("data: still\n\n");
  EXPECT_TRUE(c->read_until("data: still"));
  EXPECT_EQ(server->stats().timed_out, 0U);
}

TEST_F(HttpStreamTest, AClientThatLeavesIsToldToTheOwnerInALaterTurn) {
  open();
  auto c = connect();
  ASSERT_TRUE(c->read_until("retry"));
  c.reset();
  EXPECT_TRUE(turn_until(loop, [&] { return closed == 1; }));
  EXPECT_FALSE(streams[0]->open());
  streams[0]->send("into the void");  // Nothing happens.
  EXPECT_EQ(server->stats().open, 0U);
}

TEST_F(HttpStreamTest, TheOwnerMayDestroyTheStreamWhenItIsToldOfItsEnd) {
  open();
  auto c = connect();
  ASSERT_TRUE(c->read_until("retry"));
  streams[0]->on_close([this] {
    streams.clear();
    ++closed;
  });
  c.reset();
  EXPECT_TRUE(turn_until(loop, [&] { return closed == 1; }));
}

TEST_F(HttpStreamTest, AStreamDestroyedBeforeItIsToldHearsNothing) {
  open();
  auto c = connect();
  ASSERT_TRUE(c->read_until("retry"));
  streams[0]->on_close([this] { ++closed; });
  server.reset();  // Ends it; the call back waits for a later turn.
  EXPECT_FALSE(streams[0]->open());
  streams.clear();
  settle(loop);
  EXPECT_EQ(closed, 0);
}

TEST_F(HttpStreamTest, ASlowReaderIsBufferedAndItsOwnerCanSayALastWordInstead) {
  open({.listen = "", .send_buffer_bytes = 16 * 1024});
  auto c = connect(kAsk, 8 * 1024);
  ASSERT_TRUE(c->read_until("retry"));
  stall(*streams[0], 256 * 1024);
  EXPECT_GE(streams[0]->buffered(), 256U * 1024);
  EXPECT_EQ(server->stats().stream_bytes, streams[0]->buffered());
  streams[0]->drop_buffered();
  EXPECT_LE(streams[0]->buffered(), 8U * 1024 + 16) << "at most the piece that is half sent";
  streams[0]->send("event: resync\ndata:\n\n");
  streams[0]->close();
  const std::string got = c->read_all();
  EXPECT_TRUE(got.ends_with("\r\n15\r\nevent: resync\ndata:\n\n\r\n0\r\n\r\n"))
      << got.substr(got.size() - 100);
  // Every chunk before it is whole.
  std::size_t at = got.find("\r\n\r\n") + 4;
  while (at < got.size()) {
    const std::size_t size = std::stoul(got.substr(at, got.find("\r\n", at) - at), nullptr, 16);
    at = got.find("\r\n", at) + 2 + size;
    ASSERT_EQ(got.substr(at, 2), "\r\n");
    at += 2;
  }
  EXPECT_EQ(server->stats().stream_bytes, 0U);
}

TEST_F(HttpStreamTest, EverythingArrivesInOrderWhenASlowReaderReadsOn) {
  open({.listen = "", .stream_bytes_max = 4 << 20, .send_buffer_bytes = 16 * 1024});
  auto c = connect(kAsk, 8 * 1024);
  ASSERT_TRUE(c->read_until("retry"));
  std::string sent;
  for (int i = 0; i < 20'000; ++i) {
    const std::string line = fmt::format("data: {}\n\n", i);
    streams[0]->send(line);
    sent += fmt::format("{:x}\r\n{}\r\n", line.size(), line);
  }
  EXPECT_GT(streams[0]->buffered(), 0U);
  streams[0]->close();
  EXPECT_TRUE(c->read_all().ends_with(sent + "0\r\n\r\n"));
}

TEST_F(HttpStreamTest, BeyondItsBoundTheStreamIsCut) {
  open({.listen = "", .stream_bytes_max = 128 * 1024, .send_buffer_bytes = 16 * 1024});
  auto c = connect(kAsk, 8 * 1024);
  ASSERT_TRUE(c->read_until("retry"));
  stall(*streams[0], 1 << 20);
  EXPECT_FALSE(streams[0]->open());
  EXPECT_EQ(closed, 0) << "never inside send";
  EXPECT_TRUE(turn_until(loop, [&] { return closed == 1; }));
  EXPECT_TRUE(turn_until(loop, [&] { return server->stats().open == 0; }));
  EXPECT_EQ(server->stats().streams_cut, 1U);
  EXPECT_EQ(server->stats().stream_bytes, 0U);
}

TEST_F(HttpStreamTest, BuffersOfAllStreamsTogetherAreBounded) {
  open({.listen = "",
        .stream_bytes_max = 512 * 1024,
        .streams_bytes_max = 600 * 1024,
        .send_buffer_bytes = 16 * 1024});
  std::vector<std::unique_ptr<LoopbackClient>> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(connect(kAsk, 8 * 1024));
  ASSERT_TRUE(turn_until(loop, [&] { return streams.size() == 3; }));
  settle(loop);
  for (const auto& stream : streams) stall(*stream, 400 * 1024);
  EXPECT_TRUE(streams[0]->open());
  EXPECT_FALSE(streams[1]->open());
  EXPECT_LE(server->stats().stream_bytes, 2U * 600 * 1024) << "the cut one goes in the next turn";
  settle(loop);
  EXPECT_LE(server->stats().stream_bytes, 600U * 1024);
}

TEST_F(HttpStreamTest, AReaderThatStopsIsCutAfterTheTimeThatItsBufferMayTake) {
  open({.listen = "", .write_bytes_per_second = 64 * 1024, .send_buffer_bytes = 16 * 1024});
  auto c = connect(kAsk, 8 * 1024);
  ASSERT_TRUE(c->read_until("retry"));
  stall(*streams[0], 64 * 1024);
  settle(loop);
  clock.advance(19s);
  settle(loop);
  EXPECT_TRUE(streams[0]->open());
  clock.advance(2s);
  EXPECT_TRUE(turn_until(loop, [&] { return closed == 1; }));
  EXPECT_EQ(server->stats().timed_out, 1U);
  EXPECT_EQ(server->stats().open, 0U);
}

TEST_F(HttpStreamTest, AReaderThatCatchesUpIsGivenNewTime) {
  open({.listen = "", .write_bytes_per_second = 64 * 1024, .send_buffer_bytes = 16 * 1024});
  auto c = connect(kAsk, 8 * 1024);
  ASSERT_TRUE(c->read_until("retry"));
  for (int i = 0; i < 5; ++i) {
    stall(*streams[0], 64 * 1024);
    settle(loop);
    ASSERT_TRUE(turn_until(loop, [&] {
      c->read_some();
      return streams[0]->buffered() == 0;
    }));
    clock.advance(15s);
    settle(loop);
    ASSERT_TRUE(streams[0]->open()) << i;
  }
}

TEST_F(HttpStreamTest, StreamsHaveABoundOfTheirOwn) {
  open({.listen = "", .streams_max = 2});
  auto first = connect();
  auto second = connect();
  ASSERT_TRUE(turn_until(loop, [&] { return streams.size() == 2; }));
  auto third = connect();
  ASSERT_TRUE(third->read_until("too many streams"));
  EXPECT_TRUE(third->received().starts_with("HTTP/1.1 503 "));
  EXPECT_NE(third->received().find("Retry-After: 5\r\n"), std::string::npos);
  streams.erase(streams.begin());
  ASSERT_TRUE(turn_until(loop, [&] { return server->stats().streams == 1; }));
  third->take();
  third->send(kAsk);  // It may try again on the same connection.
  EXPECT_TRUE(third->read_until("retry: 3000"));
}

TEST_F(HttpStreamTest, ADrainEndsStreamsProperlyAndTellsTheirOwners) {
  open();
  auto c = connect();
  ASSERT_TRUE(c->read_until("retry"));
  bool drained = false;
  server->drain(25s, [&] { drained = true; });
  EXPECT_TRUE(c->read_all().ends_with("0\r\n\r\n"));
  c.reset();
  EXPECT_TRUE(turn_until(loop, [&] { return drained && closed == 1; }));
}

TEST_F(HttpStreamTest, ALateResponderMayStartAStreamAndALostOneStartsNone) {
  std::vector<HttpResponder> kept;
  auto opened = HttpServer::open(
      loop, {.listen = "127.0.0.1:0"},
      [&](const codec::HttpRequest&, HttpResponder out) { kept.push_back(std::move(out)); });
  ASSERT_TRUE(opened);
  server = *std::move(opened);
  auto c = connect();
  ASSERT_TRUE(turn_until(loop, [&] { return kept.size() == 1; }));
  streams.push_back(std::move(kept[0]).start_stream(event_head()));
  ASSERT_NE(streams[0], nullptr);
  EXPECT_TRUE(c->read_until("retry: 3000"));
  auto other = connect();
  ASSERT_TRUE(turn_until(loop, [&] { return kept.size() == 2; }));
  server.reset();
  EXPECT_EQ(std::move(kept[1]).start_stream(event_head()), nullptr);
}

TEST_F(HttpStreamTest, WhatAStreamsClientGoesOnSayingIsDroppedUpToABound) {
  open();
  auto c = connect(std::string{kAsk} + get("/pipelined"));
  ASSERT_TRUE(c->read_until("retry"));
  settle(loop);
  EXPECT_EQ(handled, 1);
  c->send(std::string(2 << 20, 'x'));
  EXPECT_TRUE(turn_until(loop, [&] { return closed == 1; }));
}

TEST_F(HttpStreamTest, AnAddressHasItsConnectionsAndNoMore) {
  open({.listen = "", .connections_per_address = 2});
  auto first = connect(get("/a"));
  ASSERT_TRUE(first->read_until("127.0.0.1/a"));
  auto second = connect(get("/b"));
  ASSERT_TRUE(second->read_until("/b"));
  LoopbackClient third{loop, server->port()};
  EXPECT_TRUE(third.read_all().starts_with("HTTP/1.1 429 Too Many Requests\r\n"));
  EXPECT_NE(third.received().find("Retry-After: "), std::string::npos);
  EXPECT_EQ(server->stats().turned_away, 1U);
  first.reset();
  ASSERT_TRUE(turn_until(loop, [&] { return server->stats().open == 1; }));
  auto fourth = connect(get("/d"));
  EXPECT_TRUE(fourth->read_until("/d"));
}

TEST_F(HttpStreamTest, BodiesThatArriveTogetherAreBounded) {
  open({.listen = "", .bodies_bytes_max = 300 * 1024});
  const std::string part =
      "POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n" + std::string(190'000, 'b');
  auto first = connect(part);
  ASSERT_TRUE(turn_until(loop, [&] { return server->stats().body_bytes == 190'000; }));
  auto second = connect(part);
  EXPECT_TRUE(second->read_all().starts_with("HTTP/1.1 503 "));
  EXPECT_EQ(server->stats().body_bytes, 190'000U);
  first->send(std::string(10'000, 'b'));
  EXPECT_TRUE(first->read_until("200 OK"));
  EXPECT_EQ(server->stats().body_bytes, 0U);
}

TEST_F(HttpStreamTest, OneTurnDoesABoundedAmountOfWorkAndEverybodyIsServed) {
  open();
  std::string many;
  for (int i = 0; i < 400; ++i) many += get("/x");
  std::vector<std::unique_ptr<LoopbackClient>> clients;
  for (int i = 0; i < 60; ++i) {
    clients.push_back(std::make_unique<LoopbackClient>(loop, server->port()));
  }
  ASSERT_TRUE(turn_until(loop, [&] { return server->stats().open == 60; }));
  for (const auto& client : clients) client->send(many);
  ASSERT_TRUE(turn_until(loop, [&] {
    for (const auto& client : clients) client->read_some();
    return handled == 60 * 400;
  }));
  const HttpServerStats stats = server->stats();
  EXPECT_GT(stats.deferred, 0U);
  // What was under way when the budget ended is finished: one read and the request behind it.
  EXPECT_LE(stats.turn_cost_max, HttpServer::kTurnCost + 16 * 1024 + HttpServer::kRequestCost);
}

}  // namespace
}  // namespace tocsin::io
