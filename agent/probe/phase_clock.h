#pragma once
// Question answered here: which phase did each microsecond of an attempt belong to?

#include "common/base/time.h"
#include "common/model/observation.h"

namespace tocsin::agent {

enum class Phase : std::uint8_t { kDns, kConnect, kTls, kSend, kWait, kReceive };

const char* to_string(Phase phase);

/// `later` less `earlier`: the phases between two readings of one clock.
Phases between(const Phases& earlier, const Phases& later);

/// Every moment belongs to exactly one phase, so the phases sum up to the total to the microsecond.
/// Phases may come again (an address that failed, a redirect): their times add up.
class PhaseClock {
 public:
  PhaseClock(Phase first, MonoTime now)
      : phase_(first),
        since_(now) {}

  Phase phase() const { return phase_; }

  /// What has passed since the last change belongs to the phase that ends here.
  void enter(Phase next, MonoTime now);

  /// What has passed since the last change turns out to have belonged to this phase.
  void become(Phase phase) { phase_ = phase; }

  /// What each phase had taken by `now`; the current one goes on.
  Phases so_far(MonoTime now);

  /// Ends the current phase as well; call once.
  Phases finish(MonoTime now);

 private:
  Phase phase_;
  MonoTime since_;
  Phases phases_;
};

}  // namespace tocsin::agent
