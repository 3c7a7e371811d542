#pragma once
// Question answered here: may we ask the other regions to look at once?
//
// Specification (DEC-7)
//  C1 At most one round of confirm runs per monitor and half interval.
//  C2 At most a tenth of what an agent runs anyway: a bucket of max(kBurstMin, series / 10) runs,
//     refilled at a tenth of its check rate and at least one run per second, so that a small
//     installation can confirm at all.
//  C3 None from an agent that is suspect or blind: what it would say counts for little.

#include "common/base/time.h"

#include <cstdint>
#include <optional>

namespace tocsin::collector {

bool confirm_due(std::optional<WallTime> last_asked, WallTime now, Duration interval);

class ConfirmBudget {
 public:
  static constexpr double kBurstMin = 10;
  static constexpr double kRateMin = 1;

  /// True takes one run. `checks_per_s` is what the agent's series add up to.
  bool take(MonoTime now, std::uint32_t series, double checks_per_s);

 private:
  std::optional<MonoTime> last_;
  double runs_ = 0;
};

}  // namespace tocsin::collector
