// Whatever a server sends, the session ends in one of its states within its limits, and means the
// same however the bytes are cut into pieces. The first byte is the size of the pieces; with its
// high bit the settings of a server come first, so that mutations reach further in.

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/codec/http2.h"
#include "tests/support/http2_frames.h"

#include <algorithm>

namespace {

using tocsin::http2::Session;

constexpr tocsin::http1::ResponseLimits kLimits{
    .head_bytes = 2048, .headers = 10, .interim = 2, .body_bytes = 64, .body_counted = 4096};

void drain(Session& session) {
  for (int i = 0; i < 1000; ++i) {
    const std::string_view part = session.pending();
    if (part.empty()) return;
    session.consume(part.size());
  }
}

void run(Session& session, std::string_view text, std::size_t step) {
  static const tocsin::Url url = *tocsin::parse_url("https://a.example/");
  static const std::vector<tocsin::Header> headers;
  CHECK(
      session.start({.url = url, .user_agent = "t", .headers = headers, .body = "body"}, kLimits));
  drain(session);
  for (std::size_t at = 0; at < text.size(); at += step) {
    session.feed(text.substr(at, step));
    drain(session);
  }
  session.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string text;
  if ((data[0] & 0x80) != 0) text = tocsin::test::h2_settings();
  text.append(tocsin::as_view({data + 1, size - 1}));
  const std::size_t step = std::max<std::size_t>(data[0] & 0x7f, 1);
  Session whole;
  Session pieces;
  run(whole, text, text.size() + 1);
  run(pieces, text, step);
  CHECK(whole.fault().has_value() == (whole.response().status == 0 || whole.fault().has_value()));
  for (const Session* session : {&whole, &pieces}) {
    const auto& response = session->response();
    CHECK(response.headers.size() <= kLimits.headers);
    CHECK(response.body.size() <= kLimits.body_bytes);
    CHECK(response.body.size() <= response.body_bytes);
    if (session->fault()) {
      CHECK(session->fault()->text.size() <= 512);
    } else {
      CHECK(response.status >= 200 && response.status <= 599);
    }
  }
  // An end of the session that nghttp2 finds only behind a complete response is seen earlier in
  // pieces or not at all, so only two complete responses are compared.
  if (!whole.fault() && !pieces.fault()) CHECK(whole.response().status == pieces.response().status);
  return 0;
}
