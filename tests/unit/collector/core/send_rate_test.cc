#include "collector/core/send_rate.h"

#include <gtest/gtest.h>

namespace tocsin::collector {
namespace {

TEST(SendRate, IsReadAsItIsWritten) {
  for (const char* text : {"", "60/1m", "1/1s", "10000/1d", "6/1m30s"}) {
    const auto rate = parse_rate(text);
    ASSERT_TRUE(rate) << text;
    EXPECT_EQ(format_rate(*rate), text);
  }
  EXPECT_EQ(*parse_rate("60/1m"), (SendRate{60, std::chrono::minutes{1}}));
}

TEST(SendRate, AnythingElseIsRefusedWithAnExample) {
  for (const char* text : {"60", "/1m", "0/1m", "-1/1m", "10001/1s", "1/0s", "1/500ms", "1/25h",
                           "60/1m/2", " 60/1m", "60 /1m", "x/1m", "60/x"}) {
    const auto rate = parse_rate(text);
    ASSERT_FALSE(rate) << text;
    EXPECT_NE(rate.error().text.find("60/1m"), std::string::npos);
  }
}

}  // namespace
}  // namespace tocsin::collector
