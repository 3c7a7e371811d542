#pragma once
// Question answered here: how does the sending side reach the outbox, which another thread owns?
//
// The outbox part of Store (ST3, ST4), asked across threads: the runner on `net` calls, the store's
// thread does the work, and the answer comes back as a posted function.
//
// Contract for implementations
//  OP1 `done` runs on the caller's loop, in a later turn, never inside the call, exactly once while
//      the caller lives. An implementation that is full answers kUnavailable.
//  OP2 Calls of one kind are answered in order; a `record` is carried out before a `claim` or
//      `next_at` that was asked for after it.
//  OP3 An error means that nothing is known: a claim may have been made (it lapses with its lease),
//      a delivery may have been recorded.

#include "collector/ports/store.h"
#include "common/base/expected.h"
#include "common/base/time.h"

#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

namespace tocsin::collector {

/// One thread: `net`.
class OutboxPort {
 public:
  using Claimed = std::function<void(Expected<std::vector<OutboxItem>>)>;
  using Recorded = std::function<void(Expected<bool>)>;
  using NextAt = std::function<void(Expected<std::optional<WallTime>>)>;

  virtual ~OutboxPort() = default;

  virtual void claim(WallTime now, std::size_t limit, Duration lease, Claimed done) = 0;
  virtual void record(const Delivery& delivery, Recorded done) = 0;
  virtual void next_at(NextAt done) = 0;
};

}  // namespace tocsin::collector
