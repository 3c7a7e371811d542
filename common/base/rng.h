#pragma once
// Question answered here: where does chance come from?
//
// A seeded generator (xoshiro256**, Blackman and Vigna 2018), always passed by reference. Tests and
// the simulator seed it; shells seed it once from the system. Not for keys or nonces: those come
// from OpenSSL.

#include "common/base/time.h"

#include <array>
#include <cstdint>

namespace tocsin {

class Rng {
 public:
  explicit Rng(std::uint64_t seed);

  std::uint64_t next();

  /// Uniform in [0, bound); bound > 0.
  std::uint64_t below(std::uint64_t bound);

  /// Uniform in [low, high].
  std::int64_t between(std::int64_t low, std::int64_t high);

  /// Uniform in [low, high].
  Duration between(Duration low, Duration high);

  bool chance(double probability);

  /// Uniform in [0, 1).
  double unit();

 private:
  std::array<std::uint64_t, 4> state_;
};

}  // namespace tocsin
