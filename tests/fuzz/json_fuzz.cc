// What is read as JSON prints as JSON that reads back and prints the same.

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/codec/json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto node = tocsin::codec::parse_json(tocsin::as_view({data, size}));
  if (!node) return 0;
  const std::string text = tocsin::codec::print_json(*node);
  const auto again = tocsin::codec::parse_json(
      text, {.bytes_max = SIZE_MAX, .depth_max = 32, .nodes_max = 200'000});
  CHECK(again.has_value());
  CHECK(tocsin::codec::print_json(*again) == text);
  return 0;
}
