#include "collector/engine/store_outbox.h"

#include <utility>

namespace tocsin::collector {

StoreOutbox::StoreOutbox(StoreThread& store, io::EventLoop& loop)
    : store_(store),
      loop_(loop) {}

template <class T>
void StoreOutbox::ask(std::function<Expected<T>(Store&)> work,
                      std::function<void(Expected<T>)> done) {
  // std::function copies what it holds; the job and, if there is no place for it, we share `done`.
  auto shared = std::make_shared<std::function<void(Expected<T>)>>(std::move(done));
  const bool taken = store_.try_run([&loop = loop_, work = std::move(work), shared](Store& store) {
    loop.post([shared, answer = work(store)]() mutable { (*shared)(std::move(answer)); });
  });
  if (taken) return;
  loop_.post([shared] { (*shared)(fail(Errc::kUnavailable, "the store has too much to do")); });
}

void StoreOutbox::claim(WallTime now, std::size_t limit, Duration lease, Claimed done) {
  ask<std::vector<OutboxItem>>([=](Store& store) { return store.claim_outbox(now, limit, lease); },
                               std::move(done));
}

void StoreOutbox::record(const Delivery& delivery, Recorded done) {
  ask<bool>([delivery](Store& store) { return store.record_delivery(delivery); }, std::move(done));
}

void StoreOutbox::next_at(NextAt done) {
  ask<std::optional<WallTime>>([](Store& store) { return store.next_outbox_at(); },
                               std::move(done));
}

}  // namespace tocsin::collector
