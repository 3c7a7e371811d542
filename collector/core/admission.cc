#include "collector/core/admission.h"

#include <algorithm>
#include <cstdlib>

namespace tocsin::collector {

const char* to_string(FrameVerdict verdict) {
  switch (verdict) {
    case FrameVerdict::kNext:
      return "next";
    case FrameVerdict::kCommitted:
      return "committed";
    case FrameVerdict::kOutOfOrder:
      return "out_of_order";
    case FrameVerdict::kFork:
      return "fork";
    case FrameVerdict::kMalformed:
      return "malformed";
  }
  return "?";
}

const char* to_string(Refusal refusal) {
  switch (refusal) {
    case Refusal::kNone:
      return "none";
    case Refusal::kUnassigned:
      return "unassigned";
    case Refusal::kFuture:
      return "future";
    case Refusal::kTooOld:
      return "too_old";
    case Refusal::kDuplicate:
      return "duplicate";
    case Refusal::kQuarantined:
      return "quarantined";
  }
  return "?";
}

FrameVerdict check_frame(const StreamState& stream, const FrameArrived& event) {
  const FrameRef& frame = event.frame;
  if (frame.first == 0 || frame.last < frame.first) return FrameVerdict::kMalformed;
  if (frame.kind == FrameKind::kGap) {
    const Gap& gap = event.gap;
    if (gap.frames.empty() || gap.frames.size() > Gap::kMaxEntries || gap.first != frame.first ||
        gap.last() != frame.last || gap.frames.back().digest != frame.digest) {
      return FrameVerdict::kMalformed;
    }
  } else if (frame.first != frame.last) {
    return FrameVerdict::kMalformed;
  }
  const std::uint64_t hw = stream.high_water;
  if (frame.last <= hw) return FrameVerdict::kCommitted;
  if (frame.first > hw + 1) return FrameVerdict::kOutOfOrder;
  if (frame.first == hw + 1) {
    // Nothing is committed before the first frame, so nothing can contradict its predecessor.
    if (hw > 0 && event.previous != stream.digest) return FrameVerdict::kFork;
    return FrameVerdict::kNext;
  }
  const GapEntry& kept = event.gap.frames[static_cast<std::size_t>(hw - frame.first)];
  return kept.digest == stream.digest ? FrameVerdict::kNext : FrameVerdict::kFork;
}

std::uint64_t gapped_after(const Gap& gap, std::uint64_t high_water) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < gap.frames.size(); ++i) {
    if (gap.first + i > high_water) sum += gap.frames[i].results;
  }
  return sum;
}

TickWindow::Seen TickWindow::look(std::uint32_t tick) const {
  if (bits == 0 || tick > last) return Seen::kNew;
  const std::uint32_t behind = last - tick;
  if (behind >= 64) return Seen::kOutside;
  return (bits >> behind & 1) != 0 ? Seen::kDuplicate : Seen::kNew;
}

void TickWindow::mark(std::uint32_t tick) {
  if (bits == 0) {
    last = tick;
    bits = 1;
  } else if (tick > last) {
    const std::uint32_t ahead = tick - last;
    bits = ahead >= 64 ? 0 : bits << ahead;
    bits |= 1;
    last = tick;
  } else if (last - tick < 64) {
    bits |= std::uint64_t{1} << (last - tick);
  }
}

bool authorised(const std::vector<Tenure>& tenures, const AgentId& agent, WallTime slot,
                WallTime now) {
  return std::any_of(tenures.rbegin(), tenures.rend(), [&](const Tenure& t) {
    if (t.agent != agent || t.from > now || slot < t.from - kAssignmentSlack) return false;
    return t.to >= now || slot <= t.to + kAssignmentSlack;
  });
}

Duration clock_correction(const ClockTrust& clock) {
  if (clock.error_ms == UINT32_MAX) return Duration{0};
  const Duration offset = std::chrono::milliseconds{clock.offset_ms};
  if (std::chrono::abs(offset) <= kClockCorrectedFrom) return Duration{0};
  return std::chrono::round<std::chrono::seconds>(offset);
}

bool clock_distrusted(const ClockTrust& clock) {
  return clock.error_ms != UINT32_MAX &&
         std::chrono::abs(std::chrono::milliseconds{clock.offset_ms}) > kClockDistrustedFrom;
}

Refusal check_slot(WallTime slot, Duration interval, Duration retention, WallTime now) {
  if (slot > now + interval * kFutureIntervalsMax) return Refusal::kFuture;
  if (slot < now - retention) return Refusal::kTooOld;
  return Refusal::kNone;
}

}  // namespace tocsin::collector
