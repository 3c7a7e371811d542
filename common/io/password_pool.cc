#include "common/io/password_pool.h"

#include "common/io/mailbox.h"
#include "common/io/random.h"

#include <argon2.h>
#include <pthread.h>

#include <array>
#include <thread>
#include <utility>

namespace tocsin::io {

namespace {

constexpr std::uint32_t kPasses = 2;
constexpr std::uint32_t kMemoryKib = 19 * 1024;
constexpr std::uint32_t kLanes = 1;
constexpr std::size_t kSaltBytes = 16;
constexpr std::size_t kHashBytes = 32;
constexpr std::size_t kEncodedMax = 160;  // 106 with these parameters.
constexpr Duration kLookEvery = std::chrono::seconds{60};

}  // namespace

// Of 32 random bytes that were not kept.
const char* const kDecoyHash =
    "$argon2id$v=19$m=19456,t=2,p=1$ZVyCcVUvkWnMHt+6Eo1kMg$"
    "7owTam3VsD5MyckMr9M7r0GSyLNppAoN+SJQpgf9tKM";

Expected<std::string> hash_password(const Secret& password) {
  std::array<std::uint8_t, kSaltBytes> salt{};
  fill_random(salt);
  std::array<char, kEncodedMax> encoded{};
  const std::string& text = password.reveal();
  const int rc =
      ::argon2id_hash_encoded(kPasses, kMemoryKib, kLanes, text.data(), text.size(), salt.data(),
                              salt.size(), kHashBytes, encoded.data(), encoded.size());
  if (rc != ARGON2_OK) {
    return fail(Errc::kUnavailable, "hash a password: {}", ::argon2_error_message(rc));
  }
  return std::string{encoded.data()};
}

bool verify_password(const Secret& password, const std::string& encoded) {
  const std::string& text = password.reveal();
  return ::argon2id_verify(encoded.c_str(), text.data(), text.size()) == ARGON2_OK;
}

struct PasswordPool::Worker {
  explicit Worker(std::size_t number)
      : thread_([this, number] {
          ::pthread_setname_np(::pthread_self(),
                               ("password-" + std::to_string(number + 1)).c_str());
          while (!jobs.closed()) {
            if (const auto job = jobs.pop(kLookEvery)) (*job)();
          }
        }) {}

  ~Worker() {
    jobs.close();
    thread_.join();
  }

  Mailbox<std::function<void()>> jobs{kWaitingMax};

 private:
  std::thread thread_;
};

PasswordPool::PasswordPool(EventLoop& loop)
    : loop_(loop) {
  for (std::size_t i = 0; i < kThreads; ++i) workers_[i] = std::make_unique<Worker>(i);
}

PasswordPool::~PasswordPool() { alive_.reset(); }

bool PasswordPool::give(std::function<void()> job) {
  Worker* least = workers_[0].get();
  for (const auto& worker : workers_) {
    if (worker->jobs.size() < least->jobs.size()) least = worker.get();
  }
  return least->jobs.push(std::move(job));
}

bool PasswordPool::try_hash(Secret password, Hashed done) {
  return give([&loop = loop_, weak = std::weak_ptr{alive_}, password = std::move(password),
               done = std::move(done)] {
    loop.post([weak, done, hash = hash_password(password)] {
      if (weak.lock()) done(hash);
    });
  });
}

bool PasswordPool::try_verify(Secret password, std::string encoded, Verified done) {
  return give([&loop = loop_, weak = std::weak_ptr{alive_}, password = std::move(password),
               encoded = std::move(encoded), done = std::move(done)] {
    loop.post([weak, done, good = verify_password(password, encoded)] {
      if (weak.lock()) done(good);
    });
  });
}

}  // namespace tocsin::io
