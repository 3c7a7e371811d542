#pragma once
// Question answered here: how long do slots that are due wait for company?
//
// Waking up for one check costs as much as a third of the check: the thread, its caches and the
// target's all come from sleep. So slots begin in batches. After a batch no slot begins for a gap;
// an agent with little to do has no other slot within it, and begins each at its moment. The gap
// is what keeps a batch at kWanted / 2 to kWanted starts, within bounds: more at once would delay
// the look at the first answers, which is measured as the target's time.

#include "common/base/time.h"

#include <algorithm>
#include <cstddef>

namespace tocsin::agent {

class StartBatches {
 public:
  static constexpr Duration kGapMin = std::chrono::milliseconds{1};
  static constexpr Duration kGapMax = std::chrono::milliseconds{3};
  static constexpr std::size_t kWanted = 16;

  /// No slot begins before.
  MonoTime not_before() const { return not_before_; }

  /// So many began now; 0 is no batch.
  void began(std::size_t count, MonoTime now) {
    if (count == 0) return;
    if (count > kWanted) gap_ = std::max(kGapMin, gap_ / 2);
    if (count < kWanted / 2) gap_ = std::min(kGapMax, gap_ * 2);
    not_before_ = now + gap_;
  }

 private:
  Duration gap_ = kGapMax;
  MonoTime not_before_{};
};

}  // namespace tocsin::agent
