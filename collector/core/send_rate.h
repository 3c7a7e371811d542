#pragma once
// Question answered here: how often may one destination be written to?
//
// "60/1m": at most 60 at once, and on average 60 in a minute. It delays messages and drops none.

#include "common/base/expected.h"
#include "common/base/time.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace tocsin::collector {

inline constexpr std::uint32_t kRateCountMax = 10'000;
inline constexpr Duration kRatePerMax = std::chrono::hours{24};

struct SendRate {
  std::uint32_t count = 0;  ///< 1 .. kRateCountMax; 0: what is usual for the type.
  Duration per{0};          ///< 1 s .. kRatePerMax.

  friend bool operator==(const SendRate&, const SendRate&) = default;
};

/// "60/1m"; empty for the usual one.
std::string format_rate(const SendRate& rate);

/// kInvalid says what was expected. Empty text is the usual one.
Expected<SendRate> parse_rate(std::string_view text);

}  // namespace tocsin::collector
