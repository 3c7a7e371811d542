#pragma once
// Question answered here: how long does the agent wait before it connects again?

#include "common/base/rng.h"
#include "common/base/time.h"

#include <algorithm>

namespace tocsin::agent {

/// Decorrelated jitter: each wait is uniform between kBase and three times the one before, at most
/// kMax. The first waits are short, so that a restarted collector is found at once; a thousand
/// agents that lost it together do not come back together.
class Backoff {
 public:
  static constexpr Duration kBase = std::chrono::milliseconds{100};
  static constexpr Duration kMax = std::chrono::seconds{30};

  Duration next(Rng& rng) {
    last_ = std::min(kMax, rng.between(kBase, std::max(kBase, last_ * 3)));
    return last_;
  }

  /// The connection proved good.
  void reset() { last_ = kBase; }

 private:
  Duration last_ = kBase;
};

}  // namespace tocsin::agent
