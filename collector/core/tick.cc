#include "collector/core/transition.h"

namespace tocsin::collector {

void arm_monitor(State& s, std::uint32_t index, std::int64_t due_us) {
  MonitorTable& monitor = s.monitors[index];
  if (monitor.due_us != INT64_MAX) s.monitor_due.erase({monitor.due_us, index});
  monitor.due_us = due_us;
  if (due_us != INT64_MAX) s.monitor_due.insert({due_us, index});
}

void pass_time(Transition& t) {
  State& s = t.s;
  if (!s.started) {
    s.started = true;
    s.settling = true;
    s.settled = t.mono() + t.o.settle;
    s.quiet_since = t.wall();
  }
  if (!s.restore_trouble.empty()) {
    t.notice(true, "restore_trouble", s.restore_trouble);
    s.restore_trouble.clear();
  }
  if (s.settling && t.mono() >= s.settled) {
    s.settling = false;
    for (std::uint32_t i = 0; i < s.monitors.size(); ++i) {
      assess(t, i, s.quiet_since.ms(), false);
    }
  }
  sweep_liveness(t);
  sweep_moves(t);
  while (!s.monitor_due.empty() && s.monitor_due.begin()->first <= t.wall().us) {
    const auto [due_us, index] = *s.monitor_due.begin();
    arm_monitor(s, index, INT64_MAX);
    assess(t, index, due_us / 1000, false);
  }
  escalate_due(t);
}

}  // namespace tocsin::collector
