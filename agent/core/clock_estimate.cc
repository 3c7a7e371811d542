#include "agent/core/clock_estimate.h"

#include <algorithm>

namespace tocsin::agent {

bool is_fault_of_clock(Reason reason, const TlsFacts& tls, WallTime now, const ClockTrust& trust) {
  const WallTime there = now + std::chrono::milliseconds{trust.offset_ms};
  if (reason == Reason::kTlsVerifyStaple) {
    return tls.ocsp.status == OcspStatus::kUnusable && tls.ocsp.this_update.us != 0 &&
           tls.ocsp.this_update <= there && there <= tls.ocsp.next_update;
  }
  const bool expired =
      reason == Reason::kTlsVerifyExpired || reason == Reason::kTlsVerifyIssuerExpired;
  if (!expired && reason != Reason::kTlsVerifyNotYetValid) return false;
  for (const TlsProblem& problem : tls.problems) {
    if (problem.reason != Reason::kTlsVerifyExpired &&
        problem.reason != Reason::kTlsVerifyIssuerExpired &&
        problem.reason != Reason::kTlsVerifyNotYetValid) {
      return false;
    }
  }
  const WallTime ends = tls.chain_not_after.us != 0 ? tls.chain_not_after : tls.not_after;
  return tls.not_before <= there && there <= ends;
}

void ClockEstimate::sample(WallTime t1, WallTime t2, WallTime t3, WallTime t4) {
  const Duration round_trip = (t4 - t1) - (t3 - t2);
  if (round_trip < Duration{0}) return;
  const Duration offset = ((t2 - t1) + (t3 - t4)) / 2;
  samples_[count_ % samples_.size()] = {offset, round_trip};
  ++count_;
}

void ClockEstimate::stepped(Duration by) {
  for (Sample& sample : samples_) sample.offset -= by;
}

WallTime ClockEstimate::corrected(WallTime ours) const {
  const Duration offset = std::chrono::milliseconds{trust().offset_ms};
  return std::chrono::abs(offset) > kCorrectedFrom ? ours + offset : ours;
}

ClockTrust ClockEstimate::trust() const {
  if (count_ == 0) return {0, UINT32_MAX};
  const auto end =
      samples_.begin() + static_cast<std::ptrdiff_t>(std::min(count_, samples_.size()));
  const auto best = std::min_element(samples_.begin(), end, [](const Sample& a, const Sample& b) {
    return a.round_trip < b.round_trip;
  });
  constexpr std::int64_t kMax = INT32_MAX;
  return {static_cast<std::int32_t>(std::clamp(best->offset.count() / 1000, -kMax, kMax)),
          static_cast<std::uint32_t>(std::min(best->round_trip.count() / 2000, kMax))};
}

}  // namespace tocsin::agent
