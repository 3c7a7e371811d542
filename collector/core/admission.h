#pragma once
// Question answered here: does this frame continue its stream, and does this result count?
//
// Specification (DEC-8)
//  A1 A frame continues a stream when first = hw + 1 and it carries the digest of frame hw. A frame
//     with last <= hw was committed before: it is acknowledged again.
//  A2 A gap in which hw lies continues the stream when the digest that it keeps of frame hw is
//  ours;
//     only what lies after hw is counted.
//  A3 A result is authorised by an assignment of its series to its agent, by its slot +- 60 s; it
//  is
//     refused when its slot is more than two intervals ahead, or older than the retention.
//  A4 (series, tick) is committed once. A missed run takes no tick.
//  A5 A slot is corrected by the measured clock offset only when that exceeds 2 s; beyond one hour
//     the result is stored and does not vote.
// Rationale: the window answers for the last 64 ticks without a lookup; what is older is asked of
// the store before the step.

#include "collector/core/engine.h"

#include <cstdint>
#include <vector>

namespace tocsin::collector {

inline constexpr Duration kAssignmentSlack = 60s;
inline constexpr Duration kAssignmentKept = 96h;
inline constexpr int kFutureIntervalsMax = 2;
inline constexpr Duration kClockCorrectedFrom = 2s;
inline constexpr Duration kClockDistrustedFrom = 1h;

struct StreamState {
  std::uint64_t high_water = 0;
  Digest16 digest{};
  WallTime last_seen;
};

enum class FrameVerdict : std::uint8_t {
  kNext,       ///< Commit it.
  kCommitted,  ///< A1: acknowledge it again.
  kOutOfOrder,
  kFork,
  kMalformed,  ///< The frame contradicts itself.
};

const char* to_string(FrameVerdict verdict);

/// A1 and A2.
FrameVerdict check_frame(const StreamState& stream, const FrameArrived& frame);

/// How many results of a gap lie after `high_water`.
std::uint64_t gapped_after(const Gap& gap, std::uint64_t high_water);

/// The last 64 ticks of a series that were committed.
struct TickWindow {
  std::uint32_t last = 0;
  std::uint64_t bits = 0;  ///< Bit i: tick last - i is committed.

  enum class Seen : std::uint8_t { kNew, kDuplicate, kOutside };

  Seen look(std::uint32_t tick) const;
  /// Of a new tick; one outside the window leaves no trace.
  void mark(std::uint32_t tick);

  friend bool operator==(const TickWindow&, const TickWindow&) = default;
};

/// One stretch of an agent's right to a series.
struct Tenure {
  AgentId agent;
  WallTime from;
  WallTime to = WallTime::never();

  friend bool operator==(const Tenure&, const Tenure&) = default;
};

/// A3 as it was decided at `now`: what began later did not exist yet, what ended later had not
/// ended, so a replay decides as the step did.
bool authorised(const std::vector<Tenure>& tenures, const AgentId& agent, WallTime slot,
                WallTime now);

/// A5. Zero when the offset is small or was never measured; rounded to seconds so that a noisy
/// measurement does not tear a steady series apart.
Duration clock_correction(const ClockTrust& clock);
bool clock_distrusted(const ClockTrust& clock);

/// Why a result was refused; the accounting of DEC-8.
enum class Refusal : std::uint8_t {
  kNone,
  kUnassigned,
  kFuture,
  kTooOld,
  kDuplicate,
  kQuarantined,
};

const char* to_string(Refusal refusal);

/// The time part of A3. `slot` is corrected.
Refusal check_slot(WallTime slot, Duration interval, Duration retention, WallTime now);

}  // namespace tocsin::collector
