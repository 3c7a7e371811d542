#include "common/codec/http1.h"

#include <gtest/gtest.h>

namespace tocsin::http1 {
namespace {

using State = ResponseParser::State;

std::string request(std::string_view url, std::vector<Header> headers = {},
                    std::string_view method = "GET", std::string_view body = "") {
  const Url parsed = *parse_url(url);
  const auto out = encode_request({.method = method,
                                   .url = parsed,
                                   .user_agent = "tocsin/1 (+https://x.example; eu)",
                                   .headers = headers,
                                   .body = body});
  return out ? *out : "refused: " + out.error().text;
}

/// Feeds `text` in pieces of `step` bytes and then ends the connection.
ResponseParser parsed(std::string_view text, std::size_t step, bool head = false,
                      ResponseLimits limits = {}) {
  ResponseParser parser{head, limits};
  for (std::size_t at = 0; at < text.size(); at += step) parser.feed(text.substr(at, step));
  parser.finish();
  return parser;
}

std::string fault_of(std::string_view text, ResponseLimits limits = {}) {
  const ResponseParser parser = parsed(text, text.size() + 1, false, limits);
  return parser.fault() ? parser.fault()->text : "none";
}

TEST(EncodeRequest, SaysOneExchangeOnOneConnection) {
  EXPECT_EQ(request("http://example.com:8080/a?b"),
            "GET /a?b HTTP/1.1\r\nHost: example.com:8080\r\n"
            "User-Agent: tocsin/1 (+https://x.example; eu)\r\nAccept: */*\r\n"
            "Accept-Encoding: identity\r\nConnection: close\r\n\r\n");
}

TEST(EncodeRequest, UserHeadersReplaceOurs) {
  const std::string text = request("https://[::1]/", {{"HOST", "other"}, {"accept", "text/html"}});
  EXPECT_NE(text.find("\r\nHOST: other\r\n"), std::string::npos);
  EXPECT_EQ(text.find("Host: "), std::string::npos);
  EXPECT_EQ(text.find("*/*"), std::string::npos);
}

TEST(EncodeRequest, DeclaresTheBody) {
  EXPECT_TRUE(request("http://a/", {}, "POST", "xyz").ends_with("Content-Length: 3\r\n\r\nxyz"));
  EXPECT_TRUE(request("http://a/", {}, "POST").ends_with("Content-Length: 0\r\n\r\n"));
}

TEST(EncodeRequest, RefusesWhatWouldSmuggle) {
  EXPECT_TRUE(request("http://a/", {{"X", "a\r\nB: c"}}).starts_with("refused"));
  EXPECT_TRUE(request("http://a/", {{"X y", "a"}}).starts_with("refused"));
  EXPECT_TRUE(request("http://a/", {{"", "a"}}).starts_with("refused"));
  EXPECT_TRUE(request("http://a/", {{"content-length", "9"}}).starts_with("refused"));
  EXPECT_TRUE(request("http://a/", {{"Transfer-Encoding", "chunked"}}).starts_with("refused"));
  EXPECT_TRUE(request("http://a/", {}, "GET / HTTP/1.1\r\n").starts_with("refused"));
}

TEST(ResponseParser, IsIndifferentToHowTheBytesArrive) {
  const std::string text =
      "HTTP/1.1 100 Continue\r\nX: early\r\n\r\n"
      "HTTP/1.1 200 OK\r\nContent-Type:  text/plain \r\nX-Two: a\r\nX-Two: b\r\n"
      "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n3;ext=1\r\nefg\r\n0\r\nTrailer: "
      "t\r\n\r\nrest";
  Response expected;
  expected.status = 200;
  expected.version = "1.1";
  expected.headers = {{"content-type", "text/plain"},
                      {"x-two", "a"},
                      {"x-two", "b"},
                      {"transfer-encoding", "chunked"}};
  expected.body = "abcdefg";
  expected.body_bytes = 7;
  expected.interim = 1;
  for (std::size_t step = 1; step <= text.size(); ++step) {
    const ResponseParser parser = parsed(text, step);
    ASSERT_EQ(parser.state(), State::kDone) << step;
    ASSERT_EQ(parser.response(), expected) << step;
  }
}

TEST(ResponseParser, IsDoneWithTheLastByteWithoutWaitingForTheEnd) {
  ResponseParser parser{false};
  EXPECT_EQ(parser.feed("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r"), State::kHead);
  EXPECT_EQ(parser.feed("\no"), State::kBody);
  EXPECT_EQ(parser.feed("k"), State::kDone);
  EXPECT_EQ(parser.feed("garbage"), State::kDone);
}

TEST(ResponseParser, ABodyWithoutLengthLastsUntilTheEnd) {
  const ResponseParser parser = parsed("HTTP/1.0 200 OK\r\n\r\nall of it", 5);
  EXPECT_EQ(parser.state(), State::kDone);
  EXPECT_EQ(parser.response().body, "all of it");
  EXPECT_EQ(parser.response().version, "1.0");
}

TEST(ResponseParser, SomeResponsesHaveNoBodyWhateverTheySay) {
  ResponseParser head{true};
  EXPECT_EQ(head.feed("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"), State::kDone);
  for (const char* status : {"204 No Content", "304 Not Modified", "101 Switching Protocols"}) {
    ResponseParser parser{false};
    EXPECT_EQ(parser.feed(fmt::format("HTTP/1.1 {}\r\nContent-Length: 99\r\n\r\n", status)),
              State::kDone)
        << status;
  }
}

TEST(ResponseParser, KeepsWhatFitsAndCountsTheRest) {
  const std::string text = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789";
  const ResponseParser parser = parsed(text, 3, false, {.body_bytes = 4});
  EXPECT_EQ(parser.state(), State::kDone);
  EXPECT_EQ(parser.response().body, "0123");
  EXPECT_EQ(parser.response().body_bytes, 10U);
  EXPECT_TRUE(parser.response().body_cut);
  EXPECT_FALSE(parsed(text, 3, false, {.body_bytes = 10}).response().body_cut);
}

TEST(ResponseParser, StopsCountingAtItsBound) {
  ResponseParser parser{false, {.body_bytes = 4, .body_counted = 8}};
  EXPECT_EQ(parser.feed("HTTP/1.1 200 OK\r\n\r\n01234567"), State::kDone);
  EXPECT_TRUE(parser.response().body_cut);
}

TEST(ResponseParser, SaysWhereTheConnectionEndedTooEarly) {
  EXPECT_EQ(parsed("", 1).fault(),
            (Fault{FaultKind::kEmpty, "the connection ended before any byte of a response"}));
  EXPECT_EQ(parsed("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123", 100).fault(),
            (Fault{FaultKind::kTruncated, "the connection ended after 4 of 10 bytes of the body"}));
  EXPECT_EQ(fault_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n"),
            "the connection ended after 4 bytes of a chunked body");
  EXPECT_EQ(fault_of("HTTP/1.1 200 OK\r\nX: y\r\n"),
            "the connection ended within the response head");
  EXPECT_EQ(fault_of("HTTP/1.1 100 Continue\r\n\r\n"),
            "the connection ended within the response head");
}

TEST(ResponseParser, NamesTheByteThatBreaksTheRules) {
  const std::string_view texts[] = {
      "SSH-2.0-OpenSSH_9.2\r\n",
      "HTTP/1.1 200 OK\r\nBad Header: x\r\n\r\n",
      {"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n", 27},
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
      "HTTP/1.1 20x OK\r\n\r\n",
      {"\x16\x03\x01\x02\x00", 5},
  };
  for (const std::string_view text : texts) {
    const ResponseParser parser = parsed(text, 1000);
    ASSERT_TRUE(parser.fault()) << text;
    EXPECT_EQ(parser.fault()->kind, FaultKind::kProtocol) << text;
  }
  EXPECT_EQ(fault_of("SSH-2.0-OpenSSH_9.2\r\n"), "byte 1: Expected HTTP/");
}

TEST(ResponseParser, CountsBytesOverAllPieces) {
  ResponseParser parser{false};
  parser.feed("HTTP/1.1 200 OK\r\n");
  parser.feed("Bad Header: x\r\n\r\n");
  ASSERT_TRUE(parser.fault());
  EXPECT_EQ(parser.fault()->text, "byte 21: Invalid header token");
}

TEST(ResponseParser, RefusesOtherVersions) {
  EXPECT_EQ(fault_of("HTTP/2.0 200 OK\r\n\r\n"), "HTTP/2.0 in answer to HTTP/1.1");
  EXPECT_NE(fault_of("HTTP/0.9 200 OK\r\n\r\n"), "none");
}

TEST(ResponseParser, BoundsTheHead) {
  const std::string head = "HTTP/1.1 200 OK\r\n";
  std::string many = head;
  for (int i = 0; i < 101; ++i) many += "A: b\r\n";
  EXPECT_EQ(fault_of(many + "\r\n"), "more than 100 headers");
  EXPECT_EQ(fault_of(head + "A: " + std::string(70'000, 'x')), "more than 65536 bytes of headers");
  EXPECT_EQ(parsed(head + "A: " + std::string(70'000, 'x'), 1000).fault()->kind,
            FaultKind::kHeadTooLarge);
  std::string interim;
  for (int i = 0; i < 9; ++i) interim += "HTTP/1.1 103 Early Hints\r\n\r\n";
  EXPECT_EQ(fault_of(interim), "more than 8 interim responses");
}

}  // namespace
}  // namespace tocsin::http1
