#pragma once
// Question answered here: which of a region's agents runs this monitor?
//
// Rendezvous hashing (Thaler and Ravishankar 1998): every agent has a score for the monitor and the
// highest wins, so an agent that joins or leaves moves only its own share. The scores are a frozen
// function of the two ids.

#include "common/base/id.h"

#include <optional>
#include <vector>

namespace tocsin::collector {

/// Nothing when there is no agent: what an unreachable region runs stays where it is.
std::optional<AgentId> place(const MonitorId& monitor, const std::vector<AgentId>& agents);

}  // namespace tocsin::collector
