#include "collector/core/placement.h"

#include "common/base/hash.h"
#include "common/model/link.h"

#include <array>
#include <span>
#include <string_view>
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

std::uint64_t capabilities_for(const Target& target) {
  // Who does not know it would not look, and what is revoked would pass.
  const std::uint64_t ocsp = ocsp_mode(target) == OcspMode::kOff ? 0 : kCapOcsp;
  if (std::holds_alternative<HttpTarget>(target)) {
    return (stored_secrets(target).empty() ? kCapHttp : kCapHttp | kCapSecrets) | ocsp;
  }
  if (std::holds_alternative<DnsTarget>(target)) return kCapDns;
  if (const auto* tcp = std::get_if<TcpTarget>(&target)) {
    return tcp->starttls == StartTls::kNone ? kCapTcp : kCapTcp | kCapTls | ocsp;
  }
  return kCapTls | ocsp;
}

std::string missing_kinds(std::uint64_t capabilities) {
  constexpr std::array<std::pair<std::uint64_t, std::string_view>, 6> kKinds{
      {{kCapHttp, "http"},
       {kCapTcp, "tcp"},
       {kCapDns, "dns"},
       {kCapTls, "tls"},
       {kCapSecrets, "http with secrets of the collector"},
       {kCapOcsp, "ocsp"}}};
  std::string out;
  for (const auto& [bit, name] : kKinds) {
    if ((capabilities & bit) != 0) continue;
    if (!out.empty()) out += ", ";
    out += name;
  }
  return out;
}

}  // namespace tocsin::collector
