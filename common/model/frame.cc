#include "common/model/frame.h"

#include "common/base/bytes.h"

#include <fmt/core.h>

namespace tocsin {

const char* to_string(StreamClass c) {
  switch (c) {
    case StreamClass::kAlert:
      return "alert";
    case StreamClass::kRoutine:
      return "routine";
  }
  return "?";
}

std::string to_string(const StreamId& id) {
  return fmt::format("{}.{}/{}/{}", id.epoch, to_hex(ByteSpan{id.nonce}.first(4)), id.shard,
                     to_string(id.cls));
}

const char* to_string(GapCause cause) {
  switch (cause) {
    case GapCause::kDiskFull:
      return "disk_full";
    case GapCause::kCorrupt:
      return "corrupt";
    case GapCause::kServerLost:
      return "server_lost";
  }
  return "?";
}

}  // namespace tocsin
