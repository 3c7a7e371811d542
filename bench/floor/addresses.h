#pragma once
// Where the http target listens: 127.0.0.1 and the addresses after it.

#include <cstdint>

namespace floor_bench {

inline constexpr std::uint32_t kAddresses = 16;

}  // namespace floor_bench
