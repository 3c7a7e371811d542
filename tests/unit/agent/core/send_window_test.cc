#include "agent/core/send_window.h"

#include "tests/unit/agent/core/fake_spool.h"

#include <gtest/gtest.h>

namespace tocsin::agent {
namespace {

StreamId stream(StreamClass cls = StreamClass::kRoutine, std::uint32_t epoch = 1) {
  StreamId s;
  s.epoch = epoch;
  s.cls = cls;
  return s;
}

StreamAck ack(const StreamId& s, std::uint64_t hw, std::uint32_t credit = 100'000) {
  return {s, hw, FakeSpool::digest(hw), credit};
}

constexpr MonoTime kT0{1'000'000};

TEST(SendWindow, NothingGoesBeforeAWelcome) {
  FakeSpool spool;
  SendWindow w{spool};
  w.synced(spool.add(stream()));
  EXPECT_TRUE(w.take(10, kT0).empty());
  EXPECT_TRUE(w.welcome({ack(stream(), 0)}, kT0).empty());
  EXPECT_EQ(w.take(10, kT0).size(), 1U);
  EXPECT_TRUE(w.take(10, kT0).empty());
}

TEST(SendWindow, AStreamThatBeganAfterTheHelloIsSentFromItsBeginning) {
  FakeSpool spool;
  SendWindow w{spool};
  w.synced(spool.add(stream()));  // Before the Welcome: only the spool knows.
  w.welcome({}, kT0);
  EXPECT_EQ(w.take(10, kT0).size(), 1U);
  w.synced(spool.add(stream()));
  EXPECT_EQ(w.take(10, kT0).size(), 1U);
}

TEST(SendWindow, ACollectorThatKnowsMoreThanWeDoIsAFork) {
  FakeSpool spool;
  spool.add(stream());
  SendWindow w{spool};
  EXPECT_EQ(w.welcome({ack(stream(), 5)}, kT0), std::vector{stream()});
  EXPECT_TRUE(w.take(10, kT0).empty());
}

TEST(SendWindow, ADifferentDigestIsAForkOnEveryAck) {
  FakeSpool spool;
  spool.add(stream());
  spool.add(stream());
  SendWindow w{spool};
  StreamAck wrong = ack(stream(), 1);
  wrong.digest[0] ^= 1;
  EXPECT_EQ(w.welcome({wrong}, kT0), std::vector{stream()});
  w.welcome({ack(stream(), 0)}, kT0);
  w.take(10, kT0);
  EXPECT_EQ(w.acknowledge(wrong, kT0), AckVerdict::kFork);
  EXPECT_EQ(w.acknowledge(ack(stream(), 2), kT0), AckVerdict::kGood);
  EXPECT_EQ(w.acknowledge(ack(stream(), 1), kT0), AckVerdict::kStale);
}

TEST(SendWindow, ACollectorBehindWhatWeForgotIsAFork) {
  FakeSpool spool;
  for (int i = 0; i < 5; ++i) spool.add(stream());
  spool.forget(stream(), 3);
  SendWindow w{spool};
  EXPECT_EQ(w.welcome({ack(stream(), 1)}, kT0), std::vector{stream()});
  EXPECT_TRUE(w.welcome({ack(stream(), 3)}, kT0).empty());
}

TEST(SendWindow, CreditBoundsTheBytesUnderWayButOneFrameAlwaysGoes) {
  FakeSpool spool;
  for (int i = 0; i < 5; ++i) spool.add(stream(), 1000);
  SendWindow w{spool};
  w.welcome({ack(stream(), 0, 2500)}, kT0);
  EXPECT_EQ(w.take(10, kT0).size(), 2U);
  EXPECT_EQ(w.unacked_bytes(), 2000U);
  w.acknowledge(ack(stream(), 2, 10), kT0);
  EXPECT_EQ(w.take(10, kT0).size(), 1U);
}

TEST(SendWindow, AlertsGoBeforeRoutineAndNewEpochsBeforeOldOnes) {
  FakeSpool spool;
  const StreamId old_routine = stream(StreamClass::kRoutine, 1);
  const StreamId routine = stream(StreamClass::kRoutine, 2);
  const StreamId alert = stream(StreamClass::kAlert, 1);
  for (const StreamId& s : {old_routine, routine, alert}) spool.add(s);
  SendWindow w{spool};
  w.welcome({ack(old_routine, 0), ack(routine, 0), ack(alert, 0)}, kT0);
  const auto frames = w.take(10, kT0);
  ASSERT_EQ(frames.size(), 3U);
  EXPECT_EQ(frames[0].stream, alert);
  EXPECT_EQ(frames[1].stream, routine);
  EXPECT_EQ(frames[2].stream, old_routine);
}

TEST(SendWindow, WhatIsNotAcknowledgedIsSentOnceMoreThenTheLinkIsDropped) {
  FakeSpool spool;
  spool.add(stream());
  SendWindow w{spool};
  w.welcome({ack(stream(), 0)}, kT0);
  w.take(10, kT0);
  EXPECT_EQ(w.next_deadline(), kT0 + SendWindow::kAckWait);
  EXPECT_TRUE(w.overdue(kT0 + SendWindow::kAckWait - Duration{1})->empty());
  EXPECT_EQ(w.overdue(kT0 + SendWindow::kAckWait)->size(), 1U);
  EXPECT_EQ(w.take(10, kT0 + SendWindow::kAckWait).size(), 1U);
  EXPECT_FALSE(w.overdue(kT0 + 2 * SendWindow::kAckWait).has_value());
}

}  // namespace
}  // namespace tocsin::agent
