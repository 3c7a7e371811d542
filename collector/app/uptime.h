#pragma once
// Question answered here: how many seconds of each day was a monitor up?
//
// A fold of its verdicts, each of which holds until the next. Only verdicts that stand count, not
// those that a late result replaced. Days are UTC. Time before the first verdict, paused time and
// maintenance count as nothing.

#include "collector/core/rows.h"
#include "collector/ports/store.h"
#include "common/base/time.h"

#include <vector>

namespace tocsin::collector {

/// The last `days` days up to and including the one of `now`, in order. `verdicts` in any order;
/// one from before the first day is needed to know how that day began.
std::vector<DayUptime> fold_uptime(std::vector<VerdictRow> verdicts, WallTime now,
                                   std::size_t days);

}  // namespace tocsin::collector
