#include "common/model/slots.h"

#include "common/base/check.h"
#include "common/base/hash.h"

namespace tocsin {

namespace {

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

}  // namespace

std::uint32_t SlotGrid::tick_at_or_before(WallTime t) const {
  const std::int64_t tick = floor_div(floor_div(t.us, 1000) - phase_ms, interval_ms);
  return tick < 0 ? 0 : static_cast<std::uint32_t>(tick);
}

std::uint32_t SlotGrid::tick_at_or_after(WallTime t) const {
  const std::int64_t ms = floor_div(t.us + 999, 1000);
  const std::int64_t tick = floor_div(ms - phase_ms + interval_ms - 1, interval_ms);
  return tick < 0 ? 0 : static_cast<std::uint32_t>(tick);
}

std::int64_t phase_of(const MonitorId& monitor, std::string_view region, Duration interval) {
  const auto interval_ms = static_cast<std::uint64_t>(interval.count() / 1000);
  CHECK(interval_ms > 0);
  std::uint64_t h = fnv1a64(std::span<const std::uint8_t>{monitor.bytes});
  h = fnv1a64(std::string_view{"\0", 1}, h);
  h = fnv1a64(region, h);
  return static_cast<std::int64_t>(splitmix64(h) % interval_ms);
}

SlotGrid slot_grid(const MonitorId& monitor, std::string_view region, Duration interval) {
  return {interval.count() / 1000, phase_of(monitor, region, interval)};
}

}  // namespace tocsin
