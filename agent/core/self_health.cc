#include "agent/core/self_health.h"

#include "common/base/check.h"

#include <algorithm>
#include <cstdlib>

namespace tocsin::agent {

namespace {

/// The resolver said nothing at all, as opposed to "I could not" and "I will not".
bool is_silence(Reason reason) {
  return reason == Reason::kDnsTimeout || reason == Reason::kDnsRefused;
}

bool of_resolver(const SelfHealth::Failed& failed) {
  return failed.asked_resolver &&
         (is_silence(failed.reason) || failed.reason == Reason::kDnsServfail ||
          failed.reason == Reason::kDnsNotAllowed);
}

/// Policy is no fault: it says nothing of how well we see.
bool is_fault(Reason reason) {
  const auto value = static_cast<std::uint16_t>(reason);
  return value >= 700 && value < 800 && reason != Reason::kSelfCancelled;
}

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
    case static_cast<std::uint16_t>(Reason::kStarttlsTimeout):
      return true;
    default:
      return false;
  }
}

SelfHealth::Count SelfHealth::anchors_counting() const {
  Count out;
  for (const Anchor& anchor : anchors_) {
    if (!anchor.counts) continue;
    ++out.all;
    if (anchor.fails()) ++out.failing;
  }
  return out;
}

SelfHealth::Count SelfHealth::targets_seen(MonoTime now) const {
  Count out;
  for (const auto& [target, seen] : targets_) {
    if (now - seen.at > kSeenFor) continue;
    ++out.all;
    if (seen.silent) ++out.failing;
    if (seen.unreached) ++out.unreached;
  }
  return out;
}

bool SelfHealth::way_out_proven(MonoTime since) const {
  if (anchors_counting().all == 0) return answered_at_ >= since || reached_at_ >= since;
  return std::any_of(anchors_.begin(), anchors_.end(),
                     [&](const Anchor& anchor) { return anchor.answered_at >= since; });
}

bool SelfHealth::resolver_proven(const Failed& failed) const {
  if (!of_resolver(failed)) return true;
  return (is_silence(failed.reason) ? resolver_alive_at_ : resolver_useful_at_) >= failed.since;
}

SelfHealth::Blame SelfHealth::blame(const Failed& failed) const {
  if (!blames_target(failed.reason)) return Blame::kOurs;
  if (!is_transport(failed.reason) && !of_resolver(failed)) return Blame::kTarget;
  return way_out_proven(failed.since) && resolver_proven(failed) ? Blame::kTarget
                                                                 : Blame::kUnproven;
}

Reason SelfHealth::unproven(const Failed& failed) const {
  return way_out_proven(failed.since) ? Reason::kSelfResolver : Reason::kSelfUplink;
}

bool SelfHealth::wants_resolver_proof(const Failed& failed) const {
  return !resolver_proven(failed);
}

void SelfHealth::checked(std::uint64_t target, Outcome outcome, Reason reason, MonoTime now) {
  const bool silent = outcome == Outcome::kDown && is_transport(reason);
  if (outcome == Outcome::kNoData) {
    if (is_fault(reason)) {
      ++own_faults_;
      last_fault_ = reason;
    }
  } else {
    own_faults_ = 0;
    if (!silent) reached_at_ = now;
  }
  if (outcome == Outcome::kNoData && !is_fault(reason)) return;
  if (targets_.size() >= kSeenMax && !targets_.contains(target)) {
    if (now - swept_at_ < kSeenFor) return;
    swept_at_ = now;
    std::erase_if(targets_, [&](const auto& entry) { return now - entry.second.at > kSeenFor; });
    if (targets_.size() >= kSeenMax) return;
  }
  const bool ours = outcome == Outcome::kNoData;
  const bool below = static_cast<std::uint16_t>(reason) / 100 <= 2;  // dns.* and connect.*
  targets_[target] = {now, silent || ours, silent || ours || (outcome == Outcome::kDown && below)};
}

