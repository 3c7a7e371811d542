#pragma once
// Question answered here: how does pure code make ids?

#include "common/base/id.h"
#include "common/base/time.h"

#include <cstdint>

namespace tocsin::collector {

/// Mints ids shaped like UUIDv7 from the group's wall time and SHA-256(shard, commit_seq, ordinal):
/// the same input gives the same id, and two commits never share one (DEC-9). The ordinal counts
/// through all steps of a group.
class IdMinter {
 public:
  explicit IdMinter(std::uint16_t shard)
      : shard_(shard) {}

  Uuid next(std::uint64_t commit_seq, WallTime wall);

 private:
  std::uint16_t shard_;
  std::uint64_t commit_seq_ = 0;
  std::uint32_t ordinal_ = 0;
};

}  // namespace tocsin::collector
