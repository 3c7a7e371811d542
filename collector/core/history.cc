#include "collector/core/history.h"

#include <algorithm>

namespace tocsin::collector {

namespace {

/// Every moment at which a vote of `voter` may change, from `from` on.
void collect(const Voter& voter, std::int64_t from, std::int64_t now,
             std::vector<std::int64_t>& times) {
  const auto add = [&](std::int64_t t) {
    if (t >= from) times.push_back(t);
  };
  for (const BallotSpan& span : voter.spans) {
    add(span.begin_ms);
    if (span.last_ms + voter.fresh_ms <= now) add(span.last_ms + voter.fresh_ms);
  }
  for (const BlindSpan& blind : voter.blind) {
    if (blind.from_ms > now) continue;
    add(blind.from_ms);
    if (blind.to_ms <= now) add(blind.to_ms);
    for (const BallotSpan& span : voter.spans) {
      if (span.begin_ms >= blind.from_ms || span.last_ms < blind.from_ms) continue;
      const std::int64_t into = blind.from_ms - span.begin_ms;  // The first sample after it began.
      add(span.begin_ms + (into + voter.interval_ms - 1) / voter.interval_ms * voter.interval_ms);
    }
  }
}

}  // namespace

BallotAt ballot_at(const Voter& voter, std::int64_t t, std::int64_t now_ms) {
  const auto next =
      std::upper_bound(voter.spans.begin(), voter.spans.end(), t,
                       [](std::int64_t at, const BallotSpan& span) { return at < span.begin_ms; });
  if (next == voter.spans.begin()) return {};
  const BallotSpan& span = *std::prev(next);
  const std::int64_t newest =
      t >= span.last_ms
          ? span.last_ms
          : span.begin_ms + (t - span.begin_ms) / voter.interval_ms * voter.interval_ms;
  const std::int64_t judged = std::min(t, now_ms);
  if (judged >= newest + voter.fresh_ms) return {Ballot::kNone, newest};
  for (const BlindSpan& blind : voter.blind) {
    if (judged >= blind.from_ms && judged < blind.to_ms && newest < blind.from_ms) {
      return {Ballot::kNone, newest};
    }
  }
  return {span.ballot, newest};
}

std::vector<VerdictPoint> fold_history(const FoldInput& in) {
  std::vector<std::int64_t> times{in.from_ms};
  for (const Voter& voter : in.voters) collect(voter, in.from_ms, in.now_ms, times);
  for (const Stay& stay : in.stays) {
    if (stay.to_ms >= in.from_ms && stay.to_ms <= in.now_ms) times.push_back(stay.to_ms);
  }
  std::sort(times.begin(), times.end());
  times.erase(std::unique(times.begin(), times.end()), times.end());

  std::vector<VerdictPoint> out;
  VerdictPoint held = in.before;
  for (const std::int64_t t : times) {
    Tally tally{static_cast<int>(in.voters.size()), in.k, 0, 0, 0};
    for (const Voter& voter : in.voters) {
      const Ballot ballot = ballot_at(voter, t, in.now_ms).ballot;
      tally.down += ballot == Ballot::kDown ? 1 : 0;
      tally.up += ballot == Ballot::kUp || ballot == Ballot::kDegraded ? 1 : 0;
      tally.degraded += ballot == Ballot::kDegraded ? 1 : 0;
    }
    const MonitorStatus status = decide(tally, held.failing);
    if (status == MonitorStatus::kUnknown) {
      const std::int64_t judged = std::min(t, in.now_ms);
      // While the collector settles (no end yet) silence is not judged, but a region that says down
      // is not silent: up does not stay against it.
      const bool contradicted = tally.down > 0 && held.status != MonitorStatus::kDown;
      const bool stays = std::any_of(in.stays.begin(), in.stays.end(), [&](const Stay& stay) {
        const bool settling = stay.to_ms == INT64_MAX;
        return judged >= stay.from_ms && judged < stay.to_ms && !(settling && contradicted);
      });
      if (stays) continue;
    }
    bool still = held.failing;
    if (status == MonitorStatus::kDown) still = true;
    if (status == MonitorStatus::kUp) still = false;
    if (status == MonitorStatus::kDegraded) still = in.degraded_fails;
    VerdictPoint point{t, status, tally, still};
    if (point.status == held.status && point.tally == held.tally) {
      held.failing = still;
      continue;
    }
    out.push_back(point);
    held = point;
  }
  return out;
}

}  // namespace tocsin::collector
