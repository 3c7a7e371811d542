#pragma once
// Question answered here: what do these votes say together?
//
// Specification (DEC-7). n regions are configured, k must fail, D votes are down, U are up or
// degraded, G of those degraded, V = D + U. In this order:
//  Q1 D >= k: down.
//  Q2 U >= n-k+1: degraded when G >= min(k, n/2+1), else up.
//  Q3 D = 0 and V >= n/2+1: by the same G rule, on partial evidence.
//  Q4 else unknown, with the votes as reason.
//  Q5 While failing (an incident is open), Q2 needs U >= max(n-k+1, n/2+1) and Q3 does not apply
//     below that either.
// Rationale: n is what was configured, so a region that is silent never shrinks the electorate, and
// down needs k regions that say so. Q5: what k opened, a minority must not close.

#include "collector/core/rows.h"

#include <string>
#include <string_view>
#include <vector>

namespace tocsin::collector {

struct Tally {
  int n = 0;
  int k = 0;
  int down = 0;
  int up = 0;        ///< Up or degraded.
  int degraded = 0;  ///< Of `up`.

  friend bool operator==(const Tally&, const Tally&) = default;
};

/// kUp, kDegraded, kDown or kUnknown. n >= 1, 1 <= k <= n.
MonitorStatus decide(const Tally& tally, bool failing);

/// For people: "2 of 2 regions down", "failing from 1 of 3", "no vote from fra: expired".
/// `abstained` are the regions without a vote.
std::string because(const Tally& tally, MonitorStatus status,
                    const std::vector<std::pair<std::string, Abstention>>& abstained);

}  // namespace tocsin::collector
