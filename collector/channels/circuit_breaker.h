#pragma once
// Question answered here: is it worth trying this destination now?
//
// After kFailuresToOpen failures in a row nothing is sent for kHoldFirst; then one message is let
// through to look. If it fails too, the hold doubles, up to kHoldMax; if it passes, all is as
// before. A value: the owner says what happened and when.
//
//   closed --(5 failures)--> open --(hold over)--> looking --accepted--> closed
//                              ^---------failed------'

#include "common/base/time.h"

#include <algorithm>
#include <cstdint>
#include <optional>

namespace tocsin::collector {

class CircuitBreaker {
 public:
  static constexpr int kFailuresToOpen = 5;
  static constexpr Duration kHoldFirst = std::chrono::seconds{30};
  static constexpr Duration kHoldMax = std::chrono::minutes{5};
  /// How long others wait while one message looks.
  static constexpr Duration kWhileLooking = std::chrono::seconds{5};

  /// Nothing: send now, and say how it went. Else: how long to wait.
  std::optional<Duration> hold(MonoTime now) const {
    if (hold_ == Duration{0}) return std::nullopt;
    if (now < until_) return until_ - now;
    if (looking_) return kWhileLooking;
    return std::nullopt;
  }

  void on_start(MonoTime now) {
    if (hold_ > Duration{0} && now >= until_) looking_ = true;
  }

  /// The destination answered, whatever it said of the message.
  void on_answer() { *this = CircuitBreaker{}; }

  void on_failure(MonoTime now) {
    looking_ = false;
    ++failures_;
    if (failures_ < kFailuresToOpen) return;
    // What was under way when the hold began says nothing new.
    if (hold_ > Duration{0} && now < until_) return;
    hold_ = hold_ == Duration{0} ? kHoldFirst : std::min(hold_ * 2, kHoldMax);
    until_ = now + hold_;
  }

  bool closed() const { return hold_ == Duration{0}; }

 private:
  int failures_ = 0;
  Duration hold_{0};
  MonoTime until_;
  bool looking_ = false;
};

}  // namespace tocsin::collector
