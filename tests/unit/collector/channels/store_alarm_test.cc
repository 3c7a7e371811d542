#include "collector/channels/store_alarm.h"

#include "common/codec/json.h"
#include "common/codec/node.h"
#include "tests/support/loopback_client.h"

#include <gtest/gtest.h>

#include <deque>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace tocsin::collector {
namespace {

using test::ManualClock;

struct StoreAlarmTest : ::testing::Test {
  struct Sent {
    std::string body, key;
    Channel::Done done;
  };

  struct Handle final : SendHandle {};

  StoreAlarmTest()
      : alarm(loop, rng, "https://tocsin.example.com",
              [this](std::string body, const std::string& key, Duration, Channel::Done done) {
                sent.push_back({std::move(body), key, std::move(done)});
                return std::make_unique<Handle>();
              }) {}

  void answer(SendResult::Kind kind) { sent.back().done({kind, 0, "said the test", std::nullopt}); }

  std::vector<std::string> types() const {
    std::vector<std::string> out;
    for (const Sent& s : sent) out.push_back(codec::parse_json(s.body)->find("type")->text);
    return out;
  }

  void pass(Duration d) {
    clock.advance(d);
    loop.run_once(Duration{0});
  }

  ManualClock clock;
  io::EventLoop loop{clock};
  Rng rng{1};
  std::deque<Sent> sent;
  StoreAlarm alarm;
};

TEST_F(StoreAlarmTest, AFailureIsToldOnceWhenItLastsAndItsEndOnce) {
  alarm.look(std::nullopt);
  alarm.look(StoreAlarm::kPatience - std::chrono::seconds{1});
  EXPECT_TRUE(sent.empty());
  alarm.look(StoreAlarm::kPatience);
  alarm.look(StoreAlarm::kPatience * 2);
  ASSERT_EQ(types(), (std::vector<std::string>{"io.tocsin.store.failing.v1"}));
  answer(SendResult::Kind::kAccepted);
  alarm.look(StoreAlarm::kPatience * 3);
  EXPECT_EQ(sent.size(), 1U);
  EXPECT_TRUE(alarm.stats().failing);
  alarm.look(std::nullopt);
  alarm.look(std::nullopt);
  ASSERT_EQ(types().back(), "io.tocsin.store.working.v1");
  answer(SendResult::Kind::kAccepted);
  alarm.look(std::nullopt);
  EXPECT_EQ(sent.size(), 2U);
  EXPECT_NE(sent[0].key, sent[1].key);
  EXPECT_FALSE(alarm.stats().failing);
}

TEST_F(StoreAlarmTest, AShortFailureIsNobodysBusiness) {
  alarm.look(StoreAlarm::kPatience / 2);
  alarm.look(std::nullopt);
  EXPECT_TRUE(sent.empty());
}

TEST_F(StoreAlarmTest, WhatWasNotTakenIsSentAgainWithTheSameKey) {
  alarm.look(StoreAlarm::kPatience);
  answer(SendResult::Kind::kTransient);
  EXPECT_EQ(sent.size(), 1U);
  pass(std::chrono::seconds{7});
  ASSERT_EQ(sent.size(), 2U);
  EXPECT_EQ(sent[0].key, sent[1].key);
  EXPECT_EQ(sent[0].body, sent[1].body);
  EXPECT_EQ(alarm.stats().retried, 1U);
}

TEST_F(StoreAlarmTest, TheEndTakesThePlaceOfAFailureThatNobodyTook) {
  alarm.look(StoreAlarm::kPatience);
  answer(SendResult::Kind::kTransient);
  alarm.look(std::nullopt);
  ASSERT_EQ(types().back(), "io.tocsin.store.working.v1");
  answer(SendResult::Kind::kAccepted);
  pass(std::chrono::minutes{10});
  EXPECT_EQ(sent.size(), 2U);
}

TEST_F(StoreAlarmTest, TheBodyIsTheExampleOfTheDocumentation) {
  const WallTime since = *parse_rfc3339("2026-11-21T03:00:00Z");
  const auto body = codec::parse_json(store_alarm_body(true, "019aa410-0000-7000-8000-000000000009",
                                                       since, since + StoreAlarm::kPatience,
                                                       "https://tocsin.example.com"));
  ASSERT_TRUE(body);
  std::ifstream file{"docs/webhooks.md"};
  const std::string doc{std::istreambuf_iterator<char>{file}, {}};
  const std::size_t at = doc.find("## When the store does not work");
  ASSERT_NE(at, std::string::npos);
  const std::size_t begin = doc.find("```json", at) + 8;
  const auto documented = codec::parse_json(doc.substr(begin, doc.find("```", begin) - begin));
  ASSERT_TRUE(documented) << documented.error().text;
  EXPECT_EQ(codec::print_json(*body, 2), codec::print_json(*documented, 2));
}

}  // namespace
}  // namespace tocsin::collector
