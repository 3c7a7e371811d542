#include "common/io/log.h"

#include <gtest/gtest.h>

#include <vector>

namespace tocsin::log {
namespace {

class Log : public testing::Test {
 protected:
  Log() {
    set_sink([this](std::string_view line) { lines_.emplace_back(line); });
  }

  ~Log() override {
    set_sink({});
    configure({});
  }

  /// The only line, without its time.
  std::string line() const {
    EXPECT_EQ(lines_.size(), 1U);
    if (lines_.empty()) return "";
    constexpr std::size_t kTime = std::string_view("2026-11-21T03:14:07.250Z ").size();
    return lines_[0].substr(kTime);
  }

  std::vector<std::string> lines_;
};

TEST_F(Log, TextLineQuotesOnlyWhatNeedsIt) {
  info("incident opened",
       {{"monitor", "shop"}, {"because", "2 of 3 down"}, {"votes", 3}, {"paged", true}});
  EXPECT_EQ(line(), "info incident opened monitor=shop because=\"2 of 3 down\" votes=3 paged=true");
  EXPECT_TRUE(parse_rfc3339(lines_[0].substr(0, 24)).has_value()) << lines_[0];
}

TEST_F(Log, JsonLineKeepsNumbersBare) {
  configure({.format = Format::kJson});
  warning("spool is filling", {{"bytes", 12}, {"share", 0.5}, {"path", "a \"b\""}});
  ASSERT_EQ(lines_.size(), 1U);
  EXPECT_EQ(lines_[0].substr(lines_[0].find(",\"level\"")),
            R"(,"level":"warning","event":"spool is filling","bytes":12,"share":0.5,)"
            R"("path":"a \"b\""})");
}

TEST_F(Log, AValueCannotForgeALine) {
  info("received", {{"body", "x\n2026 error all is lost"}});
  EXPECT_EQ(lines_.size(), 1U);
  EXPECT_EQ(lines_[0].find('\n'), std::string::npos);
}

TEST_F(Log, AValueCannotForgeAField) {
  info("received", {{"body", "x\\"}, {"from", "\" level=error"}, {"raw", "a\x1b b"}});
  EXPECT_EQ(line(), R"(info received body="x\\" from="\" level=error" raw="a\x1b b")");
}

TEST_F(Log, SecretsPrintAsAsterisks) {
  info("loaded", {{"key", io::Secret("hunter2")}});
  EXPECT_EQ(line(), "info loaded key=***");
}

TEST_F(Log, LinesBelowTheLevelAreLeftOut) {
  debug("details");
  EXPECT_TRUE(lines_.empty());
  configure({.level = Level::kDebug});
  debug("details");
  EXPECT_EQ(line(), "debug details");
}

TEST(RateLimit, FirstPassesThenOnePerPeriodWithTheCountLeftOut) {
  RateLimit limit(10s);
  const MonoTime t{0};
  EXPECT_EQ(limit.pass("a", t), 0U);
  EXPECT_EQ(limit.pass("a", t + 1s), std::nullopt);
  EXPECT_EQ(limit.pass("b", t + 1s), 0U);
  EXPECT_EQ(limit.pass("a", t + 9s), std::nullopt);
  EXPECT_EQ(limit.pass("a", t + 10s), 2U);
  EXPECT_EQ(limit.pass("a", t + 11s), std::nullopt);
}

}  // namespace
}  // namespace tocsin::log
