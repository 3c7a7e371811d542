#pragma once
// Question answered here: may this account, or this address, try a password now?
//
// After `failures_max` tries without a success within kWindow the key is locked, for 1, 5, 15 and
// then each time 60 minutes; a success forgets all of it. A try counts from its beginning, so that
// many at once are not more than many in a row. Names that no account has are treated alike: the
// answers tell nothing about who exists.
//
// Kept in memory: a restart forgets. At most kKnownMax keys; beyond it the one that tried least
// recently is forgotten.

#include "common/base/time.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tocsin::collector {

/// A value with a clock of the caller's. One thread.
class LoginGuard {
 public:
  static constexpr Duration kWindow = std::chrono::minutes{15};
  static constexpr std::array<Duration, 4> kLocks{std::chrono::minutes{1}, std::chrono::minutes{5},
                                                  std::chrono::minutes{15},
                                                  std::chrono::minutes{60}};
  /// Without a try for that long, the next lock is the first again.
  static constexpr Duration kForgotten = std::chrono::hours{24};
  static constexpr std::size_t kKnownMax = 10'000;

  explicit LoginGuard(std::uint32_t failures_max)
      : failures_max_(failures_max) {}

  /// How long the key has to wait; zero: it may try.
  Duration locked_for(std::string_view key, MonoTime now) const;

  /// A try begins. True: it was the last one, and the key is locked from now on.
  bool on_try(std::string_view key, MonoTime now);

  /// The try was not carried out after all: there was no place for it.
  void on_refund(std::string_view key);

  void on_success(std::string_view key);

  std::size_t size() const { return keys_.size(); }

 private:
  struct Entry {
    std::string key;
    std::vector<MonoTime> tries;  ///< In the window, oldest first; at most failures_max_.
    std::size_t locks = 0;        ///< So far.
    MonoTime until;               ///< Of the lock.
    MonoTime last;
  };

  const std::uint32_t failures_max_;
  std::list<Entry> order_;  ///< By last try, the oldest first.
  std::unordered_map<std::string_view, std::list<Entry>::iterator> keys_;  ///< Live in order_.
};

}  // namespace tocsin::collector
