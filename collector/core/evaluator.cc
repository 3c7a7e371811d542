#include "collector/core/evaluator.h"

#include <algorithm>

namespace tocsin::collector {

Duration freshness(const ProbeSpec& spec) { return spec.interval + retry_budget(spec) + 15s; }

Duration late_after(const ProbeSpec& spec) { return spec.interval + retry_budget(spec) + 60s; }

RunRule run_rule(const MonitorSpec& spec) {
  return {spec.open_after, spec.close_after, spec.probe.interval.count() / 1000};
}

Abstention abstention(const Voter& voter, const RunState& tip, bool distrusted, bool old_spec,
                      std::int64_t now_ms) {
  const BallotAt now = ballot_at(voter, INT64_MAX, now_ms);
  if (now.ballot != Ballot::kNone) return Abstention::kNone;
  const bool blind = std::any_of(
      voter.blind.begin(), voter.blind.end(),
      [&](const BlindSpan& span) { return span.from_ms <= now_ms && now_ms < span.to_ms; });
  if (blind) return Abstention::kBlind;
  if (distrusted) return Abstention::kClock;
  if (old_spec) return Abstention::kOldSpec;
  if (tip.newest_ms == RunState::kNever) return Abstention::kNothingYet;
  if (tip.newest == Outcome::kMissed) return Abstention::kMissed;
  if (tip.newest == Outcome::kNoData) return Abstention::kNoData;
  if (now_ms >= tip.newest_ms + voter.fresh_ms) return Abstention::kExpired;
  return Abstention::kNothingYet;  // Failing, but not yet `open_after` times.
}

std::optional<std::int64_t> next_expiry(const Voter& voter, std::int64_t now_ms) {
  const BallotAt now = ballot_at(voter, INT64_MAX, now_ms);
  if (now.ballot == Ballot::kNone) return std::nullopt;
  return now.slot_ms + voter.fresh_ms;
}

}  // namespace tocsin::collector
