#include "collector/core/placement.h"

#include "common/base/hash.h"

#include <span>
#include <utility>

namespace tocsin::collector {

std::optional<AgentId> place(const MonitorId& monitor, const std::vector<AgentId>& agents) {
  std::optional<std::pair<std::uint64_t, AgentId>> best;
  const std::uint64_t seed = fnv1a64(std::span<const std::uint8_t>{monitor.bytes});
  for (const AgentId& agent : agents) {
    const std::pair<std::uint64_t, AgentId> score{
        splitmix64(fnv1a64(std::span<const std::uint8_t>{agent.bytes}, seed)), agent};
    if (!best || score > *best) best = score;
  }
  if (!best) return std::nullopt;
  return best->second;
}

}  // namespace tocsin::collector
