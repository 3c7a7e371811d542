#pragma once
// Question answered here: what was the verdict from each moment on, as far as we know now?
//
// Specification (DEC-7)
//  H1 History is the fold of the votes in slot order. A point stands at the slot of the vote that
//     changed it, at slot + freshness of a vote that expired, or at the start and end of a region's
//     blindness. It changes with (status, down, up, degraded).
//  H2 A vote counts until its slot + freshness. A blind region's vote is none unless its slot lies
//     after the blindness began: what such a region spooled meanwhile counts when it arrives.
//  H3 An undecided verdict leaves the status alone inside a `Stay`: after the rules changed, until
//     the new votes had their time (DEC-13), and while the collector settles.
//  H4 A late result gives another fold from its slot on; rows that no longer hold are replaced.
//  H5 An incident is no input: when it opened follows arrivals. Q5 holds here from a failing point
//  to
//     the next one that is up by Q5; what an open incident demands of the live status beyond that
//     is added by the caller (collector/core/assess.cc).
// Rationale: the same function gives the live verdict (its last point) and every rewrite, so the
// order of arrival cannot show at quiescence (INV-6).

#include "collector/core/quorum.h"
#include "collector/core/votes.h"

#include <cstdint>
#include <span>
#include <vector>

namespace tocsin::collector {

struct VerdictPoint {
  std::int64_t at_ms = 0;
  MonitorStatus status = MonitorStatus::kNew;
  Tally tally;
  bool failing = false;  ///< Down since the last time it was up by the rule Q5.

  friend bool operator==(const VerdictPoint&, const VerdictPoint&) = default;
};

struct BlindSpan {
  std::int64_t from_ms = 0;
  std::int64_t to_ms = INT64_MAX;

  friend bool operator==(const BlindSpan&, const BlindSpan&) = default;
};

/// One region of the electorate.
struct Voter {
  std::vector<BallotSpan> spans;
  std::span<const BlindSpan> blind;
  std::int64_t interval_ms = 0;
  std::int64_t fresh_ms = 0;  ///< How long a vote counts after its slot.
};

struct Stay {
  std::int64_t from_ms = 0;
  std::int64_t to_ms = 0;
};

struct FoldInput {
  std::vector<Voter> voters;
  int k = 1;
  bool degraded_fails = false;  ///< page_on_degraded: being degraded is failing too.
  VerdictPoint before;          ///< What held before `from_ms`.
  std::int64_t from_ms = 0;
  std::int64_t now_ms = 0;  ///< Nothing expires after this; slots may lie a little ahead of it.
  std::vector<Stay> stays;
};

/// The points at or after from_ms that differ from their predecessor, in order.
std::vector<VerdictPoint> fold_history(const FoldInput& input);

struct BallotAt {
  Ballot ballot = Ballot::kNone;
  std::int64_t slot_ms = 0;  ///< Of the newest sample at that time.
};

/// The vote of one region at `t`; freshness and blindness are judged at min(t, now).
BallotAt ballot_at(const Voter& voter, std::int64_t t, std::int64_t now_ms);

}  // namespace tocsin::collector
