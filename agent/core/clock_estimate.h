#pragma once
// Question answered here: how far is our wall clock from the collector's?
//
// The NTP on-wire calculation (RFC 5905 section 8) over the heartbeats; of the last eight samples
// the one with the shortest round trip counts.

#include "common/base/time.h"
#include "common/model/check_result.h"

#include <array>
#include <cstddef>

namespace tocsin::agent {

class ClockEstimate {
 public:
  /// t1 our send, t2 their receive, t3 their send, t4 our receive. Negative round trips are
  /// ignored.
  void sample(WallTime t1, WallTime t2, WallTime t3, WallTime t4);

  /// Our clock jumped; what was measured before says nothing now.
  void reset() { count_ = 0; }

  ClockTrust trust() const;

 private:
  struct Sample {
    Duration offset{0};
    Duration round_trip{0};
  };

  std::array<Sample, 8> samples_{};
  std::size_t count_ = 0;
};

}  // namespace tocsin::agent
