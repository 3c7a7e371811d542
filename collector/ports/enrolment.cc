#include "collector/ports/enrolment.h"

#include <algorithm>

namespace tocsin::collector {

Expected<std::string> region_of(const EngineView& view, const AgentId& agent) {
  const auto at = std::find_if(view.agents.begin(), view.agents.end(),
                               [&](const AgentView& one) { return one.row.agent == agent; });
  if (at == view.agents.end()) {
    return fail(Errc::kNotFound, "there is no agent {}", agent.str());
  }
  if (at->row.revoked_at) {
    return fail(Errc::kNotFound, "agent {} was revoked: enrol it anew", agent.str());
  }
  return at->row.region;
}

}  // namespace tocsin::collector
