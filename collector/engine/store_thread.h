#pragma once
// Question answered here: who writes to the store, and what happens when it does not work?
//
// Owns the Store and the thread `store` on which alone it is called. Work is done in the order it
// was pushed. A commit that fails is tried again for `retry_for` (the store recognises by
// commit_seq what had happened after all); when that ends, it and every commit behind it are
// answered as failed until `accept_commits`, because a group only makes sense on top of the one
// before.

#include "collector/ports/store.h"
#include "common/io/mailbox.h"

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

namespace tocsin::collector {

class StoreThread {
 public:
  struct Options {
    Duration retry_for = std::chrono::seconds{10};
    Duration retry_every = std::chrono::milliseconds{250};
  };

  /// Jobs waiting. The engine has at most six under way and is never refused; `try_run` leaves it
  /// kJobsOfEngine places.
  static constexpr std::size_t kJobsMax = 1024;
  static constexpr std::size_t kJobsOfEngine = 16;

  struct CommitResult {
    std::uint64_t commit_seq = 0;
    Expected<void> outcome;
    Duration took{0};
    std::uint32_t tries = 0;
  };

  using Job = std::function<void(Store&)>;
  using CommitDone = std::function<void(CommitResult)>;

  StoreThread(std::unique_ptr<Store> store, Options options);
  /// Does what is waiting, then ends. A commit that is being retried gets one last try.
  ~StoreThread();
  StoreThread(const StoreThread&) = delete;
  StoreThread& operator=(const StoreThread&) = delete;

  /// Any thread. Runs on `store`; must say its outcome by a mailbox or a post of its own.
  void run(Job job);

  /// The same for callers who are not bounded: false when full.
  [[nodiscard]] bool try_run(Job&& job);

  /// `done` is called on `store`.
  void commit(std::unique_ptr<const CommitGroup> group, CommitDone done);

  /// Ends the state in which commits fail at once.
  void accept_commits();

  /// Any thread. Since when no commit has succeeded although one was tried; nothing while writing
  /// works. Goes on over `accept_commits`: that the store can be read again proves nothing.
  std::optional<Duration> failing_for() const;

  /// Runs on `store` and waits for the answer; not from `store` itself.
  template <class T>
  T call(std::function<T(Store&)> function) {
    // Shared by the waiting thread and the job: whichever is last frees it.
    auto box = std::make_shared<io::Mailbox<T>>(1);
    run([box, function = std::move(function)](Store& store) { CHECK(box->push(function(store))); });
    while (true) {
      if (auto answer = box->pop(std::chrono::seconds{60})) return std::move(*answer);
    }
  }

 private:
  void loop();
  CommitResult commit_now(Store& store, const CommitGroup& group);

  const Options options_;
  std::unique_ptr<Store> store_;
  io::Mailbox<Job> jobs_;
  io::Mailbox<int> closing_;  ///< Never filled; closed to cut a wait between two tries short.
  bool failed_ = false;       ///< Of `store` only.
  std::atomic<std::int64_t> failing_since_us_{0};  ///< Of `latency_clock`; 0: works.
  std::thread thread_;
};

}  // namespace tocsin::collector
