#include "collector/core/ids.h"

#include "common/base/bytes.h"
#include "common/base/digest.h"

#include <algorithm>

namespace tocsin::collector {

Uuid IdMinter::next(std::uint64_t commit_seq, WallTime wall) {
  if (commit_seq != commit_seq_) {
    commit_seq_ = commit_seq;
    ordinal_ = 0;
  }
  Bytes seed;
  ByteWriter writer{seed};
  writer.u16(shard_);
  writer.u64(commit_seq);
  writer.u32(ordinal_++);
  const Sha256 hash = sha256(as_bytes(seed));
  std::array<std::uint8_t, 10> random{};
  std::copy_n(hash.begin(), random.size(), random.begin());
  return make_uuid_v7(wall.ms(), random);
}

}  // namespace tocsin::collector
