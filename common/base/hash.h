#pragma once
// Question answered here: which 64-bit hash do the slots, the placement and the trace digest depend
// on?
//
// Frozen for ever, with test vectors: changing a value here moves every monitor's slots.

#include <cstdint>
#include <span>
#include <string_view>

namespace tocsin {

inline constexpr std::uint64_t kFnvOffset = 0xcbf29ce484222325ULL;

/// FNV-1a, 64 bits; chain by passing the previous value.
constexpr std::uint64_t fnv1a64(std::string_view bytes, std::uint64_t h = kFnvOffset) {
  for (const char c : bytes) {
    h ^= static_cast<std::uint8_t>(c);
    h *= 0x100000001b3ULL;
  }
  return h;
}

constexpr std::uint64_t fnv1a64(std::span<const std::uint8_t> bytes, std::uint64_t h = kFnvOffset) {
  for (const std::uint8_t b : bytes) {
    h ^= b;
    h *= 0x100000001b3ULL;
  }
  return h;
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood 2014) including its increment.
constexpr std::uint64_t splitmix64(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

}  // namespace tocsin
