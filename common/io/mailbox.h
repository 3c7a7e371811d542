#pragma once
// Question answered here: how do values cross from one thread to another?
//
// A bounded first-in first-out queue. Any thread may push, one thread takes. `fd()` is readable
// exactly while there is something to take (or the box is closed), so the taking side may be a
// watcher of an EventLoop, one more descriptor of a poll, or a blocking `pop`. Full means `push`
// says false and the caller keeps its value: back-pressure, never silent loss.

#include "common/base/check.h"
#include "common/base/time.h"
#include "common/io/fd.h"

#include <poll.h>

#include <cerrno>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <sys/eventfd.h>
#include <utility>

namespace tocsin::io {

template <class T>
class Mailbox {
 public:
  explicit Mailbox(std::size_t capacity)
      : capacity_(capacity),
        wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    CHECK(capacity > 0);
    CHECK(wake_);
  }

  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  /// False when full or closed; `value` is then unchanged.
  [[nodiscard]] bool push(T&& value) {
    const std::scoped_lock lock(mutex_);
    if (closed_ || queue_.size() >= capacity_) return false;
    queue_.push_back(std::move(value));
    if (queue_.size() == 1) raise();
    return true;
  }

  /// Does not wait.
  std::optional<T> try_pop() {
    const std::scoped_lock lock(mutex_);
    if (queue_.empty()) return std::nullopt;
    std::optional<T> out(std::move(queue_.front()));
    queue_.pop_front();
    if (queue_.empty() && !closed_) lower();
    return out;
  }

  /// Waits until there is something, the box is closed, `at_most` has passed, or (rarely) a signal
  /// arrived. Rounded up to milliseconds.
  std::optional<T> pop(Duration at_most) {
    if (auto got = try_pop()) return got;
    pollfd p{wake_.get(), POLLIN, 0};
    const auto ms = (at_most.count() + 999) / 1000;
    ::poll(&p, 1, static_cast<int>(ms < 0 ? 0 : ms > 60'000 ? 60'000 : ms));
    return try_pop();
  }

  /// Nothing more comes in; what is inside can still be taken. `fd()` stays readable.
  void close() {
    const std::scoped_lock lock(mutex_);
    if (closed_) return;
    closed_ = true;
    if (queue_.empty()) raise();
  }

  bool closed() const {
    const std::scoped_lock lock(mutex_);
    return closed_;
  }

  std::size_t size() const {
    const std::scoped_lock lock(mutex_);
    return queue_.size();
  }

  std::size_t capacity() const { return capacity_; }

  /// Wait for it to be readable; never read or write it.
  int fd() const { return wake_.get(); }

 private:
  void raise() {
    const std::uint64_t one = 1;
    CHECK(::write(wake_.get(), &one, sizeof one) == sizeof one);
  }

  void lower() {
    std::uint64_t count = 0;
    CHECK(::read(wake_.get(), &count, sizeof count) == sizeof count);
  }

  const std::size_t capacity_;
  const Fd wake_;
  mutable std::mutex mutex_;
  std::deque<T> queue_;
  bool closed_ = false;
};

}  // namespace tocsin::io
