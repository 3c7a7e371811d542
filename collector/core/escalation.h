#pragma once
// Question answered here: whom does the policy tell next, and when?
//
// Specification
//  E1 A step's delay counts from the creation of the step before; the first from the opening.
//  E2 One call takes one step, however late it is; the next due moment is computed from now, so an
//     outage of ours is not followed by a burst.
//  E3 After the last step the ladder starts again `repeat` times, then the fallback is told once.
//     Both wait as long as the last step's delay, and at least kLadderPauseMin.
//  E4 `done` once nothing is left; an acknowledgement or the end of the incident sets it too.
//  E5 A step that reaches nobody is skipped: the next one is taken in the same step of the engine.
//     When a whole round reaches nobody, no further round is tried: the fallback is told at once.
//  E6 With an ack_timeout an acknowledgement only pauses: the row waits for its end (`ack_expiry`),
//     then the incident is open again and the ladder starts anew, from its first round.

#include "collector/core/rows.h"

#include <string>
#include <vector>

namespace tocsin::collector {

inline constexpr Duration kLadderPauseMin = 5min;

EscalationRow begin_escalation(const IncidentRow& incident, WallTime now);

struct StepTaken {
  int step = 0;  ///< == steps.size() for the fallback.
  int repeat = 0;
  bool fallback = false;
  std::vector<NotifyTarget> targets;
  std::string because;  ///< "step 1", "no ack after 15m", "fallback".
  EscalationRow next;
};

/// `due` is not done and its time has come.
StepTaken take_step(const PolicySpec& policy, const EscalationRow& due, WallTime now);

/// After an acknowledgement: done, or waiting for its end (E6).
EscalationRow pause_escalation(const IncidentRow& acknowledged, WallTime now);

/// After as many skipped steps as the ladder has: only the fallback is left, or nothing.
void skip_to_fallback(const PolicySpec& policy, EscalationRow& row);

}  // namespace tocsin::collector
