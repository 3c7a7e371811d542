#include "collector/core/liveness.h"

#include <algorithm>

namespace tocsin::collector {

MonoTime gone_at(const Liveness& agent, MonoTime settled) {
  switch (agent.presence) {
    case Presence::kAbsent:
      return MonoTime::never();
    case Presence::kPresumed:
      return settled;
    case Presence::kLive:
      return agent.heard + kSilenceMax;
    case Presence::kClosing:
      return std::min(agent.closed + kCloseGrace, agent.heard + kSilenceMax);
  }
  return MonoTime::never();
}

std::optional<MonoTime> blind_at(const Sight& sight, MonoTime settled) {
  if (sight.seeing > 0) return std::nullopt;
  return std::max(sight.dark_since + sight.grace, settled);
}

}  // namespace tocsin::collector
