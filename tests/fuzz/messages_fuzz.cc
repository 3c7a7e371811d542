// A link message that is accepted encodes to one that decodes to the same. The first byte says
// which end sent it.

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/wire/messages.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tocsin;
  if (size == 0) return 0;
  const ByteSpan body{data + 1, size - 1};
  (void)wire::decode_head(body);
  if ((data[0] & 1) == 0) {
    const auto message = wire::decode_agent_message(body);
    if (!message) return 0;
    const auto again = wire::decode_agent_message(as_bytes(wire::encode(*message)));
    CHECK(again.has_value());
    CHECK(wire::encode(*again) == wire::encode(*message));
  } else {
    const auto message = wire::decode_collector_message(body);
    if (!message) return 0;
    const auto again = wire::decode_collector_message(as_bytes(wire::encode(*message)));
    CHECK(again.has_value());
    CHECK(wire::encode(*again) == wire::encode(*message));
  }
  return 0;
}
