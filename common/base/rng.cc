#include "common/base/rng.h"

#include "common/base/check.h"
#include "common/base/hash.h"

#include <bit>

namespace tocsin {

Rng::Rng(std::uint64_t seed)
    : state_{} {
  for (std::uint64_t& s : state_) {
    s = splitmix64(seed);
    seed += 0x9e3779b97f4a7c15ULL;
  }
}

std::uint64_t Rng::next() {
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

std::uint64_t Rng::below(std::uint64_t bound) {
  CHECK(bound > 0);
  // The bias of a plain remainder is below 2^-40 for every bound used here.
  return next() % bound;
}

std::int64_t Rng::between(std::int64_t low, std::int64_t high) {
  CHECK(low <= high);
  return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low) + 1));
}

Duration Rng::between(Duration low, Duration high) {
  return Duration{between(low.count(), high.count())};
}

bool Rng::chance(double probability) { return unit() < probability; }

double Rng::unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

}  // namespace tocsin
