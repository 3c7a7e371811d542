#include "agent/core/retry.h"

#include <gtest/gtest.h>

namespace tocsin::agent {
namespace {

Attempt failed(Reason reason, Outcome outcome = Outcome::kDown) {
  Attempt a;
  a.finding = {outcome, reason, ""};
  return a;
}

ProbeSpec spec() {
  ProbeSpec s;
  s.interval = std::chrono::seconds{30};
  s.timeout = std::chrono::seconds{5};
  s.retry = {3, std::chrono::seconds{1}, true};
  return s;
}

constexpr MonoTime kEnd{30'000'000};

TEST(Retry, AFailureIsTriedAgainAfterTheDelay) {
  const auto plan =
      plan_retry(spec(), std::vector{failed(Reason::kConnectRefused)}, kEnd, MonoTime{0});
  ASSERT_TRUE(std::holds_alternative<RetryAt>(plan));
  EXPECT_EQ(std::get<RetryAt>(plan).at, MonoTime{1'000'000});
}

TEST(Retry, ThreeRetriesMeanFourAttempts) {
  std::vector<Attempt> attempts(3, failed(Reason::kConnectRefused));
  EXPECT_TRUE(std::holds_alternative<RetryAt>(plan_retry(spec(), attempts, kEnd, MonoTime{0})));
  attempts.push_back(attempts[0]);
  EXPECT_EQ(std::get<SlotEnd>(plan_retry(spec(), attempts, kEnd, MonoTime{0})),
            SlotEnd::kRetriesExhausted);
}

TEST(Retry, NoRetriesMeanOneAttempt) {
  ProbeSpec s = spec();
  s.retry.retries = 0;
  EXPECT_EQ(std::get<SlotEnd>(
                plan_retry(s, std::vector{failed(Reason::kConnectRefused)}, kEnd, MonoTime{0})),
            SlotEnd::kRetriesExhausted);
}

TEST(Retry, NoAttemptRunsIntoTheNextSlot) {
  const std::vector attempts{failed(Reason::kConnectTimeout)};
  EXPECT_TRUE(
      std::holds_alternative<RetryAt>(plan_retry(spec(), attempts, kEnd, MonoTime{24'000'000})));
  EXPECT_EQ(std::get<SlotEnd>(plan_retry(spec(), attempts, kEnd, MonoTime{24'000'001})),
            SlotEnd::kNoTimeLeft);
}

TEST(Retry, PassingAfterAFailureIsRecovered) {
  std::vector attempts{failed(Reason::kConnectTimeout), Attempt{}};
  EXPECT_EQ(std::get<SlotEnd>(plan_retry(spec(), attempts, kEnd, MonoTime{0})),
            SlotEnd::kRecovered);
  attempts.erase(attempts.begin());
  EXPECT_EQ(std::get<SlotEnd>(plan_retry(spec(), attempts, kEnd, MonoTime{0})), SlotEnd::kPassed);
}

TEST(Retry, AssertionsAreNotTriedAgainWhenTheMonitorSaysSo) {
  ProbeSpec s = spec();
  const std::vector attempts{failed(Reason::kAssertStatus)};
  EXPECT_TRUE(std::holds_alternative<RetryAt>(plan_retry(s, attempts, kEnd, MonoTime{0})));
  s.retry.retry_assertions = false;
  EXPECT_EQ(std::get<SlotEnd>(plan_retry(s, attempts, kEnd, MonoTime{0})), SlotEnd::kNotRetryable);
}

TEST(Retry, OurOwnPolicyIsNotTriedAgain) {
  const std::vector attempts{failed(Reason::kPolicyDeniedAddress, Outcome::kNoData)};
  EXPECT_EQ(std::get<SlotEnd>(plan_retry(spec(), attempts, kEnd, MonoTime{0})),
            SlotEnd::kNotRetryable);
}

}  // namespace
}  // namespace tocsin::agent
