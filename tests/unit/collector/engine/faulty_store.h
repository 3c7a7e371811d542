#pragma once
// Question answered here: what if the database does not work for a while?
//
// The memory store behind a switch that a test turns from its own thread.

#include "collector/store/memory_store.h"

#include <atomic>
#include <functional>

namespace tocsin::collector {

class FaultyStore final : public Store {
 public:
  struct Faults {
    std::atomic<bool> commits_fail{false};
    /// The commit happens, and is reported as failed: the answer was lost.
    std::atomic<bool> answers_lost{false};
    std::atomic<bool> loads_fail{false};
    std::atomic<int> commits_tried{0};
    std::atomic<int> find_ticks_asked{0};
    /// Called inside each commit, on the store's thread.
    std::function<void(const CommitGroup&)> on_commit;
  };

  FaultyStore(MemoryStore& store, Faults& faults)
      : store_(store),
        faults_(faults) {}

  Expected<Snapshot> load() override {
    if (faults_.loads_fail) return fail(Errc::kIo, "load: input/output error");
    return store_.load();
  }

  Expected<std::vector<RawGroup>> journal_after(std::uint64_t seq) override {
    return store_.journal_after(seq);
  }

  Expected<void> commit(const CommitGroup& group) override {
    ++faults_.commits_tried;
    if (faults_.on_commit) faults_.on_commit(group);
    if (faults_.commits_fail) return fail(Errc::kNoSpace, "commit: no space left on device");
    TRY(store_.commit(group));
    if (faults_.answers_lost.exchange(false)) return fail(Errc::kIo, "commit: answer lost");
    return {};
  }

  Expected<std::vector<KnownTick>> find_ticks(const std::vector<KnownTick>& ticks) override {
    ++faults_.find_ticks_asked;
    return store_.find_ticks(ticks);
  }

  Expected<std::vector<OutboxItem>> claim_outbox(WallTime now, std::size_t limit,
                                                 Duration lease) override {
    return store_.claim_outbox(now, limit, lease);
  }

  Expected<bool> record_delivery(const Delivery& d) override { return store_.record_delivery(d); }

  Expected<std::optional<WallTime>> next_outbox_at() override { return store_.next_outbox_at(); }

  Expected<void> trim_journal() override { return store_.trim_journal(); }

 private:
  MemoryStore& store_;
  Faults& faults_;
};

}  // namespace tocsin::collector
