#pragma once
// Question answered here: how does the outbox runner on `net` reach the store on `store`?
//
// OutboxPort over the store's thread: the work is a job there, the answer a function posted to the
// loop. Jobs are done in order, which gives OP2.

#include "collector/engine/store_thread.h"
#include "collector/ports/outbox_port.h"
#include "common/io/event_loop.h"

namespace tocsin::collector {

/// One thread: the loop's. `store` and `loop` outlive it, and the loop outlives the store's thread.
class StoreOutbox final : public OutboxPort {
 public:
  StoreOutbox(StoreThread& store, io::EventLoop& loop);

  void claim(WallTime now, std::size_t limit, Duration lease, Claimed done) override;
  void record(const Delivery& delivery, Recorded done) override;
  void next_at(NextAt done) override;

 private:
  /// Does `work` on the store's thread and gives its value to `done` on the loop.
  template <class T>
  void ask(std::function<Expected<T>(Store&)> work, std::function<void(Expected<T>)> done);

  StoreThread& store_;
  io::EventLoop& loop_;
};

}  // namespace tocsin::collector
