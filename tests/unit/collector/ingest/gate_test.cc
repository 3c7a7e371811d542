#include "collector/ingest/gate.h"

#include "common/wire/frame.h"
#include "common/wire/messages.h"

#include <gtest/gtest.h>

namespace tocsin::collector {
namespace {

const AgentId kAgent{{1, 2, 3}};
const AgentId kOther{{9, 9, 9}};
const AgentId kMinted{{7, 7, 7}};
const EnrolmentId kEnrolment{{4, 5, 6}};
const Now kNow{MonoTime{5'000'000}, WallTime{1'800'000'000'000'000}};
const std::string kKey = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";

/// One raw peer in front of a gate.
struct Peer {
  Gate& gate;
  Principal who = kAgent;
  int fd = 10;
  std::string routing_id = "r1";
  std::string key = "old";

  GateOutput raw(std::vector<Bytes> parts) {
    const bool agent = std::holds_alternative<AgentId>(who);
    const std::string user = agent ? with_key(user_id_of(who), key) : user_id_of(who);
    return gate.receive({routing_id, user, "127.0.0.1", fd, std::move(parts)}, kNow);
  }

  GateOutput say(const AgentMessage& message) {
    return raw({wire::encode_head(wire::PartKind::kAgent), wire::encode(message)});
  }

  GateOutput frame(Bytes bytes) {
    return raw({wire::encode_head(wire::PartKind::kFrame), std::move(bytes)});
  }
};

Gate a_gate() {
  return Gate([] { return kMinted; });
}

StreamId stream_of(const AgentId& agent) { return {agent, 1, Uuid{5}, 0, StreamClass::kRoutine}; }

Bytes a_frame(const AgentId& agent, std::uint64_t seq = 1) {
  CheckResult result;
  result.series = SeriesId{3};
  result.tick = result.tick_last = 100;
  result.spec_rev = 1;
  result.slot = kNow.wall;
  const StreamId stream = stream_of(agent);
  return wire::encode_results_frame(stream, seq, wire::genesis(stream), {result});
}

Rejection only_rejection(const GateOutput& out) {
  EXPECT_EQ(out.rejected.size(), 1U);
  return out.rejected.empty() ? Rejection::kHandshake : out.rejected[0].why;
}

template <class T>
const T* reply_as(const GateOutput& out) {
  return out.replies.size() == 1 ? std::get_if<T>(&out.replies[0].second) : nullptr;
}

template <class T>
const T* event_as(const GateOutput& out, std::size_t index = 0) {
  return out.events.size() > index ? std::get_if<T>(&out.events[index]) : nullptr;
}

TEST(Gate, HelloBeginsASessionThatMessagesThenBelongTo) {
  Gate gate = a_gate();
  Peer peer{gate};
  const auto hello = peer.say(Hello{});
  ASSERT_NE(event_as<AgentHello>(hello), nullptr);
  EXPECT_EQ(event_as<AgentHello>(hello)->agent, kAgent);
  const SessionId session = event_as<AgentHello>(hello)->session;
  EXPECT_EQ(gate.route(session), peer.routing_id);

  const auto applied = peer.say(ConfigApplied{4});
  ASSERT_NE(event_as<AgentConfigApplied>(applied), nullptr);
  EXPECT_EQ(event_as<AgentConfigApplied>(applied)->session, session);
  EXPECT_EQ(event_as<AgentConfigApplied>(applied)->epoch, 4U);
}

TEST(Gate, BeforeHelloEverythingIsRefused) {
  Gate gate = a_gate();
  Peer peer{gate};
  for (const auto& out : {peer.say(Heartbeat{}), peer.frame(a_frame(kAgent))}) {
    EXPECT_TRUE(out.events.empty());
    EXPECT_EQ(only_rejection(out), Rejection::kNoSession);
    ASSERT_NE(reply_as<Refused>(out), nullptr);
    EXPECT_EQ(reply_as<Refused>(out)->code, RefusalCode::kNoSession);
  }
}

TEST(Gate, AHeartbeatIsAnsweredAtOnceAndToldToTheEngine) {
  Gate gate = a_gate();
  Peer peer{gate};
  peer.say(Hello{});
  Heartbeat heartbeat;
  heartbeat.number = 8;
  heartbeat.wall = WallTime{1'700'000'000'000'000};
  const auto out = peer.say(heartbeat);
  ASSERT_NE(reply_as<HeartbeatReply>(out), nullptr);
  EXPECT_EQ(*reply_as<HeartbeatReply>(out),
            (HeartbeatReply{8, heartbeat.wall, kNow.wall, kNow.wall}));
  ASSERT_NE(event_as<AgentHeartbeat>(out), nullptr);
}

TEST(Gate, AFrameReachesTheEngineDecodedWithItsBytes) {
  Gate gate = a_gate();
  Peer peer{gate};
  peer.say(Hello{});
  const Bytes bytes = a_frame(kAgent);
  const auto out = peer.frame(bytes);
  const auto* arrived = event_as<FrameArrived>(out);
  ASSERT_NE(arrived, nullptr);
  EXPECT_EQ(arrived->agent, kAgent);
  EXPECT_EQ(arrived->frame.first, 1U);
  EXPECT_EQ(arrived->results.size(), 1U);
  EXPECT_EQ(*arrived->bytes, bytes);
}

TEST(Gate, AFrameOfAnotherAgentIsNotAuthorised) {
  Gate gate = a_gate();
  Peer peer{gate};
  peer.say(Hello{});
  const auto out = peer.frame(a_frame(kOther));
  EXPECT_TRUE(out.events.empty());
  EXPECT_EQ(only_rejection(out), Rejection::kNotAuthorised);
  EXPECT_NE(reply_as<Refused>(out), nullptr);
}

TEST(Gate, AFrameThatCannotBeReadIsNackedWithoutClaimingAnythingCommitted) {
  Gate gate = a_gate();
  Peer peer{gate};
  peer.say(Hello{});
  Bytes bytes = a_frame(kAgent, 5);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  const auto out = peer.frame(bytes);
  EXPECT_TRUE(out.events.empty());
  EXPECT_EQ(only_rejection(out), Rejection::kMalformed);
  const auto* nack = reply_as<Nack>(out);
  ASSERT_NE(nack, nullptr);
  EXPECT_EQ(nack->code, NackCode::kMalformed);
  EXPECT_EQ(nack->stream.stream, stream_of(kAgent));
  EXPECT_EQ(nack->stream.high_water, 0U);
}

TEST(Gate, GarbageIsCountedAndNeverReachesTheEngine) {
  Gate gate = a_gate();
  Peer peer{gate};
  peer.say(Hello{});
  const Bytes agent_head = wire::encode_head(wire::PartKind::kAgent);
  const Bytes frame_head = wire::encode_head(wire::PartKind::kFrame);
  const std::vector<std::vector<Bytes>> garbage = {
      {},
      {agent_head},
      {agent_head, "a", "b"},
      {"", "x"},
      {"GET / HTTP/1.1", "Host: x"},
      {agent_head, "\xff\xff\xff\xff"},
      {frame_head, ""},
      {frame_head, "TCF1"},
      {frame_head, Bytes(2000, '\0')},
  };
  for (const auto& parts : garbage) {
    const auto out = peer.raw(parts);
    EXPECT_TRUE(out.events.empty());
    EXPECT_EQ(only_rejection(out), Rejection::kMalformed);
  }
}

TEST(Gate, AnOversizedFrameIsRejectedAsSuch) {
  Gate gate = a_gate();
  Peer peer{gate};
  peer.say(Hello{});
  EXPECT_EQ(only_rejection(peer.frame(Bytes(wire::kFrameWireSizeMax + 1, 'x'))),
            Rejection::kOversized);
}

TEST(Gate, AnotherProtocolVersionIsRefusedWithAdvice) {
  Gate gate = a_gate();
  Peer peer{gate};
  Bytes head = wire::encode_head(wire::PartKind::kAgent);
  head[1] = static_cast<char>(kProtocolVersion + 1);
  Hello hello;
  hello.protocol = kProtocolVersion + 1;
  for (const auto& out : {peer.raw({head, wire::encode(AgentMessage{Hello{}})}), peer.say(hello)}) {
    EXPECT_TRUE(out.events.empty());
    EXPECT_EQ(only_rejection(out), Rejection::kVersion);
    ASSERT_NE(reply_as<Refused>(out), nullptr);
    EXPECT_EQ(reply_as<Refused>(out)->code, RefusalCode::kVersion);
    EXPECT_NE(reply_as<Refused>(out)->text.find("update the collector"), std::string::npos);
  }
}

TEST(Gate, AOneTimeKeyMayEnrolAndNothingElse) {
  Gate gate = a_gate();
  Peer peer{gate, kEnrolment};
  for (const auto& out : {peer.say(Hello{}), peer.say(Heartbeat{}), peer.frame(a_frame(kAgent))}) {
    EXPECT_TRUE(out.events.empty());
    EXPECT_EQ(only_rejection(out), Rejection::kNotAuthorised);
  }
  const auto out = peer.say(Enrol{kKey, "0.1", "host"});
  const auto* enrol = event_as<EnrolAgent>(out);
  ASSERT_NE(enrol, nullptr);
  EXPECT_EQ(enrol->enrolment, kEnrolment);
  EXPECT_EQ(enrol->agent, kMinted);
  EXPECT_EQ(gate.route(enrol->session), peer.routing_id);
}

TEST(Gate, AnAgentMayNotEnrol) {
  Gate gate = a_gate();
  Peer peer{gate};
  EXPECT_EQ(only_rejection(peer.say(Enrol{kKey, "", ""})), Rejection::kNotAuthorised);
}

TEST(Gate, EnrolWithSomethingElseThanAKeyIsRefused) {
  Gate gate = a_gate();
  Peer peer{gate, kEnrolment};
  const auto out = peer.say(Enrol{std::string(40, '"'), "", ""});
  EXPECT_TRUE(out.events.empty());
  EXPECT_NE(reply_as<Refused>(out), nullptr);
}

TEST(Gate, ALostConnectionEndsItsSessionOnce) {
  Gate gate = a_gate();
  Peer peer{gate};
  const SessionId session = event_as<AgentHello>(peer.say(Hello{}))->session;
  const auto out = gate.disconnected(peer.fd, "gone");
  const auto* left = event_as<AgentLeft>(out);
  ASSERT_NE(left, nullptr);
  EXPECT_EQ(left->session, session);
  EXPECT_FALSE(left->goodbye);
  EXPECT_EQ(gate.route(session), std::nullopt);
  EXPECT_TRUE(gate.disconnected(peer.fd, "gone").events.empty());
}

TEST(Gate, AfterGoodbyeTheEndOfTheConnectionIsNoNews) {
  Gate gate = a_gate();
  Peer peer{gate};
  peer.say(Hello{});
  const auto out = peer.say(Goodbye{"upgrade"});
  ASSERT_NE(event_as<AgentLeft>(out), nullptr);
  EXPECT_TRUE(event_as<AgentLeft>(out)->goodbye);
  EXPECT_TRUE(gate.disconnected(peer.fd, "gone").events.empty());
}

TEST(Gate, HelloTwiceTakesTheFirstSessionsPlaceWithoutADeparture) {
  Gate gate = a_gate();
  Peer peer{gate};
  const SessionId first = event_as<AgentHello>(peer.say(Hello{}))->session;
  const auto out = peer.say(Hello{});
  // An AgentLeft here would make two processes that share a key look like one that restarts.
  ASSERT_NE(event_as<AgentHello>(out, 0), nullptr);
  EXPECT_NE(event_as<AgentHello>(out, 0)->session, first);
  EXPECT_EQ(gate.route(first), std::nullopt);
}

TEST(Gate, ARoutingIdUnderAnotherKeyOrDescriptorIsAnotherConnection) {
  Gate gate = a_gate();
  Peer peer{gate};
  const SessionId first = event_as<AgentHello>(peer.say(Hello{}))->session;
  Peer again{gate, kAgent, 11};
  const auto out = again.say(Heartbeat{});
  ASSERT_NE(event_as<AgentLeft>(out), nullptr);
  EXPECT_EQ(event_as<AgentLeft>(out)->session, first);
  EXPECT_EQ(only_rejection(out), Rejection::kNoSession);
}

TEST(Gate, AnAgentWithANewKeyIsHeardAndItsOldKeyIsNot) {
  Gate gate = a_gate();
  Peer thief{gate};
  thief.say(Hello{});
  EXPECT_EQ(gate.bar(kAgent, "old"), std::vector<int>{thief.fd});
  Peer agent{gate, kAgent, 11, "r2", "new/with a slash"};
  EXPECT_NE(event_as<AgentHello>(agent.say(Hello{})), nullptr);
  // It had connected before the renewal, and speaks only now.
  Peer sleeper{gate, kAgent, 12, "r3", "old"};
  EXPECT_EQ(only_rejection(sleeper.say(Hello{})), Rejection::kRevoked);
}

TEST(Gate, OfARevokedAgentNothingIsTakenOrAnswered) {
  Gate gate = a_gate();
  Peer peer{gate};
  peer.say(Hello{});
  EXPECT_EQ(gate.bar(kAgent, "old"), std::vector<int>{peer.fd});
  const auto out = peer.say(Hello{});
  EXPECT_TRUE(out.events.empty());
  EXPECT_TRUE(out.replies.empty());
  EXPECT_EQ(only_rejection(out), Rejection::kRevoked);
  EXPECT_TRUE(gate.disconnected(peer.fd, "cut").events.empty());
}

TEST(Gate, ForgettingSessionsTellsEachAgentToSayHello) {
  Gate gate = a_gate();
  Peer peer{gate};
  peer.say(Hello{});
  Peer silent{gate, kOther, 12, "r2"};
  silent.say(Heartbeat{});
  const auto out = gate.forget_sessions();
  ASSERT_NE(reply_as<Refused>(out), nullptr);
  EXPECT_EQ(out.replies[0].first, peer.routing_id);
  EXPECT_EQ(reply_as<Refused>(out)->code, RefusalCode::kNoSession);
  EXPECT_EQ(only_rejection(peer.say(Heartbeat{})), Rejection::kNoSession);
}

TEST(Gate, AtItsBoundNewConnectionsAreRefusedAndOldOnesGoOn) {
  Gate gate = a_gate();
  Peer first{gate};
  first.say(Hello{});
  for (std::size_t i = 1; i < SessionTable::kMaxSessions; ++i) {
    Peer{gate, kOther, static_cast<int>(100 + i), "x" + std::to_string(i)}.say(Hello{});
  }
  Peer late{gate, kOther, 99'999, "late"};
  const auto out = late.say(Hello{});
  EXPECT_TRUE(out.events.empty());
  EXPECT_EQ(only_rejection(out), Rejection::kSessionsFull);
  EXPECT_TRUE(first.say(Heartbeat{}).rejected.empty());
}

}  // namespace
}  // namespace tocsin::collector
