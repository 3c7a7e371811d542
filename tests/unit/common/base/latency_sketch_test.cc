#include "common/base/latency_sketch.h"

#include "common/base/rng.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace tocsin {
namespace {

/// The value that `share` of the sorted values do not exceed.
std::uint32_t exact(const std::vector<std::uint32_t>& sorted, double share) {
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return sorted[std::max<std::size_t>(rank, 1) - 1];
}

LatencySketch decoded(const Bytes& bytes) {
  ByteReader in{as_bytes(bytes)};
  const auto out = LatencySketch::decode(in);
  EXPECT_TRUE(out);
  EXPECT_TRUE(in.rest().empty());
  return out ? *out : LatencySketch{};
}

TEST(LatencySketch, EveryQuantileIsWithinItsErrorWhateverTheValues) {
  Rng rng{7};
  for (int round = 0; round < 50; ++round) {
    LatencySketch sketch;
    std::vector<std::uint32_t> values;
    const std::uint64_t most = std::uint64_t{1} << (1 + rng.below(32));
    for (std::uint64_t n = 1 + rng.below(300); n > 0; --n) {
      values.push_back(static_cast<std::uint32_t>(rng.below(most)));
      sketch.add(values.back());
    }
    std::sort(values.begin(), values.end());
    EXPECT_EQ(sketch.count(), values.size());
    for (const double share : {0.01, 0.5, 0.95, 0.99, 1.0}) {
      const double wanted = exact(values, share);
      EXPECT_NEAR(sketch.quantile(share), wanted, wanted * LatencySketch::kError + 0.5) << share;
    }
    Bytes bytes;
    sketch.encode(bytes);
    EXPECT_EQ(decoded(bytes), sketch);
  }
}

TEST(LatencySketch, TheEndsOfItsRangeAreKept) {
  LatencySketch sketch;
  EXPECT_EQ(sketch.quantile(0.5), 0U);
  sketch.add(0);
  EXPECT_EQ(sketch.quantile(1), 0U);
  sketch.add(1);
  EXPECT_EQ(sketch.quantile(1), 1U);
  sketch.add(UINT32_MAX);
  EXPECT_GT(sketch.quantile(1), UINT32_MAX / 100 * 99);
  Bytes bytes;
  sketch.encode(bytes);
  EXPECT_EQ(decoded(bytes), sketch);
}

TEST(LatencySketch, TheSumIsTheSketchOfAllValuesInAnyOrder) {
  Rng rng{8};
  LatencySketch all;
  std::vector<LatencySketch> parts(4);
  for (int i = 0; i < 1000; ++i) {
    const auto us = static_cast<std::uint32_t>(rng.below(50'000));
    all.add(us);
    parts[rng.below(parts.size())].add(us);
  }
  LatencySketch sum;
  for (const std::size_t i : {2U, 0U, 3U, 1U}) sum += parts[i];
  EXPECT_EQ(sum, all);
}

TEST(LatencySketch, DamageIsRefused) {
  LatencySketch sketch;
  for (const std::uint32_t us : {0U, 3U, 90'000U}) sketch.add(us);
  Bytes bytes;
  sketch.encode(bytes);
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    ByteReader cut{as_bytes(std::string_view{bytes}.substr(0, n))};
    EXPECT_FALSE(LatencySketch::decode(cut)) << n;
  }
  for (const Bytes& wrong : {Bytes("\x01\x00\x00", 3), Bytes("\x02\x01\x01\x00\x01", 5),
                             Bytes("\x01\xd7\x08\x01", 4), Bytes(11, '\xff')}) {
    ByteReader in{as_bytes(wrong)};
    EXPECT_FALSE(LatencySketch::decode(in)) << to_hex(as_bytes(wrong));
  }
}

}  // namespace
}  // namespace tocsin
