#pragma once
// Question answered here: which of a region's agents runs this monitor?
//
// Rendezvous hashing (Thaler and Ravishankar 1998): every agent has a score for the monitor and the
// highest wins, so an agent that joins or leaves moves only its own share. The scores are a frozen
// function of the two ids.

#include "common/base/id.h"
#include "common/model/monitor_spec.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tocsin::collector {

/// Nothing when there is no agent: what an unreachable region runs stays where it is.
std::optional<AgentId> place(const MonitorId& monitor, const std::vector<AgentId>& agents);

/// Bits of Hello::capabilities that an agent must have to run it; to one without them the series
/// would have no data.
std::uint64_t capabilities_for(const Target& target);

/// What checks need outside `capabilities`, "tls, dns"; empty: nothing.
std::string missing_kinds(std::uint64_t capabilities);

}  // namespace tocsin::collector