void SelfHealth::resolver_answered(bool useful, MonoTime now) {
  resolver_alive_at_ = now;
  if (useful) resolver_useful_at_ = now;
}

void SelfHealth::anchor_looked(std::size_t index, bool answered, MonoTime now) {
  CHECK(index < anchors_.size());
  Anchor& anchor = anchors_[index];
  if (answered) {
    anchor = {.answered_at = now, .failing_since = MonoTime::never()};
    return;
  }
  if (anchor.failed_looks++ == 0) anchor.failing_since = now;
}

SelfHealth::Opinion SelfHealth::opinion(MonoTime now) const {
  const bool measured = clock_.error_ms != UINT32_MAX;
  const Duration off =
      measured ? Duration{std::chrono::milliseconds{std::abs(std::int64_t{clock_.offset_ms}) -
                                                    std::int64_t{clock_.error_ms}}}
               : Duration{0};
  const Count anchors = anchors_counting();
  const Count targets = targets_seen(now);
  const double most = kSuspectShare * static_cast<double>(targets.all);
  const bool most_silent = static_cast<double>(targets.failing) >= most;
  const bool most_unreached = static_cast<double>(targets.unreached) >= most;

  if (off > kClockBlind) return {AgentHealth::kBlind, Reason::kSelfClock};
  if (own_faults_ >= kBlindRuns) return {AgentHealth::kBlind, last_fault_};
  if (anchors.all > 0 && anchors.failing == anchors.all && targets.all > 0 && most_unreached) {
    return {AgentHealth::kBlind, Reason::kSelfUplink};
  }
  if (descriptors_short_) return {AgentHealth::kSuspect, Reason::kSelfDescriptors};
  if (off > kClockSuspect) return {AgentHealth::kSuspect, Reason::kSelfClock};
  if (anchors.all > 0 && 2 * anchors.failing >= anchors.all) {
    return {AgentHealth::kSuspect, Reason::kSelfAnchors};
  }
  if (targets.all >= kTargetsMin && most_silent) {
    return {AgentHealth::kSuspect, Reason::kSelfTargets};
  }
  return {};
}

bool SelfHealth::update(MonoTime now) {
  if (state_ != AgentHealth::kBlind) {
    for (Anchor& anchor : anchors_) {
      if (anchor.fails() && now - anchor.failing_since >= kAnchorGone) anchor.counts = false;
    }
  }
  const Opinion is = opinion(now);
  if (is.state < state_) {
    if (better_since_ == MonoTime::never()) better_since_ = now;
    if (now - better_since_ < kCalm) return false;
  }
  better_since_ = MonoTime::never();
  if (is.state == state_ && is.fault == fault_) return false;
  state_ = is.state;
  fault_ = is.fault;
  return true;
}

std::string SelfHealth::evidence(MonoTime now) const {
  const Count anchors = anchors_counting();
  const Count targets = targets_seen(now);
  std::string out = fmt::format("{} of {} targets are silent", targets.failing, targets.all);
  if (!anchors_.empty()) {
    out += fmt::format(", {} of {} anchors fail", anchors.failing, anchors.all);
    if (anchors.all < anchors_.size()) {
      out += fmt::format(" ({} do not count)", anchors_.size() - anchors.all);
    }
  }
  if (own_faults_ > 0) {
    out += fmt::format(", {} checks in a row were our own fault ({})", own_faults_,
                       to_string(last_fault_));
  }
  if (descriptors_short_) out += ", descriptors are short";
  if (clock_.error_ms != UINT32_MAX && std::abs(clock_.offset_ms) > 2000) {
    out += fmt::format(", our clock is {} s {} the collector's", std::abs(clock_.offset_ms) / 1000,
                       clock_.offset_ms > 0 ? "behind" : "ahead of");
  }
  return out;
}

}  // namespace tocsin::agent
