#include "collector/engine/store_thread.h"

#include "common/base/clock.h"
#include "common/io/log.h"

#include <pthread.h>

namespace tocsin::collector {

StoreThread::StoreThread(std::unique_ptr<Store> store, Options options)
    : options_(options),
      store_(std::move(store)),
      jobs_(kJobsMax),
      closing_(1),
      thread_([this] { loop(); }) {}

StoreThread::~StoreThread() {
  closing_.close();
  jobs_.close();
  thread_.join();
}

void StoreThread::run(Job job) { CHECK(jobs_.push(std::move(job))); }

bool StoreThread::try_run(Job&& job) {
  return jobs_.size() + kJobsOfEngine < kJobsMax && jobs_.push(std::move(job));
}

void StoreThread::commit(std::unique_ptr<const CommitGroup> group, CommitDone done) {
  // std::function wants a copyable callable; the job is the only owner.
  std::shared_ptr<const CommitGroup> shared = std::move(group);
  run([this, shared, done = std::move(done)](Store& store) { done(commit_now(store, *shared)); });
}

void StoreThread::accept_commits() {
  run([this](Store&) { failed_ = false; });
}

std::optional<Duration> StoreThread::failing_for() const {
  const std::int64_t since = failing_since_us_;
  if (since == 0) return std::nullopt;
  return latency_clock() - MonoTime{since};
}

void StoreThread::loop() {
  ::pthread_setname_np(::pthread_self(), "store");
  while (true) {
    if (auto job = jobs_.pop(std::chrono::seconds{60})) {
      (*job)(*store_);
    } else if (jobs_.closed()) {
      return;
    }
  }
}

StoreThread::CommitResult StoreThread::commit_now(Store& store, const CommitGroup& group) {
  CommitResult result;
  result.commit_seq = group.group.commit_seq;
  if (failed_) {
    result.outcome = fail(Errc::kUnavailable, "the commit before this one failed");
    return result;
  }
  const MonoTime start = latency_clock();
  while (true) {
    ++result.tries;
    result.outcome = store.commit(group);
    result.took = latency_clock() - start;
    if (result.outcome) {
      failing_since_us_ = 0;
      return result;
    }
    if (failing_since_us_ == 0) failing_since_us_ = start.us;
    const bool last = result.took >= options_.retry_for || closing_.closed();
    // The first and the last: what lies between says the same.
    if (last || result.tries == 1) {
      log::warning(last ? "commit given up" : "commit failed, trying again",
                   {{"commit_seq", group.group.commit_seq},
                    {"try", result.tries},
                    {"error", result.outcome.error()}});
    }
    if (last) {
      failed_ = true;
      return result;
    }
    closing_.pop(options_.retry_every);
  }
}

}  // namespace tocsin::collector
