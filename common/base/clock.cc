#include "common/base/clock.h"

#include <algorithm>
#include <ctime>

namespace tocsin {

namespace {

std::int64_t read_us(clockid_t id) {
  timespec ts{};
  clock_gettime(id, &ts);
  return static_cast<std::int64_t>(ts.tv_sec) * 1'000'000 + ts.tv_nsec / 1'000;
}

}  // namespace

SystemClock::SystemClock()
    : anchor_wall_us_(read_us(CLOCK_REALTIME)),
      anchor_mono_us_(read_us(CLOCK_BOOTTIME)) {}

Now SystemClock::now() {
  const std::int64_t mono = read_us(CLOCK_BOOTTIME);
  const std::int64_t machine = read_us(CLOCK_REALTIME);
  const std::int64_t elapsed = mono - anchor_mono_us_;
  std::int64_t wall = anchor_wall_us_ + elapsed;
  const std::int64_t ahead = machine - wall;
  if (std::abs(ahead) > kStep.count()) {
    pending_step_ = Duration{ahead};
  } else {
    pending_step_ = Duration{0};
    const std::int64_t slew_max = elapsed / 2'000;  // 500 ppm of what has passed since the anchor.
    wall += std::clamp(ahead, -slew_max, slew_max);
    if (elapsed > 1'000'000) {
      anchor_wall_us_ = wall;
      anchor_mono_us_ = mono;
    }
  }
  return Now{MonoTime{mono}, WallTime{wall}};
}

Duration SystemClock::accept_step() {
  const Duration step = pending_step_;
  anchor_wall_us_ += step.count();
  pending_step_ = Duration{0};
  return step;
}

MonoTime latency_clock() { return MonoTime{read_us(CLOCK_MONOTONIC)}; }

}  // namespace tocsin
