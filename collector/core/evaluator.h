#pragma once
// Question answered here: how long does a vote count, when is a result late, and who abstains?

#include "collector/core/history.h"
#include "common/model/monitor_spec.h"

#include <cstdint>
#include <optional>

namespace tocsin::collector {

/// A vote older than interval + retry budget + 15 s is none (DEC-7).
Duration freshness(const ProbeSpec& spec);

/// A result whose slot is older than interval + retry budget + 60 s rewrites history and never
/// pages.
Duration late_after(const ProbeSpec& spec);

RunRule run_rule(const MonitorSpec& spec);

/// Why a region has no vote at `now_ms`; kNone when it has one. `distrusted` and `old_spec` tell
/// that its newest result was stored and not counted for that reason.
Abstention abstention(const Voter& voter, const RunState& tip, bool distrusted, bool old_spec,
                      std::int64_t now_ms);

/// The next moment at which a vote in the tally expires; nothing when there is none.
std::optional<std::int64_t> next_expiry(const Voter& voter, std::int64_t now_ms);

}  // namespace tocsin::collector
