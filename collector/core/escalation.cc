#include "collector/core/escalation.h"

#include "common/base/check.h"

#include <algorithm>

namespace tocsin::collector {

namespace {

std::string reason(const PolicySpec& policy, int step, int repeat) {
  if (step == 0 && repeat == 0) return "step 1";
  if (repeat > 0) return fmt::format("no ack, round {} step {}", repeat + 1, step + 1);
  Duration waited{0};
  for (int i = 0; i <= step; ++i) waited += policy.steps[static_cast<std::size_t>(i)].delay;
  return fmt::format("no ack after {}", format_duration(waited));
}

}  // namespace

EscalationRow begin_escalation(const IncidentRow& incident, WallTime now) {
  EscalationRow row{incident.id, 0, 0, now, incident.policy.steps.empty()};
  if (!row.done) row.due_at = now + incident.policy.steps.front().delay;
  return row;
}

StepTaken take_step(const PolicySpec& policy, const EscalationRow& due, WallTime now) {
  CHECK(!due.done && due.step >= 0 && !policy.steps.empty());
  const int steps = static_cast<int>(policy.steps.size());
  const Duration pause = std::max(policy.steps.back().delay, kLadderPauseMin);
  StepTaken taken{due.step, due.repeat, false, {}, {}, due};
  if (due.step >= steps) {
    taken.fallback = true;
    taken.because = "fallback";
    if (policy.fallback) taken.targets.push_back(*policy.fallback);
    taken.next.done = true;
    return taken;
  }
  taken.targets = policy.steps[static_cast<std::size_t>(due.step)].notify;
  taken.because = reason(policy, due.step, due.repeat);
  taken.next.step = due.step + 1;
  if (taken.next.step < steps) {
    taken.next.due_at = now + policy.steps[static_cast<std::size_t>(taken.next.step)].delay;
  } else if (due.repeat < policy.repeat) {
    taken.next.step = 0;
    taken.next.repeat = due.repeat + 1;
    taken.next.due_at = now + std::max(policy.steps.front().delay, pause);
  } else {
    taken.next.due_at = now + pause;
    taken.next.done = !policy.fallback.has_value();
  }
  return taken;
}

EscalationRow pause_escalation(const IncidentRow& acknowledged, WallTime now) {
  const Duration timeout = acknowledged.policy.ack_timeout;
  EscalationRow row{acknowledged.id, 0, 0, now, timeout <= Duration{0}};
  row.ack_expiry = !row.done;
  if (row.ack_expiry) row.due_at = now + timeout;
  return row;
}

void skip_to_fallback(const PolicySpec& policy, EscalationRow& row) {
  row.step = static_cast<int>(policy.steps.size());
  row.done = !policy.fallback.has_value();
}

}  // namespace tocsin::collector
