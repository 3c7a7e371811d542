#pragma once
// Question answered here: may this one ask again already?
//
// Token buckets, one for each key (an address, a user, a token), without a clock: the caller brings
// the time. One thread. A bucket is kept as the one moment at which it would be full again (GCRA),
// so a key whose moment has passed is the same as a key never seen, and is forgotten.
//
// At the bound: when `keys_max` keys are in debt at once, every further key shares one bucket with
// the same rate until one of them has paid. So many addresses do not add up to many allowances, and
// the table does not grow.

#include "common/base/time.h"

#include <cstddef>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

namespace tocsin {

class RateLimiter {
 public:
  struct Options {
    /// How often one token comes back; above zero.
    Duration per_token = std::chrono::milliseconds{100};
    /// Tokens of a full bucket; at least 1.
    std::uint32_t burst = 10;
    std::size_t keys_max = 10'000;
  };

  struct Verdict {
    bool allowed = true;
    /// When refused: how long until it would be allowed, above zero.
    Duration retry_after{0};

    /// For the Retry-After header: whole seconds, rounded up.
    std::int64_t retry_after_seconds() const;

    friend bool operator==(const Verdict&, const Verdict&) = default;
  };

  explicit RateLimiter(Options options);
  RateLimiter(RateLimiter&&) = default;
  RateLimiter& operator=(RateLimiter&&) = default;

  /// Takes `cost` tokens of that key if they are there; a refusal takes none. `cost` is 1 to burst.
  /// `now` does not go backwards. Constant time.
  Verdict take(std::string_view key, MonoTime now, std::uint32_t cost = 1);

  /// Forgets what that key has used: after a login that succeeded.
  void forgive(std::string_view key);

  /// Keys that are held: never more than keys_max.
  std::size_t size() const { return buckets_.size(); }

  /// Times a key found the table full and shared the common bucket.
  std::uint64_t shared() const { return shared_; }

 private:
  struct Bucket {
    std::string key;
    MonoTime full_at;
  };

  using Order = std::list<Bucket>;

  Verdict take_from(MonoTime& full_at, MonoTime now, std::uint32_t cost) const;
  /// Forgets keys whose bucket is full again, from the one used longest ago, a few at a time.
  void forget_full(MonoTime now);

  Options options_;
  Order order_;  ///< By last use, the oldest first.
  std::unordered_map<std::string_view, Order::iterator> buckets_;  ///< Keys live in order_.
  MonoTime common_{};
  std::uint64_t shared_ = 0;
};

}  // namespace tocsin
