#pragma once
// Question answered here: what happens when the machine's wall clock jumps?
//
// The system clock, whose steps are accepted and logged as they come: escalations and slots follow
// the wall clock that people see. Each thread has one of its own.

#include "common/base/clock.h"
#include "common/io/log.h"

namespace tocsin::collector {

class WatchedClock final : public Clock {
 public:
  /// `thread` names it in the log.
  explicit WatchedClock(const char* thread)
      : thread_(thread) {}

  Now now() override {
    const Now now = clock_.now();
    if (clock_.pending_step() == Duration{0}) return now;
    const Duration by = clock_.accept_step();
    log::warning("the wall clock stepped", {{"thread", thread_}, {"by_ms", by.count() / 1000}});
    return clock_.now();
  }

 private:
  SystemClock clock_;
  const char* thread_;
};

}  // namespace tocsin::collector
