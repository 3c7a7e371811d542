#pragma once
// Question answered here: how long did it take, mostly and at worst?
//
// Counts in fixed buckets, from a millisecond to ten seconds: a value without clock or lock, for
// the parts that measure and know nothing of /metrics.

#include "common/base/time.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace tocsin {

struct Latencies {
  /// Upper ends, each its own bucket; what is longer goes to the last one.
  static constexpr std::array<Duration, 13> kBounds = {
      std::chrono::milliseconds{1},   std::chrono::microseconds{2500},
      std::chrono::milliseconds{5},   std::chrono::milliseconds{10},
      std::chrono::milliseconds{25},  std::chrono::milliseconds{50},
      std::chrono::milliseconds{100}, std::chrono::milliseconds{250},
      std::chrono::milliseconds{500}, std::chrono::seconds{1},
      std::chrono::seconds{2},        std::chrono::seconds{5},
      std::chrono::seconds{10}};

  std::array<std::uint64_t, kBounds.size() + 1> counts{};
  Duration sum{0};

  static std::size_t bucket_of(Duration took) {
    std::size_t i = 0;
    while (i < kBounds.size() && took > kBounds[i]) ++i;
    return i;
  }

  void add(Duration took) {
    ++counts[bucket_of(took)];
    sum += took;
  }

  /// Undoes one add() of it.
  void remove(Duration took) {
    --counts[bucket_of(took)];
    sum -= took;
  }

  /// The bound that at least that share of the values kept to, the longest one for what is longer;
  /// zero without values. `share` is in (0, 1].
  Duration kept_to(double share) const {
    std::uint64_t total = 0;
    for (const std::uint64_t n : counts) total += n;
    if (total == 0) return Duration{0};
    const double wanted = share * static_cast<double>(total);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < kBounds.size(); ++i) {
      seen += counts[i];
      if (static_cast<double>(seen) >= wanted) return kBounds[i];
    }
    return kBounds.back();
  }

  Latencies& operator+=(const Latencies& other) {
    for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += other.counts[i];
    sum += other.sum;
    return *this;
  }

  friend bool operator==(const Latencies&, const Latencies&) = default;
};

}  // namespace tocsin
