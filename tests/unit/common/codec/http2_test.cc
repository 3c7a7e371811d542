#include "common/codec/http2.h"

#include "tests/support/http2_frames.h"

#include <gtest/gtest.h>

namespace tocsin::http2 {
namespace {

using http1::FaultKind;
using State = HttpExchange::State;
using namespace test;

class Http2 : public testing::Test {
 protected:
  Http2()
      : url_(*parse_url("https://shop.example/a?b")) {}

  /// The bytes of the request, all of them written.
  std::string start(std::string_view method = "GET", std::string_view body = "",
                    http1::ResponseLimits limits = {}) {
    const auto started = session_.start(
        {.method = method, .url = url_, .user_agent = "tocsin", .headers = headers_, .body = body},
        limits);
    EXPECT_TRUE(started) << (started ? "" : started.error().text);
    return drain();
  }

  std::string drain() {
    std::string out;
    for (std::string_view part = session_.pending(); !part.empty(); part = session_.pending()) {
      out.append(part);
      session_.consume(part.size());
    }
    return out;
  }

  State feed(const std::string& bytes) { return session_.feed(bytes); }

  std::string fault() const { return session_.fault() ? session_.fault()->text : "no fault"; }

  FaultKind kind() const {
    EXPECT_TRUE(session_.fault());
    return session_.fault() ? session_.fault()->kind : FaultKind::kProtocol;
  }

  Url url_;
  std::vector<Header> headers_;
  Session session_;
};

TEST_F(Http2, AsksInOnePieceAndReadsTheAnswer) {
  const std::string request = start();
  EXPECT_TRUE(request.starts_with("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
  EXPECT_TRUE(session_.request_sent());
  EXPECT_FALSE(session_.response_began());
  feed(h2_settings());
  EXPECT_FALSE(session_.response_began()) << "settings are no response";
  EXPECT_EQ(feed(h2_head("200", h2_field("x-one", "a"))), State::kBody);
  EXPECT_TRUE(session_.response_began());
  feed(h2_data("ok", false));
  EXPECT_EQ(feed(h2_data("!", true)), State::kDone);
  http1::Response expected;
  expected.status = 200;
  expected.version = "2";
  expected.headers = {{"x-one", "a"}};
  expected.body = "ok!";
  expected.body_bytes = 3;
  EXPECT_EQ(session_.response(), expected);
  EXPECT_FALSE(drain().empty()) << "the settings are acknowledged";
  EXPECT_TRUE(session_.reusable());
}

TEST_F(Http2, OneExchangeFollowsTheOther) {
  start();
  feed(h2_settings() + h2_head("204", "", true));
  drain();
  ASSERT_TRUE(session_.reusable());
  EXPECT_FALSE(start("POST", "abc").empty());
  EXPECT_EQ(feed(h2_head("201", "", false, 3) + h2_data("made", true, 3)), State::kDone);
  EXPECT_EQ(session_.response().status, 201);
  EXPECT_EQ(session_.response().body, "made");
}

TEST_F(Http2, AnEndBeforeTheEndOfTheStreamIsTruncated) {
  start();
  feed(h2_settings() + h2_head("200", h2_field("content-length", "9")) + h2_data("half", false));
  EXPECT_EQ(session_.finish(), State::kFailed);
  EXPECT_EQ(kind(), FaultKind::kTruncated);
  EXPECT_EQ(fault(), "the connection ended after 4 of 9 bytes of the body");
}

TEST_F(Http2, AnEndBeforeTheHeadIsEmpty) {
  start();
  feed(h2_settings());
  EXPECT_EQ(session_.finish(), State::kFailed);
  EXPECT_EQ(kind(), FaultKind::kEmpty);
}

TEST_F(Http2, ResetsAndGoawaysAreNamed) {
  start();
  EXPECT_EQ(feed(h2_settings() + h2_head("200") + h2_rst(2)), State::kFailed);
  EXPECT_EQ(kind(), FaultKind::kStreamReset);
  EXPECT_EQ(fault(), "RST_STREAM, INTERNAL_ERROR, after 0 bytes of the body");
}

TEST_F(Http2, AGoawayThatLeavesOurStreamOutIsNamed) {
  start();
  EXPECT_EQ(feed(h2_settings() + h2_goaway(0, 11, "too busy")), State::kFailed);
  EXPECT_EQ(kind(), FaultKind::kGoaway);
  EXPECT_EQ(fault(), "GOAWAY, ENHANCE_YOUR_CALM: too busy");
}

TEST_F(Http2, AGoawayBehindOurStreamLetsItEnd) {
  start();
  feed(h2_settings() + h2_goaway(1, 0, ""));
  EXPECT_EQ(feed(h2_head("200", "", true)), State::kDone) << fault();
  EXPECT_FALSE(session_.reusable());
}

TEST_F(Http2, Http1InAnswerIsTheWrongVersion) {
  start();
  EXPECT_EQ(feed("HTTP/1.1 400 Bad Request\r\n\r\n"), State::kFailed);
  EXPECT_EQ(kind(), FaultKind::kWrongVersion);
}

TEST_F(Http2, GarbageIsAProtocolFault) {
  start();
  EXPECT_EQ(feed(std::string(200, 'x')), State::kFailed);
  EXPECT_EQ(kind(), FaultKind::kProtocol);
}

TEST_F(Http2, LimitsOfHeadBodyAndInterimResponsesHold) {
  start("GET", "", {.head_bytes = 200, .headers = 2, .interim = 2, .body_bytes = 4});
  EXPECT_EQ(feed(h2_settings() +
                 h2_head("200", h2_field("a", "1") + h2_field("b", "2") + h2_field("c", "3"))),
            State::kFailed);
  EXPECT_EQ(kind(), FaultKind::kHeadTooLarge);
}

TEST_F(Http2, InterimResponsesWithoutAnEndAreNamed) {
  start("GET", "", {.interim = 2});
  feed(h2_settings() + h2_head("103") + h2_head("103"));
  EXPECT_EQ(feed(h2_head("103")), State::kFailed);
  EXPECT_EQ(kind(), FaultKind::kTooManyInterim);
}

TEST_F(Http2, ABodyBeyondTheLimitIsCountedAndCut) {
  start("GET", "", {.body_bytes = 4});
  EXPECT_EQ(feed(h2_settings() + h2_head("200") + h2_data("abcdef", true)), State::kDone);
  EXPECT_EQ(session_.response().body, "abcd");
  EXPECT_EQ(session_.response().body_bytes, 6U);
  EXPECT_TRUE(session_.response().body_cut);
}

TEST_F(Http2, ABodyWaitsForTheServersWindow) {
  const std::string body(100'000, 'b');
  const std::string sent = start("PUT", body);
  EXPECT_LT(sent.size(), 70'000U) << "the window is 65,535 bytes until the server widens it";
  EXPECT_FALSE(session_.request_sent());
  // WINDOW_UPDATE of 64 KiB for the connection and for the stream.
  const std::string more{'\0', '\1', '\0', '\0'};
  feed(h2_settings() + h2_frame(8, 0, 0, more) + h2_frame(8, 0, 1, more));
  drain();
  EXPECT_TRUE(session_.request_sent());
}

TEST_F(Http2, TheHostHeaderIsTheAuthority) {
  headers_ = {{"Host", "other.example"}, {"X-Key", "v"}};
  const std::string request = start();
  // The decoder of a server would be needed to read HPACK; nothing of HTTP/1 may be in there.
  EXPECT_EQ(request.find("host"), std::string::npos);
  EXPECT_EQ(request.find("keep-alive"), std::string::npos);
}

}  // namespace
}  // namespace tocsin::http2
