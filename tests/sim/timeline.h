#pragma once
// Question answered here: what happens next in the simulated world?
//
// A heap of (virtual time, order of insertion, action). One thread; nothing here knows real time.

#include "common/base/check.h"
#include "common/base/time.h"

#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

namespace tocsin::sim {

class Timeline {
 public:
  using Action = std::function<void()>;
  /// More than this at one moment is somebody who wakes and does nothing.
  static constexpr std::uint64_t kAtOnceMax = 100'000;

  /// Virtual time since the start of the run.
  Duration now() const { return now_; }

  void at(Duration when, Action action) {
    heap_.push({std::max(when, now_), next_++, std::move(action)});
  }

  void after(Duration delay, Action action) { at(now_ + delay, std::move(action)); }

  /// Runs everything up to and with `end`.
  void run_until(Duration end) {
    while (!heap_.empty() && heap_.top().when <= end) {
      // The action may add others; it is moved out before it runs.
      Entry entry = std::move(const_cast<Entry&>(heap_.top()));
      heap_.pop();
      at_once_ = entry.when == now_ ? at_once_ + 1 : 0;
      CHECK(at_once_ < kAtOnceMax);
      now_ = entry.when;
      ++steps_;
      entry.action();
    }
    now_ = end;
  }

  std::uint64_t steps() const { return steps_; }

 private:
  struct Entry {
    Duration when{0};
    std::uint64_t order = 0;
    Action action;

    friend bool operator<(const Entry& a, const Entry& b) {
      if (a.when != b.when) return a.when > b.when;
      return a.order > b.order;
    }
  };

  std::priority_queue<Entry> heap_;
  Duration now_{0};
  std::uint64_t next_ = 0;
  std::uint64_t at_once_ = 0;
  std::uint64_t steps_ = 0;
};

}  // namespace tocsin::sim
