#include "agent/app/assignment_cache.h"

#include "common/io/file.h"
#include "tests/unit/common/io/scratch_dir.h"

#include <gtest/gtest.h>

namespace tocsin::agent {
namespace {

Assignment sample() {
  AssignedSeries series;
  series.series = SeriesId{7};
  series.monitor = MonitorId{{1}};
  series.key = "shop";
  series.spec_rev = 1;
  series.grid = {.interval_ms = 60'000, .phase_ms = 123};
  series.spec.target = HttpTarget{.url = "http://127.0.0.1/"};
  return {.epoch = 4, .config_version = 9, .put = {series}};
}

TEST(AssignmentCache, ComesBackAsItWasStored) {
  const ScratchDir dir;
  ASSERT_TRUE(store_assignment(dir / "a", sample()).has_value());
  const auto again = load_assignment(dir / "a");
  ASSERT_TRUE(again.has_value()) << again.error().text;
  EXPECT_EQ(*again, sample());
}

TEST(AssignmentCache, EveryFlippedByteIsNoticed) {
  const ScratchDir dir;
  EXPECT_EQ(load_assignment(dir / "a").error().code, Errc::kNotFound);
  ASSERT_TRUE(store_assignment(dir / "a", sample()).has_value());
  const Bytes good = io::read_file(dir / "a", 10'000).value();
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x20);
    ASSERT_TRUE(io::append_durably(dir / std::to_string(i), as_bytes(bad)).has_value());
    const auto loaded = load_assignment(dir / std::to_string(i));
    ASSERT_FALSE(loaded.has_value()) << i;
    EXPECT_EQ(loaded.error().code, Errc::kCorrupt);
  }
}

}  // namespace
}  // namespace tocsin::agent
