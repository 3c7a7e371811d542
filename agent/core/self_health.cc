#include "agent/core/self_health.h"

namespace tocsin::agent {

namespace {

constexpr std::size_t kSeenMax = 4096;
constexpr Duration kSeenFor = std::chrono::minutes{2};

}  // namespace

bool SelfHealth::is_transport(Reason reason) {
  switch (static_cast<std::uint16_t>(reason)) {
    case static_cast<std::uint16_t>(Reason::kDnsTimeout):
    case static_cast<std::uint16_t>(Reason::kDnsRefused):
    case static_cast<std::uint16_t>(Reason::kConnectTimeout):
    case static_cast<std::uint16_t>(Reason::kConnectUnreachable):
    case static_cast<std::uint16_t>(Reason::kTlsTimeout):
    case static_cast<std::uint16_t>(Reason::kHttpTimeout):
    case static_cast<std::uint16_t>(Reason::kTcpTimeout):
      return true;
    default:
      return false;
  }
}

SelfHealth::Blame SelfHealth::blame(Reason reason, std::uint64_t target, MonoTime began) const {
  if (!blames_target(reason)) return Blame::kOurs;
  if (!is_transport(reason)) return Blame::kTarget;
  (void)target;
  if (reached_at_ >= began || answered_at_ >= began) return Blame::kTarget;
  return Blame::kUnproven;
}

void SelfHealth::checked(std::uint64_t target, Outcome outcome, Reason reason, MonoTime now) {
  const bool failed = outcome == Outcome::kDown;
  const bool transport = failed && is_transport(reason);
  if (outcome == Outcome::kNoData) {
    if (reason != Reason::kPolicyDeniedAddress && reason != Reason::kPolicyUnsupported) {
      ++own_faults_;
      last_fault_ = reason;
    }
  } else {
    own_faults_ = 0;
    if (!transport) reached_at_ = now;
  }
  if (targets_.size() >= kSeenMax && !targets_.contains(target)) return;
  targets_[target] = {now, transport || outcome == Outcome::kNoData};
}

AgentHealth SelfHealth::health(MonoTime now) const {
  if (own_faults_ >= kBlindRuns) return AgentHealth::kBlind;
  std::size_t seen = 0;
  std::size_t failing = 0;
  for (const auto& [target, s] : targets_) {
    if (now - s.at > kSeenFor) continue;
    ++seen;
    if (s.transport_failure) ++failing;
  }
  const bool suspect = seen >= kTargetsMin &&
                       static_cast<double>(failing) >= kSuspectShare * static_cast<double>(seen);
  return suspect ? AgentHealth::kSuspect : AgentHealth::kHealthy;
}

}  // namespace tocsin::agent
