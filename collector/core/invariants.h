#pragma once
// Question answered here: does the engine's state make sense?
//
// Checked by every test after each step and by the simulator. The names refer to the invariants of
// docs/testing.md.

#include "collector/core/state.h"

#include <string>
#include <vector>

namespace tocsin::collector {

/// Every broken one in words; empty: all hold. O(state).
std::vector<std::string> broken_invariants(const State& state);

}  // namespace tocsin::collector
