#pragma once
// Question answered here: where did the time of an hour's checks go, when the checks themselves are
// not looked at?
//
// Specification
//  P1 Scheduled results count in the hour of their slot, UTC: all that came to a verdict of their
//     own (up, degraded, down) in `checks`, those that passed (up, degraded) in `passed`.
//  P2 The sketches hold the phases of the attempt that passed. What failed is left out: it took as
//     long as its timeout, and hides how long the service takes.
//  P3 `hops` has the requests of a chain of redirects by their place in it.
// Rationale: a rollup is a sum over results, so the order in which they come does not matter, late
// ones count where they belong, and hours add up to days without loss.

#include "common/base/latency_sketch.h"
#include "common/model/check_result.h"

#include <array>
#include <cstdint>
#include <vector>

namespace tocsin::collector {

/// The members of Phases in their order, and their names.
inline constexpr std::array<const char*, 7> kPhaseNames = {"dns",  "connect", "tls",  "send",
                                                           "wait", "receive", "total"};

using PhaseSketches = std::array<LatencySketch, kPhaseNames.size()>;

struct PhaseRollup {
  std::uint64_t checks = 0;
  std::uint64_t passed = 0;
  PhaseSketches whole;
  std::vector<PhaseSketches> hops;  ///< At most HttpHop::kHopsMax.

  void add(const CheckResult& result);
  PhaseRollup& operator+=(const PhaseRollup& other);

  Bytes encode() const;
  /// kCorrupt for what encode() cannot have written.
  static Expected<PhaseRollup> decode(ByteSpan bytes);

  friend bool operator==(const PhaseRollup&, const PhaseRollup&) = default;
};

inline constexpr Duration kRollupHour = std::chrono::hours{1};

/// When the hour of `t` began.
WallTime hour_of(WallTime t);

}  // namespace tocsin::collector
