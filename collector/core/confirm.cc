#include "collector/core/confirm.h"

#include <algorithm>

namespace tocsin::collector {

bool confirm_due(std::optional<WallTime> last_asked, WallTime now, Duration interval) {
  return !last_asked || now - *last_asked >= interval / 2 || now < *last_asked;
}

bool ConfirmBudget::take(MonoTime now, std::uint32_t series, double checks_per_s) {
  const double burst = std::max(kBurstMin, series / 10.0);
  const double rate = std::max(kRateMin, checks_per_s / 10.0);
  if (!last_) {
    runs_ = burst;
  } else {
    const double seconds = std::chrono::duration<double>(now - *last_).count();
    runs_ = std::min(burst, runs_ + std::max(0.0, seconds) * rate);
  }
  last_ = now;
  if (runs_ < 1) return false;
  runs_ -= 1;
  return true;
}

}  // namespace tocsin::collector
