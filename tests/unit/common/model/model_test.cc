#include "common/model/monitor_spec.h"
#include "common/model/outcome.h"
#include "common/model/slots.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace tocsin {
namespace {

MonitorId monitor(const char* text) { return *MonitorId::parse(text); }

TEST(Slots, VectorsAreFrozen) {
  const MonitorId id = monitor("0192f5a0-7b1c-7def-8a12-34567890abcd");
  EXPECT_EQ(phase_of(id, "eu-west", std::chrono::seconds{30}), 12'694);
  EXPECT_EQ(phase_of(id, "us-east", std::chrono::seconds{30}), 28'913);
  EXPECT_EQ(phase_of(MonitorId{}, "eu-west", std::chrono::hours{1}), 1'894'983);
}

TEST(Slots, TicksAndSlotsAreInverse) {
  const SlotGrid grid{30'000, 12'345};
  for (const std::uint32_t tick : {0U, 1U, 59'000'000U}) {
    const WallTime slot = grid.slot(tick);
    EXPECT_EQ(grid.tick_at_or_after(slot), tick);
    EXPECT_EQ(grid.tick_at_or_before(slot), tick);
    EXPECT_EQ(grid.tick_at_or_after(slot + Duration{1}), tick + 1);
    if (tick > 0) {
      EXPECT_EQ(grid.tick_at_or_before(slot - Duration{1}), tick - 1);
    }
  }
}

TEST(Reason, EveryNameLeadsBackToItsReason) {
  int found = 0;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    const auto reason = reason_from_int(i);
    if (!reason) continue;
    ++found;
    EXPECT_EQ(reason_from_name(to_string(*reason)), reason);
    EXPECT_FALSE(explain(*reason).empty());
  }
  EXPECT_GT(found, 45);
  EXPECT_TRUE(blames_target(Reason::kConnectRefused));
  EXPECT_FALSE(blames_target(Reason::kPolicyDeniedAddress));
  EXPECT_FALSE(blames_target(Reason::kSelfResolver));
}

MonitorSpec a_valid_spec() {
  MonitorSpec spec;
  spec.key = "shop";
  spec.name = "Shop";
  spec.probe.target = HttpTarget{"http://shop.example.com/"};
  spec.probe.interval = std::chrono::seconds{30};
  return spec;
}

TEST(MonitorSpec, EveryBrokenRuleIsReportedAtOnce) {
  EXPECT_TRUE(validate(a_valid_spec()).empty());
  MonitorSpec spec = a_valid_spec();
  spec.key = "Shop";
  spec.probe.timeout = std::chrono::seconds{30};
  spec.probe.retry.retries = 11;
  spec.regions = {"ber", "ber"};
  spec.quorum = {QuorumKind::kNumber, 3};
  std::vector<std::string> paths;
  for (const FieldError& e : validate(spec)) paths.push_back(e.path);
  EXPECT_EQ(paths, (std::vector<std::string>{"key", "timeout", "retries", "regions[1]", "quorum"}));
}

TEST(MonitorSpec, StaplesNeedACertificateThatIsVerified) {
  MonitorSpec spec = a_valid_spec();
  const auto errors = [&](Target target) {
    spec.probe.target = std::move(target);
    std::vector<std::string> paths;
    for (const FieldError& e : validate(spec)) paths.push_back(e.path);
    return paths;
  };
  const std::vector<std::string> refused{"ocsp"};
  for (const OcspMode mode : {OcspMode::kCheck, OcspMode::kRequire}) {
    EXPECT_EQ(errors(HttpTarget{.url = "https://a/", .ocsp = mode}), std::vector<std::string>{});
    EXPECT_EQ(errors(HttpTarget{.url = "http://a/", .ocsp = mode}), refused);
    EXPECT_EQ(errors(HttpTarget{.url = "https://a/", .verify = false, .ocsp = mode}), refused);
    EXPECT_EQ(errors(TlsTarget{.host = "a", .ocsp = mode}), std::vector<std::string>{});
    EXPECT_EQ(errors(TlsTarget{.host = "a", .verify = false, .ocsp = mode}), refused);
    TcpTarget tcp{"a", 25, "", ""};
    tcp.ocsp = mode;
    EXPECT_EQ(errors(tcp), refused);
    tcp.starttls = StartTls::kSmtp;
    EXPECT_EQ(errors(tcp), std::vector<std::string>{});
    tcp.verify = false;
    EXPECT_EQ(errors(tcp), refused);
  }
}

TEST(MonitorSpec, DefaultsFollowTheInterval) {
  EXPECT_EQ(default_timeout(std::chrono::seconds{60}), std::chrono::seconds{10});
  EXPECT_EQ(default_timeout(std::chrono::seconds{5}), std::chrono::milliseconds{2500});
  EXPECT_EQ(default_retry_delay(std::chrono::seconds{9}), std::chrono::milliseconds{100});
  EXPECT_EQ(default_retry_delay(std::chrono::seconds{10}), std::chrono::seconds{1});
}

TEST(MonitorSpec, AttemptsThatFitAreCounted) {
  ProbeSpec spec;
  spec.interval = std::chrono::seconds{30};
  spec.timeout = std::chrono::seconds{10};
  EXPECT_EQ(attempts_when_hanging(spec), 2);
  EXPECT_EQ(retry_budget(spec), std::chrono::seconds{30});
  spec.timeout = std::chrono::seconds{1};
  EXPECT_EQ(attempts_when_hanging(spec), 4);
  EXPECT_EQ(retry_budget(spec), std::chrono::seconds{7});
}

TEST(QuorumRule, RequiredVotes) {
  EXPECT_EQ(QuorumRule{}.required(1), 1);
  EXPECT_EQ(QuorumRule{}.required(2), 2);
  EXPECT_EQ(QuorumRule{}.required(3), 2);
  EXPECT_EQ(QuorumRule{}.required(5), 3);
  EXPECT_EQ((QuorumRule{QuorumKind::kAny}.required(5)), 1);
  EXPECT_EQ((QuorumRule{QuorumKind::kAll}.required(5)), 5);
  EXPECT_EQ((QuorumRule{QuorumKind::kNumber, 4}.required(5)), 4);
}

}  // namespace
}  // namespace tocsin
