#pragma once
// Question answered here: is a failure the target's, or our own?
//
// First form. Anchors are the collector itself (does it answer heartbeats?) and the other targets.
// Specification
//  H1 A failure of transport (no answer, no route, no resolver) may be our own uplink. It is the
//     target's when, since the check began, another target passed or refused, or the collector
//     answered. Otherwise the check waits kProof for an answer to a heartbeat sent at once; without
//     one it is no_data(self.uplink). A refusal, a reset or a bad response proves that the network
//     works: it is always the target's.
//  H2 blind: the last kBlindRuns checks all ended as our own fault. suspect: of at least
//  kTargetsMin
//     distinct targets seen in the last two minutes, kSuspectShare or more failed by transport at
//     their last check. healthy: otherwise.
//  H3 Descriptors, memory and resolver faults that a probe reports as self.* count as our own as
//  well.

#include "common/base/time.h"
#include "common/model/check_result.h"
#include "common/model/link.h"

#include <cstdint>
#include <string>
#include <unordered_map>

namespace tocsin::agent {

class SelfHealth {
 public:
  static constexpr Duration kProof = std::chrono::seconds{2};
  static constexpr int kBlindRuns = 3;
  static constexpr std::size_t kTargetsMin = 5;
  static constexpr double kSuspectShare = 0.6;

  enum class Blame : std::uint8_t { kTarget, kOurs, kUnproven };

  /// For a check that began at `began` and ended failing with `reason` at target `target`.
  Blame blame(Reason reason, std::uint64_t target, MonoTime began) const;

  /// A finished check, after blame was settled. `reached` means that its target answered somehow.
  void checked(std::uint64_t target, Outcome outcome, Reason reason, MonoTime now);

  void collector_answered(MonoTime now) { answered_at_ = now; }

  AgentHealth health(MonoTime now) const;

  /// Why we are blind; kNone when healthy or only suspect.
  Reason fault() const { return own_faults_ >= kBlindRuns ? last_fault_ : Reason::kNone; }

  /// Whether this reason may be our own uplink's fault.
  static bool is_transport(Reason reason);

 private:
  struct Seen {
    MonoTime at;
    bool transport_failure = false;
  };

  std::unordered_map<std::uint64_t, Seen> targets_;  ///< By hash of the target; at most kSeenMax.
  MonoTime answered_at_;
  MonoTime reached_at_;  ///< A target answered, in whatever way.
  int own_faults_ = 0;   ///< In a row.
  Reason last_fault_ = Reason::kNone;
};

}  // namespace tocsin::agent
