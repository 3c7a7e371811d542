#pragma once
// Question answered here: how does the engine come back from what the store has?
//
// DEC-9: rows as of the last commit, the last checkpoint, and the journal after it. The replay runs
// admission, votes and run counters only; verdicts, incidents and escalations are their rows. What
// agents hold is presumed to be still with them until the collector has settled.

#include "collector/core/state.h"

namespace tocsin::collector {

void restore_state(State& state, const Engine::Options& options, const Snapshot& snapshot,
                   const std::vector<ReplayGroup>& journal, Now now);

}  // namespace tocsin::collector
