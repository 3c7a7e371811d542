#pragma once
// Question answered here: is a failure the target's, or our own?
//
// Evidence: anchors (places of the operator's choice that always answer), the collector, the other
// targets, our resolver, our clock against the collector's, and what probes report of the machine.
//
// Specification
//  H1 A failure that our way out can cause (no answer, no route) is the target's only with a proof
//     that the way out worked: an answer since the attempt began, and at most kProof before it
//     ended. While an anchor counts (H5), only an anchor's answer proves it, since collector and
//     targets may be near; otherwise the collector's does, or that of any target. A check without a
//     proof waits kProof for one, or to the end of its slot but kProofMin at least, while collector
//     and anchors are asked; without one it is
//     no_data(self.uplink).
//  H2 A lookup that the agent's own resolver left unanswered, or answered by SERVFAIL or REFUSED,
//     is the target's only with a proof (H1) and one of the resolver: in the same span it answered
//     another question; after SERVFAIL or REFUSED, by NOERROR or NXDOMAIN. The root's name servers
//     are asked for. Without one it is no_data(self.resolver). NXDOMAIN is always the target's.
//  H3 What a probe reports as self.* is ours. So is a certificate that is out of date by our clock
//     and not by the collector's (clock_estimate.h): no_data(self.clock).
//  H4 blind: the last kBlindRuns checks all ended as our own fault; or every anchor that counts
//     fails, and kSuspectShare of the targets seen in kSeenFor are not reached (silent, refused, no
//     such name: a router that is cut off says such things as well); or the clock is off by more
//     than kClockBlind, when no result votes anyway. suspect: descriptors are short; the clock is
//     off by more than kClockSuspect; half of the anchors that count fail; or kSuspectShare of at
//     least kTargetsMin targets are silent. healthy: otherwise. While blind, every failure is
//     no_data with the fault as its reason.
//  H5 An anchor fails after kAnchorLooks looks in a row without an answer. One that has failed for
//     kAnchorGone while we were not blind does not count until it answers again: it is the anchor
//     that is gone, and must not hide the outages of targets.
//  H6 A worse state holds at once, a better one after it was deserved for kCalm.
//
// Rationale
//  H1 Blaming the target for our silence pages for nothing (INV-8); waiting costs one round trip,
//     and only for failures by silence. Refusals, resets and bad responses come from somebody, so
//     they need no proof, except while blind.
//  H4 The share of targets alone does not blind: the outage of a provider looks the same.

#include "common/base/time.h"
#include "common/model/check_result.h"
#include "common/model/link.h"

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace tocsin::agent {

class SelfHealth {
 public:
  static constexpr Duration kProof = std::chrono::seconds{2};
  static constexpr Duration kProofMin = std::chrono::milliseconds{250};
  static constexpr int kBlindRuns = 3;
  static constexpr std::size_t kTargetsMin = 5;
  static constexpr double kSuspectShare = 0.6;
  static constexpr Duration kSeenFor = std::chrono::minutes{2};
  static constexpr std::size_t kSeenMax = 4096;  ///< Targets remembered; others say nothing of us.
  static constexpr int kAnchorLooks = 2;
  static constexpr Duration kAnchorGone = std::chrono::minutes{10};
  static constexpr Duration kClockSuspect = std::chrono::minutes{1};
  static constexpr Duration kClockBlind = std::chrono::hours{1};
  static constexpr Duration kCalm = std::chrono::seconds{10};

  explicit SelfHealth(std::size_t anchors = 0)
      : anchors_(anchors) {}

  enum class Blame : std::uint8_t { kTarget, kOurs, kUnproven };

  /// An attempt that failed, and the span in which a proof counts (H1).
  struct Failed {
    Reason reason = Reason::kNone;
    bool asked_resolver = false;  ///< Names are looked up by the agent's own resolver.
    MonoTime since;               ///< Proofs from then on count.
  };

  /// Whose fault it is, whatever the state.
  Blame blame(const Failed& failed) const;

  /// What a check that stays unproven is called: self.uplink or self.resolver.
  Reason unproven(const Failed& failed) const;

  /// Whether the resolver has to be asked for a proof.
  bool wants_resolver_proof(const Failed& failed) const;

  /// A finished check, after blame was settled and before the state changed its outcome.
  void checked(std::uint64_t target, Outcome outcome, Reason reason, MonoTime now);

  void collector_answered(MonoTime now) { answered_at_ = now; }

  /// Our resolver said something; `useful`: NOERROR or NXDOMAIN.
  void resolver_answered(bool useful, MonoTime now);

  /// A look at the anchor of that index ended.
  void anchor_looked(std::size_t index, bool answered, MonoTime now);

  void descriptors(bool short_of) { descriptors_short_ = short_of; }

  void clock(const ClockTrust& trust) { clock_ = trust; }

  /// Weighs the evidence again (H4 to H6). True when state or fault changed. Looks at every target:
  /// for moments, not for each check.
  bool update(MonoTime now);

  AgentHealth state() const { return state_; }

  /// Why the state is what it is; kNone when healthy.
  Reason fault() const { return fault_; }

  /// The evidence in a few words: "2 of 2 anchors fail, 5 of 7 targets are silent".
  std::string evidence(MonoTime now) const;

  struct Anchor {
    MonoTime answered_at;
    MonoTime failing_since = MonoTime::never();
    int failed_looks = 0;
    bool counts = true;

    bool fails() const { return failed_looks >= kAnchorLooks; }
  };

  const std::vector<Anchor>& anchors() const { return anchors_; }

  /// Whether this reason may be our own uplink's fault.
  static bool is_transport(Reason reason);

 private:
  struct Seen {
    MonoTime at;
    bool silent = false;     ///< Or our own fault.
    bool unreached = false;  ///< Or refused: nothing that must have come from the target itself.
  };

  struct Opinion {
    AgentHealth state = AgentHealth::kHealthy;
    Reason fault = Reason::kNone;
  };

  struct Count {
    std::size_t all = 0;
    std::size_t failing = 0;    ///< Of targets: silent.
    std::size_t unreached = 0;  ///< Targets only.
  };

  Opinion opinion(MonoTime now) const;
  Count targets_seen(MonoTime now) const;
  Count anchors_counting() const;
  bool way_out_proven(MonoTime since) const;
  bool resolver_proven(const Failed& failed) const;

  std::unordered_map<std::uint64_t, Seen> targets_;  ///< By hash of the target; at most kSeenMax.
  std::vector<Anchor> anchors_;
  MonoTime answered_at_;
  MonoTime reached_at_;  ///< A target answered, in whatever way.
  MonoTime resolver_alive_at_;
  MonoTime resolver_useful_at_;
  int own_faults_ = 0;  ///< In a row.
  Reason last_fault_ = Reason::kNone;
  bool descriptors_short_ = false;
  ClockTrust clock_{0, UINT32_MAX};
  MonoTime swept_at_;

  AgentHealth state_ = AgentHealth::kHealthy;
  Reason fault_ = Reason::kNone;
  MonoTime better_since_ = MonoTime::never();
};

}  // namespace tocsin::agent
