#pragma once
// Question answered here: how far is our wall clock from the collector's?
//
// The NTP on-wire calculation (RFC 5905 section 8) over the heartbeats; of the last eight samples
// the one with the shortest round trip counts.

#include "common/base/time.h"
#include "common/model/check_result.h"
#include "common/model/observation.h"

#include <array>
#include <cstddef>

namespace tocsin::agent {

/// Whether a certificate that failed with `reason` at `now` is out of date by our clock only: by
/// the collector's, or by ours before somebody set it, it is good, and nothing else was found wrong
/// with it.
bool is_fault_of_clock(Reason reason, const TlsFacts& tls, WallTime now, const ClockTrust& trust);

class ClockEstimate {
 public:
  /// t1 our send, t2 their receive, t3 their send, t4 our receive. Negative round trips are
  /// ignored.
  void sample(WallTime t1, WallTime t2, WallTime t3, WallTime t4);

  /// Our clock jumped by so much: what was measured before holds, less the jump.
  void stepped(Duration by);

  ClockTrust trust() const;

  /// Ours by the collector's clock when they differ by more than kCorrectedFrom.
  WallTime corrected(WallTime ours) const;

  static constexpr Duration kCorrectedFrom = std::chrono::seconds{2};

 private:
  struct Sample {
    Duration offset{0};
    Duration round_trip{0};
  };

  std::array<Sample, 8> samples_{};
  std::size_t count_ = 0;
};

}  // namespace tocsin::agent
