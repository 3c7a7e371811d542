#include "common/codec/http_request.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::codec {
namespace {

using Status = HttpRequestParser::Status;
using std::string_view_literals::operator""sv;

/// Feeds everything in pieces of `step` bytes and returns how many bytes were taken.
std::size_t feed_in_steps(HttpRequestParser& parser, std::string_view bytes, std::size_t step) {
  std::size_t used = 0;
  while (used < bytes.size() && parser.status() == Status::kNeedMore) {
    used += parser.feed(bytes.substr(used, step));
  }
  return used;
}

HttpRequest parse(std::string_view bytes) {
  HttpRequestParser parser;
  EXPECT_EQ(parser.feed(bytes), bytes.size());
  EXPECT_EQ(parser.status(), Status::kComplete)
      << (parser.status() == Status::kRefused ? parser.refusal().why : "incomplete"sv);
  return parser.status() == Status::kComplete ? parser.take() : HttpRequest{};
}

struct Refused {
  const char* name;
  std::string_view bytes;
  int status;
};

void PrintTo(const Refused& c, std::ostream* out) { *out << c.name; }

class HttpRequestRefuses : public testing::TestWithParam<Refused> {};

TEST_P(HttpRequestRefuses, WholeAndByteByByte) {
  for (const std::size_t step : {std::size_t{1} << 20, std::size_t{1}, std::size_t{7}}) {
    HttpRequestParser parser;
    feed_in_steps(parser, GetParam().bytes, step);
    ASSERT_EQ(parser.status(), Status::kRefused) << "in steps of " << step;
    EXPECT_EQ(parser.refusal().status, GetParam().status) << parser.refusal().why;
    EXPECT_FALSE(parser.refusal().why.empty());
    EXPECT_EQ(parser.feed("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), 0U) << "a refusal is final";
  }
}

const Refused kRefused[] = {
    {"ContentLengthBesideTransferEncoding",
     "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nTransfer-Encoding: "
     "chunked\r\n\r\n0\r\n\r\n",
     400},
    {"TransferEncodingBesideContentLength",
     "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: "
     "6\r\n\r\n0\r\n\r\n",
     400},
    {"TwoContentLengths",
     "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 30\r\n\r\n", 400},
    {"TwoEqualContentLengths",
     "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400},
    {"ContentLengthAsList", "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 3\r\n\r\nabc", 400},
    {"ContentLengthWithPlus", "POST /d HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc", 400},
    {"ContentLengthWithMinus", "POST /d HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400},
    {"ContentLengthInHexadecimal", "POST /d HTTP/1.1\r\nHost: x\r\nContent-Length: 0x3\r\n\r\nabc",
     400},
    {"ContentLengthEmpty", "POST /d HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n", 400},
    {"ContentLengthThatOverflows",
     "POST /d HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551617\r\n\r\nabc", 413},
    {"ContentLengthAboveTheBound", "POST /d HTTP/1.1\r\nHost: x\r\nContent-Length: 262145\r\n\r\n",
     413},
    {"UnknownTransferEncoding", "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\nabc",
     400},
    {"XchunkedBesideContentLength",
     "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\nContent-Length: 3\r\n\r\nabc",
     400},
    {"ChunkedTwiceInAList",
     "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 400},
    {"TwoTransferEncodings",
     "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: "
     "chunked\r\n\r\n",
     400},
    {"TransferEncodingInHttp10", "POST /c HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     400},
    {"FoldedHeader", "GET /e HTTP/1.1\r\nHost: x\r\nX-A: one\r\n two\r\n\r\n", 400},
    {"FoldedFirstHeader", "GET /e HTTP/1.1\r\n Host: x\r\n\r\n", 400},
    {"BareLineFeedEverywhere", "GET /f HTTP/1.1\nHost: x\nX-A: 1\n\n", 400},
    {"BareLineFeedInOneHeader", "GET /f HTTP/1.1\r\nHost: x\nX-A: 1\r\n\r\n", 400},
    {"BareLineFeedAtTheEnd", "GET /f HTTP/1.1\r\nHost: x\r\n\n", 400},
    {"SpaceBeforeColon", "GET /g HTTP/1.1\r\nHost : x\r\n\r\n", 400},
    {"TabBeforeColon", "GET /g HTTP/1.1\r\nHost: x\r\nX-A\t: 1\r\n\r\n", 400},
    {"HeaderWithoutColon", "GET /g HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n", 400},
    {"HeaderWithoutName", "GET /g HTTP/1.1\r\nHost: x\r\n: 1\r\n\r\n", 400},
    {"EncodedNulInPath", "GET /admin%00/../public HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"EncodedSlashInPath", "GET /a%2fb HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"EncodedBackslashInPath", "GET /a%5Cb HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"EncodedLineBreakInPath", "GET /a%0d%0ab HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"EncodedPathThatIsNotUtf8", "GET /%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"HalfAnEscape", "GET /a%4 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"EscapeThatIsNotHexadecimal", "GET /a%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"DotsAboveTheRoot", "GET /a/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"EncodedDotsAboveTheRoot", "GET /%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"BackslashInPath", "GET /a\\b HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"FragmentInTarget", "GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"EightBitPath", "GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"TwoHosts", "GET /h HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
    {"TwoEqualHosts", "GET /h HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", 400},
    {"NoHost", "GET /i HTTP/1.1\r\n\r\n", 400},
    {"EmptyHost", "GET /i HTTP/1.1\r\nHost:\r\n\r\n", 400},
    {"HostWithPath", "GET /i HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
    {"HostWithUser", "GET /i HTTP/1.1\r\nHost: u@a\r\n\r\n", 400},
    {"HostList", "GET /i HTTP/1.1\r\nHost: a, b\r\n\r\n", 400},
    {"HostWithBadPort", "GET /i HTTP/1.1\r\nHost: a:8x\r\n\r\n", 400},
    {"HostWithOpenBracket", "GET /i HTTP/1.1\r\nHost: [::1\r\n\r\n", 400},
    {"AbsoluteTargetOfAnotherHost", "GET http://169.254.169.254/o HTTP/1.1\r\nHost: x\r\n\r\n",
     400},
    {"AbsoluteTargetWithUser", "GET http://x@y/o HTTP/1.1\r\nHost: y\r\n\r\n", 400},
    {"AbsoluteTargetWithoutHost", "GET http:///o HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"AbsoluteTargetOfAnotherScheme", "GET ftp://x/o HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"AuthorityTarget", "GET x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"StarTargetForGet", "GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"EmptyTarget", "GET  HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"SpaceInTarget", "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"TabInRequestLine", "GET\t/a HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"TrailingSpaceInRequestLine", "GET /a HTTP/1.1 \r\nHost: x\r\n\r\n", 400},
    {"ChunkSizeThatOverflows",
     "POST /k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nabc",
     400},
    {"ChunkSizeAboveTheBound",
     "POST /k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n40001\r\nabc", 413},
    {"ChunkSizeWithMinus",
     "POST /l HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n",
     400},
    {"ChunkSizeWithPlus",
     "POST /l HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n",
     400},
    {"ChunkSizeWithPrefix",
     "POST /l HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
     400},
    {"ChunkSizeWithSpace",
     "POST /l HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n",
     400},
    {"ChunkSizeEmpty",
     "POST /l HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\r\nabc\r\n0\r\n\r\n", 400},
    {"ChunkLineWithBareLineFeed",
     "POST /l HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n", 400},
    {"ChunkLongerThanItSays",
     "POST /l HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
     400},
    {"ChunkExtensionWithControlCharacter",
     "POST /l HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;a\rb\r\nabc\r\n0\r\n\r\n",
     400},
    {"MalformedTrailer",
     "POST /j HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nbad trailer\r\n\r\n",
     400},
    {"FramingInATrailer",
     "POST /j HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
     "Transfer-Encoding: chunked\r\n\r\n",
     400},
    {"CookieInATrailer",
     "POST /j HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\ncookie: a=b\r\n\r\n",
     400},
    {"LengthInATrailer",
     "POST /j HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\ncontent-length: "
     "3\r\n\r\nabc",
     400},
    {"CarriageReturnInValue", "GET /m HTTP/1.1\r\nHost: x\r\nX-A: a\rb\r\n\r\n", 400},
    {"NulInHeader", "GET /n HTTP/1.1\r\nHost: x\r\nX-A: a\0b\r\n\r\n"sv, 400},
    {"NulInMethod", "G\0T /n HTTP/1.1\r\nHost: x\r\n\r\n"sv, 400},
    {"UnknownVersion", "GET /p HTTP/9.9\r\nHost: x\r\n\r\n", 400},
    {"Http2Preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
    {"NoVersion", "GET /p\r\nHost: x\r\n\r\n", 400},
    {"LowerCaseVersion", "GET /p http/1.1\r\nHost: x\r\n\r\n", 400},
    {"Trace", "TRACE /q HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"LowerCaseMethod", "get / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"TlsClientHello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"sv, 400},
    {"TwoBlankLinesFirst", "\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"GetWithBody", "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx", 400},
    {"UnknownExpectation",
     "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: magic\r\n\r\n", 417},
};

// What libevent's evhttp (2.1.12) was seen to let through or to answer in its own way, one case for
// each probe; the names are those of the probes.
const Refused kEvhttpAccepts[] = {
    {"CL_TE",
     "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n"
     "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
     400},
    {"dupCL",
     "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 30\r\n\r\n"
     "GET /smug2 HTTP/1.1\r\nHost: x\r\n\r\n",
     400},
    {"TE_xchunked",
     "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\nContent-Length: 3\r\n\r\nabc",
     400},
    {"CL_plus5", "POST /d HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc", 400},
    {"CL_0x3", "POST /d2 HTTP/1.1\r\nHost: x\r\nContent-Length: 0x3\r\n\r\nabc", 400},
    {"obs_fold", "GET /e HTTP/1.1\r\nHost: x\r\nX-A: one\r\n two\r\n\r\n", 400},
    {"bareLF", "GET /f HTTP/1.1\nHost: x\nX-A: 1\n\n", 400},
    {"space_before_colon", "GET /g HTTP/1.1\r\nHost : x\r\nX-A : 1\r\n\r\n", 400},
    {"pct00", "GET /admin%00/../public HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"dupHost", "GET /h HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
    {"noHost", "GET /i HTTP/1.1\r\n\r\n", 400},
    {"trailer",
     "POST /j HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"
     "Authorization: evil\r\n\r\n",
     400},
    {"chunk_overflow",
     "POST /k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n"
     "abc\r\n0\r\n\r\n",
     400},
    {"chunk_minus1",
     "POST /l HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n",
     400},
    {"chunk_plus3",
     "POST /l2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n",
     400},
    {"CR_in_value", "GET /m HTTP/1.1\r\nHost: x\r\nX-A: a\rb\r\n\r\n", 400},
    {"NUL_in_header", "GET /n HTTP/1.1\r\nHost: x\r\nX-A: a\0b\r\n\r\n"sv, 400},
    {"abs_uri", "GET http://169.254.169.254/o HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"HTTP_9_9", "GET /p HTTP/9.9\r\nHost: x\r\n\r\n", 400},
    {"TRACE", "TRACE /q HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"eight_bit_path", "GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", 400},
};

INSTANTIATE_TEST_SUITE_P(Evhttp, HttpRequestRefuses, testing::ValuesIn(kEvhttpAccepts),
                         [](const auto& c) { return std::string{c.param.name}; });

TEST(HttpRequestParser, RefusesThirtyTwoMegabytesOfHeadersAtTheFirstThatIsTooMuch) {
  HttpRequestParser parser;
  parser.feed("GET /big HTTP/1.1\r\nHost: x\r\n");
  const std::string line = "X-A: " + std::string(8000, 'a') + "\r\n";
  int taken = 0;
  while (taken < 4000 && parser.status() == Status::kNeedMore && parser.feed(line) > 0) ++taken;
  ASSERT_EQ(parser.status(), Status::kRefused);
  EXPECT_EQ(parser.refusal().status, 431);
  EXPECT_LE(taken, 4) << "the bound is 32 KiB";
}

struct BodyMethod {
  const char* name;
  HttpMethod method;
};

class HttpRequestBody : public testing::TestWithParam<BodyMethod> {};

TEST_P(HttpRequestBody, ComesWithALengthInChunksOrNotAtAll) {
  const std::string start = std::string{GetParam().name} + " /x HTTP/1.1\r\nHost: x\r\n";
  EXPECT_EQ(to_string(GetParam().method), std::string_view{GetParam().name});
  const HttpRequest with_length = parse(start + "Content-Length: 3\r\n\r\nabc");
  EXPECT_EQ(with_length.method, GetParam().method);
  EXPECT_EQ(with_length.body, "abc");
  EXPECT_EQ(parse(start + "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n").body,
            "abc");
  EXPECT_EQ(parse(start + "Content-Length: 0\r\n\r\n").body, "");
  EXPECT_EQ(parse(start + "\r\n").body, "");
}

INSTANTIATE_TEST_SUITE_P(Methods, HttpRequestBody,
                         testing::Values(BodyMethod{"POST", HttpMethod::kPost},
                                         BodyMethod{"PUT", HttpMethod::kPut},
                                         BodyMethod{"PATCH", HttpMethod::kPatch},
                                         BodyMethod{"DELETE", HttpMethod::kDelete},
                                         BodyMethod{"OPTIONS", HttpMethod::kOptions}),
                         [](const auto& c) { return std::string{c.param.name}; });

INSTANTIATE_TEST_SUITE_P(Table, HttpRequestRefuses, testing::ValuesIn(kRefused),
                         [](const auto& c) { return std::string{c.param.name}; });

TEST(HttpRequestParser, ReadsAGetWithItsHeaders) {
  const HttpRequest r = parse(
      "GET /status/shop.json?a=1&b=%32 HTTP/1.1\r\nHost: Example.com:7400\r\nX-A:  one two\t\r\n"
      "Accept:\r\n\r\n");
  EXPECT_EQ(
      r, (HttpRequest{.method = HttpMethod::kGet,
                      .path = "/status/shop.json",
                      .query = "a=1&b=%32",
                      .host = "Example.com:7400",
                      .headers = {{"host", "Example.com:7400"}, {"x-a", "one two"}, {"accept", ""}},
                      .body = "",
                      .minor_version = 1,
                      .keep_alive = true}));
  EXPECT_EQ(r.header("x-a"), "one two");
  EXPECT_EQ(r.header("missing"), std::nullopt);
}

TEST(HttpRequestParser, TakesOneRequestAndLeavesTheNextOne) {
  const std::string_view two =
      "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nHost: "
      "x\r\n\r\n";
  HttpRequestParser parser;
  const std::size_t used = parser.feed(two);
  ASSERT_EQ(parser.status(), Status::kComplete);
  const HttpRequest first = parser.take();
  EXPECT_EQ(first.path, "/a");
  EXPECT_EQ(first.body, "abc");
  EXPECT_FALSE(parser.started());
  EXPECT_EQ(parser.feed(two.substr(used)), two.size() - used);
  ASSERT_EQ(parser.status(), Status::kComplete);
  EXPECT_EQ(parser.take().path, "/b");
}

TEST(HttpRequestParser, RemovesTheChunkedCodingAndDropsTrailers) {
  const std::string_view bytes =
      "POST /j HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n"
      "3;name=\"v\"\r\nabc\r\n00A\r\n0123456789\r\n0\r\nX-Digest: evil\r\n\r\n";
  for (const std::size_t step : {std::size_t{1}, std::size_t{5}, bytes.size()}) {
    HttpRequestParser parser;
    EXPECT_EQ(feed_in_steps(parser, bytes, step), bytes.size());
    ASSERT_EQ(parser.status(), Status::kComplete);
    const HttpRequest r = parser.take();
    EXPECT_EQ(r.body, "abc0123456789");
    EXPECT_EQ(r.header("x-digest"), std::nullopt);
  }
}

TEST(HttpRequestParser, DecodesThePathOnceAndRemovesDotSegments) {
  EXPECT_EQ(normalise_path("/"), "/");
  EXPECT_EQ(normalise_path("/a/./b/../c"), "/a/c");
  EXPECT_EQ(normalise_path("/a/b/.."), "/a/");
  EXPECT_EQ(normalise_path("/a/%2e%2E/b"), "/b");
  EXPECT_EQ(normalise_path("/a/."), "/a/");
  EXPECT_EQ(normalise_path("/%252e%252e/x"), "/%2e%2e/x");
  EXPECT_EQ(normalise_path("/caf%C3%A9"), "/caf\xc3\xa9");
  EXPECT_EQ(normalise_path("/a//b"), "/a//b");
  EXPECT_EQ(normalise_path("/.."), std::nullopt);
  EXPECT_EQ(normalise_path("a"), std::nullopt);
}

TEST(HttpRequestParser, UnderstandsAnAbsoluteTargetOfTheSameHost) {
  const HttpRequest r = parse("GET http://x:80?q=1 HTTP/1.1\r\nHost: X:80\r\n\r\n");
  EXPECT_EQ(r.path, "/");
  EXPECT_EQ(r.query, "q=1");
}

TEST(HttpRequestParser, KeepsAliveAsTheVersionAndConnectionSay) {
  EXPECT_TRUE(parse("GET / HTTP/1.1\r\nHost: x\r\n\r\n").keep_alive);
  EXPECT_FALSE(parse("GET / HTTP/1.1\r\nHost: x\r\nConnection: foo, Close\r\n\r\n").keep_alive);
  EXPECT_FALSE(parse("GET / HTTP/1.0\r\n\r\n").keep_alive);
  EXPECT_TRUE(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive);
}

TEST(HttpRequestParser, AcceptsOneBlankLineBeforeARequest) {
  EXPECT_EQ(parse("\r\nGET /x HTTP/1.1\r\nHost: [::1]:7400\r\n\r\n").path, "/x");
}

TEST(HttpRequestParser, SaysThatTheClientWaitsForContinue) {
  HttpRequestParser parser;
  parser.feed("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_TRUE(parser.expects_continue());
  parser.feed("o");
  EXPECT_FALSE(parser.expects_continue());
  parser.feed("k");
  EXPECT_EQ(parser.take().body, "ok");
}

TEST(HttpRequestParser, RefusesALongRequestLineAtItsBound) {
  const HttpRequestLimits limits;
  const std::string_view tail = " HTTP/1.1";
  const std::string fits =
      "GET /" + std::string(limits.request_line_bytes - 5 - tail.size(), 'a') + std::string{tail};
  HttpRequestParser parser;
  parser.feed(fits + "\r\nHost: x\r\n\r\n");
  EXPECT_EQ(parser.status(), Status::kComplete);

  HttpRequestParser endless;
  feed_in_steps(endless, "GET /" + std::string(3 * limits.request_line_bytes, 'a'), 100);
  ASSERT_EQ(endless.status(), Status::kRefused);
  EXPECT_EQ(endless.refusal().status, 414);
}

TEST(HttpRequestParser, RefusesHeadersBeyondTheirSizeAndTheirNumber) {
  HttpRequestParser wide;
  feed_in_steps(wide, "GET / HTTP/1.1\r\nHost: x\r\nX-A: " + std::string(64 * 1024, 'a'), 1000);
  ASSERT_EQ(wide.status(), Status::kRefused);
  EXPECT_EQ(wide.refusal().status, 431);

  std::string many = "GET / HTTP/1.1\r\nHost: x\r\n";
  for (int i = 1; i < 100; ++i) many += "X: 1\r\n";
  EXPECT_EQ(parse(many + "\r\n").headers.size(), 100U);
  HttpRequestParser parser;
  parser.feed(many + "X: 1\r\n\r\n");
  ASSERT_EQ(parser.status(), Status::kRefused);
  EXPECT_EQ(parser.refusal().status, 431);

  HttpRequestParser trailers;
  feed_in_steps(trailers,
                "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " +
                    std::string(10'000, 'a'),
                100);
  ASSERT_EQ(trailers.status(), Status::kRefused);
  EXPECT_EQ(trailers.refusal().status, 431);
}

TEST(HttpRequestParser, BoundsTheSumOfChunksAndNotOnlyEachOne) {
  HttpRequestParser parser;
  parser.feed("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "8000\r\n" + std::string(0x8000, 'a') + "\r\n";
  for (int i = 0; i < 8; ++i) parser.feed(chunk);
  ASSERT_EQ(parser.status(), Status::kNeedMore);
  parser.feed("1\r\n");
  ASSERT_EQ(parser.status(), Status::kRefused);
  EXPECT_EQ(parser.refusal().status, 413);
}

}  // namespace
}  // namespace tocsin::codec
