#pragma once
// Question answered here: when is a series due?
//
// Specification (DEC-5). slot(tick) = tick x interval_ms + phase_ms, in milliseconds since the Unix
// epoch; tick is a u32 counted from there. phase = splitmix64(fnv1a64(16 UUID bytes big-endian,
// 0x00, region key)) mod interval_ms. Rationale: load is flat, regions sample at different moments,
// a restart changes nothing, and both daemons agree without talking. Frozen with vectors in
// slots_test.cc.

#include "common/base/id.h"
#include "common/base/time.h"

#include <cstdint>
#include <string_view>

namespace tocsin {

struct SlotGrid {
  std::int64_t interval_ms = 0;  ///< > 0, whole seconds.
  std::int64_t phase_ms = 0;     ///< [0, interval_ms).

  friend bool operator==(const SlotGrid&, const SlotGrid&) = default;

  WallTime slot(std::uint32_t tick) const {
    return WallTime::from_ms(static_cast<std::int64_t>(tick) * interval_ms + phase_ms);
  }

  /// The first tick whose slot is at or after `t`.
  std::uint32_t tick_at_or_after(WallTime t) const;

  /// The last tick whose slot is at or before `t`; 0 before the first.
  std::uint32_t tick_at_or_before(WallTime t) const;
};

std::int64_t phase_of(const MonitorId& monitor, std::string_view region, Duration interval);
SlotGrid slot_grid(const MonitorId& monitor, std::string_view region, Duration interval);

}  // namespace tocsin
