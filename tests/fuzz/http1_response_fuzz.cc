// A response means the same however it is cut into pieces, and never exceeds its limits. The first
// byte is the size of the pieces and whether the request was HEAD.

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/codec/http1.h"

#include <algorithm>

namespace {

using tocsin::http1::FaultKind;
using tocsin::http1::ResponseLimits;
using tocsin::http1::ResponseParser;

constexpr ResponseLimits kLimits{
    .head_bytes = 2048, .headers = 10, .interim = 2, .body_bytes = 64, .body_counted = 4096};

ResponseParser parse(std::string_view text, std::size_t step, bool head) {
  ResponseParser parser{head, kLimits};
  for (std::size_t at = 0; at < text.size(); at += step) parser.feed(text.substr(at, step));
  parser.finish();
  return parser;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text = tocsin::as_view({data + 1, size - 1});
  const bool head = (data[0] & 0x80) != 0;
  const std::size_t step = std::max<std::size_t>(data[0] & 0x7f, 1);
  const ResponseParser whole = parse(text, text.size() + 1, head);
  const ResponseParser pieces = parse(text, step, head);
  CHECK(whole.state() == ResponseParser::State::kDone ||
        whole.state() == ResponseParser::State::kFailed);
  CHECK(whole.state() == pieces.state());
  CHECK(whole.fault().has_value() == (whole.state() == ResponseParser::State::kFailed));
  const auto& response = whole.response();
  CHECK(response.headers.size() <= kLimits.headers);
  CHECK(response.body.size() <= kLimits.body_bytes);
  CHECK(response.body.size() <= response.body_bytes);
  if (whole.fault()) {
    // Of two faults in a name or value the one that is noticed first: its size at the end of a
    // piece, its characters within.
    const auto either = [](FaultKind kind) {
      return kind == FaultKind::kHeadTooLarge || kind == FaultKind::kProtocol;
    };
    CHECK(whole.fault()->kind == pieces.fault()->kind ||
          (either(whole.fault()->kind) && either(pieces.fault()->kind)));
    CHECK(whole.fault()->text.size() <= 256);
  } else {
    CHECK(response == pieces.response() || response.body_bytes >= kLimits.body_counted);
    CHECK(response.status >= 100 && response.status <= 599);
  }
  return 0;
}
