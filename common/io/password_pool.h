#pragma once
// Question answered here: is this the password, and what is kept of a new one?
//
// argon2id (RFC 9106) with 19 MiB, 2 passes and 1 lane: some 40 ms of a core each, so it is done on
// threads of its own, at most kThreads at a time. What is kept is the encoded form
// "$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH", from which each password is verified by its own
// parameters.

#include "common/base/expected.h"
#include "common/io/event_loop.h"
#include "common/io/secret.h"

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

namespace tocsin::io {

/// A well-formed hash that no password is known for: who has no password is asked for this one, so
/// that an answer takes as long for an unknown name.
extern const char* const kDecoyHash;

/// What `hash` does, on the calling thread; kUnavailable when there is no memory for it.
Expected<std::string> hash_password(const Secret& password);

/// On the calling thread. False also for a hash that cannot be read.
bool verify_password(const Secret& password, const std::string& encoded);

/// One thread: the loop's. Answers come in later turns, and none after the pool is gone.
class PasswordPool {
 public:
  static constexpr std::size_t kThreads = 2;
  /// Jobs that wait for each thread; beyond it the calls say false.
  static constexpr std::size_t kWaitingMax = 16;

  using Hashed = std::function<void(Expected<std::string>)>;
  using Verified = std::function<void(bool)>;

  explicit PasswordPool(EventLoop& loop);
  /// Waits for what is under way; what waits is dropped.
  ~PasswordPool();
  PasswordPool(const PasswordPool&) = delete;
  PasswordPool& operator=(const PasswordPool&) = delete;

  /// False: too many wait; nothing is called.
  [[nodiscard]] bool try_hash(Secret password, Hashed done);
  [[nodiscard]] bool try_verify(Secret password, std::string encoded, Verified done);

 private:
  struct Worker;

  bool give(std::function<void()> job);

  EventLoop& loop_;
  std::unique_ptr<Worker> workers_[kThreads];
  /// Answers that arrive after us find this gone.
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace tocsin::io
