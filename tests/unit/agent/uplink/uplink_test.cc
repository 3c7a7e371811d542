#include "agent/uplink/uplink.h"

#include "tests/unit/agent/uplink/fake_collector.h"

#include <optional>

namespace tocsin::agent {
namespace {

class UplinkTest : public testing::Test {
 protected:
  void start(FakeCollector& collector, std::vector<std::string> server_keys = {}) {
    if (server_keys.empty()) server_keys = {collector.keys().public_key};
    uplink_.emplace(loop_,
                    Uplink::Options{.endpoints = {collector.endpoint()},
                                    .server_keys = std::move(server_keys),
                                    .keys = keys_,
                                    .seed = 1},
                    [this](UplinkEvent event) { events_.push_back(std::move(event)); });
  }

  /// Turns the loop and the collector until `done`, at most 20 s.
  template <class F>
  bool until(FakeCollector* collector, F done) {
    const MonoTime deadline = latency_clock() + 20s;
    while (!done()) {
      if (latency_clock() > deadline) return false;
      loop_.run_once(1ms);
      if (collector != nullptr) collector->pump(1ms);
    }
    return true;
  }

  template <class T>
  const T* last() const {
    return events_.empty() ? nullptr : std::get_if<T>(&events_.back());
  }

  io::CurveKeyPair keys_ = io::make_curve_keypair().value();
  SystemClock clock_;
  io::EventLoop loop_{clock_};
  std::vector<UplinkEvent> events_;
  std::optional<Uplink> uplink_;
};

TEST_F(UplinkTest, MessagesCrossInBothDirectionsOnceTheHandshakeIsThrough) {
  FakeCollector collector;
  collector.admit(keys_.public_key);
  start(collector);
  ASSERT_TRUE(until(&collector, [&] { return last<UplinkUp>() != nullptr; }));
  EXPECT_TRUE(uplink_->up());
  EXPECT_EQ(last<UplinkUp>()->endpoint, collector.endpoint());

  const Hello hello{.version = "0.1", .host = "h"};
  uplink_->send(hello);
  uplink_->send_frame("frame bytes");
  ASSERT_TRUE(until(&collector, [&] { return collector.got.size() == 2; }));
  EXPECT_EQ(collector.got[0].kind, wire::PartKind::kAgent);
  EXPECT_EQ(wire::decode_agent_message(as_bytes(collector.got[0].body)).value(),
            AgentMessage{hello});
  EXPECT_EQ(collector.got[1].kind, wire::PartKind::kFrame);
  EXPECT_EQ(collector.got[1].body, "frame bytes");
  EXPECT_GT(uplink_->sent_bytes(), 11U);

  const Welcome welcome{.region = "eu-west"};
  collector.reply(collector.got[0].routing_id, welcome);
  ASSERT_TRUE(until(&collector, [&] { return last<UplinkMessage>() != nullptr; }));
  EXPECT_EQ(last<UplinkMessage>()->message, CollectorMessage{welcome});
}

TEST_F(UplinkTest, AWrongServerKeyIsToldApartAndTheNextKeyIsTried) {
  FakeCollector collector;
  collector.admit(keys_.public_key);
  start(collector, {io::make_curve_keypair()->public_key, collector.keys().public_key});
  ASSERT_TRUE(until(&collector, [&] { return last<UplinkDown>() != nullptr; }));
  EXPECT_EQ(last<UplinkDown>()->trouble, LinkTrouble::kWrongServer);
  EXPECT_FALSE(last<UplinkDown>()->was_up);
  EXPECT_NE(advice(LinkTrouble::kWrongServer).find("server_keys"), std::string::npos);
  EXPECT_TRUE(until(&collector, [&] { return last<UplinkUp>() != nullptr; }));
}

TEST_F(UplinkTest, ARefusedKeyIsToldApart) {
  FakeCollector collector;
  start(collector);
  ASSERT_TRUE(until(&collector, [&] { return last<UplinkDown>() != nullptr; }));
  EXPECT_EQ(last<UplinkDown>()->trouble, LinkTrouble::kKeyRefused);
}

TEST_F(UplinkTest, ACollectorThatComesBackIsFoundWithAFreshRoutingId) {
  auto collector = std::make_unique<FakeCollector>();
  const auto server = collector->keys();
  const std::string endpoint = collector->endpoint();
  collector->admit(keys_.public_key);
  start(*collector);
  ASSERT_TRUE(until(collector.get(), [&] { return uplink_->up(); }));
  uplink_->send(Hello{});
  ASSERT_TRUE(until(collector.get(), [&] { return collector->got.size() == 1; }));
  const Bytes first_id = collector->got[0].routing_id;

  collector.reset();
  ASSERT_TRUE(until(nullptr, [&] { return !uplink_->up(); }));
  const UplinkDown* down = nullptr;
  for (const auto& e : events_) {
    if (down == nullptr) down = std::get_if<UplinkDown>(&e);
  }
  ASSERT_NE(down, nullptr);
  EXPECT_TRUE(down->was_up);
  EXPECT_EQ(down->trouble, LinkTrouble::kDisconnected);
  uplink_->send(Goodbye{"said while the link was down"});

  collector = std::make_unique<FakeCollector>(server, endpoint);
  collector->admit(keys_.public_key);
  ASSERT_TRUE(until(collector.get(), [&] { return uplink_->up(); }));
  uplink_->send(Hello{});
  ASSERT_TRUE(until(collector.get(), [&] { return !collector->got.empty(); }));
  EXPECT_NE(collector->got[0].routing_id, first_id);
  EXPECT_TRUE(std::holds_alternative<Hello>(
      wire::decode_agent_message(as_bytes(collector->got[0].body)).value()));
}

TEST_F(UplinkTest, BytesThatCannotBeReadAreReportedAndTheLinkStays) {
  FakeCollector collector;
  collector.admit(keys_.public_key);
  start(collector);
  ASSERT_TRUE(until(&collector, [&] { return uplink_->up(); }));
  uplink_->send(Hello{});
  ASSERT_TRUE(until(&collector, [&] { return !collector.got.empty(); }));
  const Bytes id = collector.got[0].routing_id;
  collector.send_raw(id, "garbage", "body");
  ASSERT_TRUE(until(&collector, [&] { return last<UplinkUnreadable>() != nullptr; }));
  events_.clear();
  collector.send_raw(id, wire::encode_head(wire::PartKind::kCollector), "\xff\xff\xff");
  ASSERT_TRUE(until(&collector, [&] { return last<UplinkUnreadable>() != nullptr; }));
  EXPECT_TRUE(uplink_->up());
}

TEST_F(UplinkTest, DropEndsTheConnectionAndWaits) {
  FakeCollector collector;
  collector.admit(keys_.public_key);
  start(collector);
  ASSERT_TRUE(until(&collector, [&] { return uplink_->up(); }));
  uplink_->drop("asked to", 1h);
  uplink_->send(Hello{});
  ASSERT_TRUE(until(&collector, [&] { return last<UplinkDown>() != nullptr; }));
  EXPECT_EQ(last<UplinkDown>()->trouble, LinkTrouble::kDropped);
  EXPECT_GE(last<UplinkDown>()->retry_in, Duration(1h));
  EXPECT_TRUE(collector.got.empty());
}

TEST_F(UplinkTest, WhatWasHandedOverLeavesBeforeItIsDestroyed) {
  FakeCollector collector;
  collector.admit(keys_.public_key);
  start(collector);
  ASSERT_TRUE(until(&collector, [&] { return uplink_->up(); }));
  for (int i = 0; i < 50; ++i) uplink_->send(Suspicion{.tick = static_cast<std::uint32_t>(i)});
  uplink_->send(Goodbye{"stop"});
  uplink_.reset();
  ASSERT_TRUE(until(&collector, [&] { return collector.got.size() == 51; }));
  EXPECT_TRUE(std::holds_alternative<Goodbye>(
      wire::decode_agent_message(as_bytes(collector.got.back().body)).value()));
}

TEST_F(UplinkTest, DestroyingItWhileConnectingDoesNotWait) {
  FakeCollector collector;  // Never pumped: the handshake hangs in ZAP.
  start(collector);
  uplink_.reset();
  SUCCEED();
}

}  // namespace
}  // namespace tocsin::agent
