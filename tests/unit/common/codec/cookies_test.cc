#include "common/codec/cookies.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace tocsin::codec {
namespace {

using Pairs = std::vector<std::pair<std::string_view, std::string_view>>;

TEST(Cookies, AreReadInOrderWithTheirQuotesTakenOff) {
  EXPECT_EQ(parse_cookies("a=1; b=\"two\";c=; __Host-tocsin=x=y"),
            (Pairs{{"a", "1"}, {"b", "two"}, {"c", ""}, {"__Host-tocsin", "x=y"}}));
  EXPECT_TRUE(parse_cookies("").empty());
}

TEST(Cookies, AMalformedOneOfAnotherProgramIsSkipped) {
  EXPECT_EQ(parse_cookies("nonsense; =x; a b=1; c=d e; f=\"; g={\"h\":1}; i=1,2; ok=1;; k\x01=2"),
            (Pairs{{"ok", "1"}}));
}

TEST(Cookies, APlantedSecondValueMakesTheCookieDisappear) {
  EXPECT_EQ(find_cookie("x=1; sid=mine; y=2", "sid"), "mine");
  EXPECT_EQ(find_cookie("sid=mine; sid=planted", "sid"), std::nullopt);
  EXPECT_EQ(find_cookie("sid=mine; sid=mine", "sid"), "mine");
  EXPECT_EQ(find_cookie("SID=other", "sid"), std::nullopt);
  EXPECT_EQ(find_cookie("", "sid"), std::nullopt);
}

TEST(Cookies, OnlyTheFirstOnesAreLookedAt) {
  std::string many;
  for (std::size_t i = 0; i < kCookiesMax; ++i) many += "a=1; ";
  EXPECT_EQ(parse_cookies(many + "sid=1").size(), kCookiesMax);
  EXPECT_EQ(find_cookie(many + "sid=1", "sid"), std::nullopt);
}

}  // namespace
}  // namespace tocsin::codec
