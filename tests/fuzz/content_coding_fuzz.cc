// Bodies of servers with gzip, deflate and br on them: never more than the limit, a smaller limit
// yields the beginning of what a larger one does, and what is corrupt stays corrupt.
//
// The first byte says which codings (of kCodings) and whether the body is taken as cut; the rest is
// the body.

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/codec/content_coding.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace {

using tocsin::codec::decode_content;
using tocsin::codec::DecodeError;

constexpr std::array<std::string_view, 8> kCodings{
    "gzip", "deflate", "br", "gzip, br", "br, x-gzip", "", "identity", "gzip, gzip, gzip"};
constexpr std::size_t kLarge = 256 * 1024;
constexpr std::size_t kSmall = 512;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view codings = kCodings[data[0] % kCodings.size()];
  const bool cut = data[0] >= 128;
  const std::string_view body = tocsin::as_view({data, size}).substr(1);
  const auto large = decode_content(body, codings, {kLarge, cut});
  const auto small = decode_content(body, codings, {kSmall, cut});
  if (large) {
    CHECK(large->body.size() <= kLarge);
    CHECK(!cut || large->cut);
  } else {
    CHECK(!large.error().text.empty());
  }
  if (small) {
    CHECK(small->body.size() <= kSmall);
    // With more room an error may be met that lies behind what was wanted.
    CHECK(!large || std::string_view{large->body}.starts_with(small->body));
    CHECK(!large || small->cut || small->body == large->body);
  } else {
    // Less room makes a bomb of what was none, and nothing else wrong.
    CHECK(!large || small.error().kind == DecodeError::Kind::kBomb);
  }
  return 0;
}
