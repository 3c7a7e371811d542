// A frame that is accepted was encoded by somebody: encoding its results again gives a frame that
// decodes to the same. The CRC is made right first, or nothing would get past it.

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/wire/frame.h"
#include "common/wire/result.h"

#include <string>

namespace {

using namespace tocsin;

void put_u32(std::string& bytes, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<char>(value >> (8 * i));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string bytes{as_view({data, size})};
  (void)wire::decode_result(as_bytes(bytes));
  (void)wire::decode_frame(as_bytes(bytes));
  if (bytes.size() < wire::kFrameHeaderSize) return 0;
  put_u32(bytes, 4, static_cast<std::uint32_t>(bytes.size()));
  put_u32(bytes, 8, crc32c(as_bytes(bytes).subspan(12)));
  const auto frame = wire::decode_frame(as_bytes(bytes));
  if (!frame || frame->results.empty()) return 0;
  for (const CheckResult& result : frame->results) {
    const Bytes encoded = wire::encode_result(result);
    const auto again = wire::decode_result(as_bytes(encoded));
    CHECK(again.has_value());
    CHECK(*again == result);
  }
  return 0;
}
