#pragma once
// Question answered here: where does time enter the program?
//
// Only shells hold a Clock; pure code is given `Now`. The system clock is the one place that reads
// the machine's clocks.

#include "common/base/time.h"

namespace tocsin {

class Clock {
 public:
  virtual ~Clock() = default;

  /// Both clocks, read once.
  virtual Now now() = 0;
};

/// Wall time anchored to BOOTTIME (DEC-5): wall at construction plus BOOTTIME progress, slewed
/// towards the machine's wall clock by at most 500 ppm. A difference above `kStep` is not slewed:
/// it waits in `pending_step` until the owner has recorded it and calls `accept_step`. One thread.
class SystemClock final : public Clock {
 public:
  static constexpr Duration kStep = std::chrono::milliseconds{500};

  SystemClock();
  Now now() override;

  /// How far the machine's wall clock is ahead of ours, when that is more than `kStep`; zero
  /// otherwise.
  Duration pending_step() const { return pending_step_; }

  /// Jumps to the machine's wall clock and returns by how much.
  Duration accept_step();

 private:
  std::int64_t anchor_wall_us_ = 0;
  std::int64_t anchor_mono_us_ = 0;
  Duration pending_step_{0};
};

/// CLOCK_MONOTONIC for measuring a latency inside one process; never stored, never compared with
/// Now.
MonoTime latency_clock();

}  // namespace tocsin
