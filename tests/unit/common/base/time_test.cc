#include "common/base/time.h"

#include <gtest/gtest.h>

namespace tocsin {
namespace {

TEST(Time, DurationsReadAndPrintTheSame) {
  for (const char* text : {"0s", "30s", "5m", "1h30m", "14d", "100ms", "250us", "1d2h3m4s5ms6us"}) {
    const auto d = parse_duration(text);
    ASSERT_TRUE(d) << text;
    EXPECT_EQ(format_duration(*d), text);
  }
  EXPECT_EQ(format_duration(std::chrono::seconds{90}), "1m30s");
}

TEST(Time, BadDurationsAreRefusedWithWhatWasExpected) {
  for (const char* text : {"", "30", "s", "-5s", "+5s", "1.5s", "5 s", "1s1s", "1s1h", "1w", "5S",
                           "99999999999999999999s", "9999999999999d"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
  EXPECT_NE(parse_duration("30").error().text.find("30s"), std::string::npos);
}

TEST(Time, ShortFormIsForPeople) {
  EXPECT_EQ(format_duration_short(std::chrono::microseconds{45'230}), "45.2ms");
  EXPECT_EQ(format_duration_short(std::chrono::seconds{125}), "2m 5s");
}

TEST(Time, Rfc3339ReadsAndPrints) {
  const WallTime t{1'795'230'847'250'000};
  EXPECT_EQ(format_rfc3339(t), "2026-11-21T03:14:07.250Z");
  for (const char* text : {"2026-11-21T03:14:07.250Z", "2026-11-21t04:14:07.25+01:00",
                           "2026-11-20T22:14:07.250000-05:00"}) {
    const auto back = parse_rfc3339(text);
    ASSERT_TRUE(back) << text;
    EXPECT_EQ(*back, t);
  }
  for (const char* text :
       {"", "2026-11-21", "2026-11-21T03:14:07", "2026-02-30T00:00:00Z", "2026-11-21T24:00:00Z",
        "2026-11-21T03:14:07.Z", "2026-11-21T03:14:07Zx"}) {
    EXPECT_FALSE(parse_rfc3339(text)) << text;
  }
}

}  // namespace
}  // namespace tocsin
