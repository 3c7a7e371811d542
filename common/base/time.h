#pragma once
// Question answered here: what time is it, of which kind, and how is it written?
//
// Monotonic and wall time are different types and do not mix outside clock.cc. Intervals, timeouts
// and latencies are monotonic (CLOCK_BOOTTIME, so that a suspended machine notices); records and
// calendars are wall time. Both have microsecond resolution in 64 bits.

#include "common/base/expected.h"

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace tocsin {

using Duration = std::chrono::microseconds;
using std::chrono_literals::operator""h;
using std::chrono_literals::operator""min;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""us;

/// A moment on this machine's BOOTTIME clock; meaningless on another machine or after a reboot.
struct MonoTime {
  std::int64_t us = 0;

  friend auto operator<=>(const MonoTime&, const MonoTime&) = default;

  friend MonoTime operator+(MonoTime t, Duration d) { return {t.us + d.count()}; }

  friend MonoTime operator-(MonoTime t, Duration d) { return {t.us - d.count()}; }

  friend Duration operator-(MonoTime a, MonoTime b) { return Duration{a.us - b.us}; }

  static constexpr MonoTime never() { return {INT64_MAX}; }
};

/// Microseconds since the Unix epoch, UTC.
struct WallTime {
  std::int64_t us = 0;

  friend auto operator<=>(const WallTime&, const WallTime&) = default;

  friend WallTime operator+(WallTime t, Duration d) { return {t.us + d.count()}; }

  friend WallTime operator-(WallTime t, Duration d) { return {t.us - d.count()}; }

  friend Duration operator-(WallTime a, WallTime b) { return Duration{a.us - b.us}; }

  std::int64_t ms() const { return us / 1000; }

  static WallTime from_ms(std::int64_t v) { return {v * 1000}; }

  static constexpr WallTime never() { return {INT64_MAX}; }
};

/// What pure code is told about time: one reading of both clocks. It stands still within one step.
struct Now {
  MonoTime mono;
  WallTime wall;

  friend bool operator==(const Now&, const Now&) = default;
};

/// "30s", "5m", "1h", "14d", "100ms", "250us", and sums in falling order such as "1h30m". A bare
/// number, a sign, a fraction or an unknown unit is refused.
Expected<Duration> parse_duration(std::string_view text);

/// The shortest exact spelling that parse_duration reads back: "90s" is "1m30s", zero is "0s".
std::string format_duration(Duration d);

/// For people: at most two units, rounded: "2m 5s", "1.23s", "45.2ms".
std::string format_duration_short(Duration d);

/// RFC 3339 with milliseconds and Z: "2026-11-21T03:14:07.250Z". Years 0001 to 9999.
std::string format_rfc3339(WallTime t);

/// Reads RFC 3339 with any offset and up to microseconds; refuses what has no offset.
Expected<WallTime> parse_rfc3339(std::string_view text);

}  // namespace tocsin
