#include "collector/channels/trouble_reporter.h"

#include "common/base/clock.h"
#include "tests/support/builders.h"

#include <gtest/gtest.h>

#include <vector>

namespace tocsin::collector {
namespace {

struct Sink final : EventSink {
  [[nodiscard]] bool push(EngineInput&& input) override {
    if (full) return false;
    events.push_back(std::move(input.event));
    return true;
  }

  template <class T>
  std::vector<T> all() const {
    std::vector<T> out;
    for (const Event& event : events) {
      if (const auto* one = std::get_if<T>(&event)) out.push_back(*one);
    }
    return out;
  }

  bool full = false;
  std::vector<Event> events;
};

struct Desk {
  OutboxRow row(std::uint64_t n, NotificationKind kind = NotificationKind::kTrigger) {
    OutboxRow out;
    out.id = test::an_id<NotificationId>(n);
    out.incident = test::an_id<IncidentId>(7);
    out.kind = kind;
    out.channel = "ann/mail";
    out.user = "ann";
    out.more_contacts = true;
    return out;
  }

  void fail(const OutboxRow& row, int times) {
    for (int i = 0; i < times; ++i) reporter.on_outcome(row, DeliveryOutcome::kRetry, "451 later");
  }

  SystemClock clock;
  io::EventLoop loop{clock};
  Sink sink;
  TroubleReporter reporter{loop, sink};
};

TEST(TroubleReporter, TellsOnceAtTheThirdFailureOfATrigger) {
  Desk desk;
  desk.fail(desk.row(1), 2);
  EXPECT_TRUE(desk.sink.events.empty());
  desk.fail(desk.row(1), 5);
  const auto told = desk.sink.all<DeliveryTrouble>();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].notification, desk.row(1).id);
  EXPECT_EQ(told[0].user, "ann");
  EXPECT_TRUE(told[0].more_contacts);
  EXPECT_FALSE(told[0].dead);
  desk.fail(desk.row(2, NotificationKind::kResolve), 5);
  EXPECT_EQ(desk.sink.all<DeliveryTrouble>().size(), 1U);
}

TEST(TroubleReporter, WhatABreakerHoldsIsToldAtOnceAndOnce) {
  Desk desk;
  for (int i = 0; i < 3; ++i) {
    desk.reporter.on_outcome(desk.row(1), DeliveryOutcome::kHeld, "failed several times in a row");
  }
  desk.fail(desk.row(1), 4);
  const auto told = desk.sink.all<DeliveryTrouble>();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_FALSE(told[0].dead);
}

TEST(TroubleReporter, AMessageGivenUpMakesItsChannelDeadUntilItTakesOneAgain) {
  Desk desk;
  desk.reporter.on_outcome(desk.row(1), DeliveryOutcome::kDead, "550 no such user");
  ASSERT_EQ(desk.sink.all<DeliveryTrouble>().size(), 1U);
  EXPECT_TRUE(desk.sink.all<DeliveryTrouble>()[0].dead);
  ASSERT_EQ(desk.sink.all<ChannelHealth>().size(), 1U);
  EXPECT_FALSE(desk.sink.all<ChannelHealth>()[0].ok);
  desk.reporter.on_outcome(desk.row(2), DeliveryOutcome::kDead, "550 no such user");
  EXPECT_EQ(desk.sink.all<ChannelHealth>().size(), 1U);
  desk.reporter.on_outcome(desk.row(3), DeliveryOutcome::kSent, "");
  ASSERT_EQ(desk.sink.all<ChannelHealth>().size(), 2U);
  EXPECT_TRUE(desk.sink.all<ChannelHealth>()[1].ok);
  desk.reporter.on_outcome(desk.row(4), DeliveryOutcome::kSent, "");
  EXPECT_EQ(desk.sink.all<ChannelHealth>().size(), 2U);
}

TEST(TroubleReporter, ATestMessageThatIsRefusedKillsNoChannel) {
  Desk desk;
  desk.reporter.on_outcome(desk.row(1, NotificationKind::kTest), DeliveryOutcome::kDead, "550");
  EXPECT_TRUE(desk.sink.events.empty());
}

TEST(TroubleReporter, WhatTheEngineCannotTakeNowIsOfferedAgainInOrder) {
  Desk desk;
  desk.sink.full = true;
  desk.reporter.on_outcome(desk.row(1), DeliveryOutcome::kDead, "550");
  EXPECT_TRUE(desk.sink.events.empty());
  desk.sink.full = false;
  while (desk.sink.events.size() < 2) desk.loop.run_once(std::chrono::seconds{5});
  EXPECT_TRUE(std::holds_alternative<DeliveryTrouble>(desk.sink.events[0]));
  EXPECT_TRUE(std::holds_alternative<ChannelHealth>(desk.sink.events[1]));
}

}  // namespace
}  // namespace tocsin::collector
