// Real ZeroMQ on the loopback: a scripted raw agent against the ingest thread. Waiting is bounded
// polling with a deadline; what is asserted is that things happen, never how fast.

#include "collector/ingest/ingest.h"

#include "common/io/log.h"
#include "common/wire/frame.h"
#include "common/wire/messages.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <zmq.h>

#include <atomic>
#include <mutex>

namespace tocsin::collector {
namespace {

constexpr Duration kDeadline = std::chrono::seconds{20};

const AgentId kAgent{{1, 2, 3}};
const EnrolmentId kEnrolment{{4, 5, 6}};
using Kind = io::ZmqEvent::Kind;
using Use = KeyChanged::Use;

/// The engine's end: keeps what arrives; can be full.
class FakeEngine final : public EventSink {
 public:
  bool push(EngineInput&& input) override { return !full && box_.push(std::move(input)); }

  std::optional<Event> next() {
    auto input = box_.pop(kDeadline);
    if (!input) return std::nullopt;
    return std::move(input->event);
  }

  template <class T>
  T expect() {
    while (auto event = next()) {
      if (auto* wanted = std::get_if<T>(&*event)) return std::move(*wanted);
    }
    ADD_FAILURE() << "the expected event did not come";
    return T{};
  }

  std::size_t waiting() const { return box_.size(); }

  std::atomic<bool> full{false};

 private:
  io::Mailbox<EngineInput> box_{1000};
};

/// Log lines written while it lives.
class CapturedLog {
 public:
  CapturedLog() {
    log::set_sink([this](std::string_view line) {
      const std::scoped_lock lock(mutex_);
      lines_.emplace_back(line);
    });
  }

  ~CapturedLog() { log::set_sink({}); }

  /// A line with the reason, and with the advice that goes with it.
  bool tells(Rejection why) {
    const std::scoped_lock lock(mutex_);
    for (const std::string& line : lines_) {
      if (line.find(fmt::format("reason={}", to_string(why))) != std::string::npos &&
          line.find(std::string(what_to_do(why)).substr(0, 20)) != std::string::npos) {
        return true;
      }
    }
    return false;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

/// One raw agent.
struct RawAgent {
  std::unique_ptr<io::ZmqSocket> socket;

  RawAgent(io::ZmqContext& context, const io::CurveKeyPair& keys, const std::string& server_key,
           const std::string& endpoint) {
    socket = *io::ZmqSocket::dealer(context, {keys, server_key});
    EXPECT_TRUE(socket->connect(endpoint));
  }

  /// The first event that says how it went.
  std::optional<Kind> outcome() {
    return wait_for({Kind::kHandshakeSucceeded, Kind::kHandshakeFailed, Kind::kHandshakeRefused,
                     Kind::kConnectFailed});
  }

  std::optional<Kind> wait_for(const std::vector<Kind>& kinds) {
    const MonoTime deadline = latency_clock() + kDeadline;
    while (latency_clock() < deadline) {
      io::ZmqWaitItem item{socket.get(), true};
      EXPECT_TRUE(io::zmq_wait({&item, 1}, 100ms));
      while (const auto event = socket->next_event()) {
        for (const Kind kind : kinds) {
          if (event->kind == kind) return kind;
        }
      }
    }
    return std::nullopt;
  }

  void send(std::vector<Bytes> parts) {
    const std::vector<std::string_view> views(parts.begin(), parts.end());
    const MonoTime deadline = latency_clock() + kDeadline;
    while (latency_clock() < deadline) {
      if (socket->send(views)) return;
      io::ZmqWaitItem item{socket.get(), false, -1, true};
      EXPECT_TRUE(io::zmq_wait({&item, 1}, 100ms));
    }
    ADD_FAILURE() << "not sent";
  }

  void say(const AgentMessage& message) {
    send({wire::encode_head(wire::PartKind::kAgent), wire::encode(message)});
  }

  void frame(Bytes bytes) { send({wire::encode_head(wire::PartKind::kFrame), std::move(bytes)}); }

  std::optional<CollectorMessage> receive() {
    const MonoTime deadline = latency_clock() + kDeadline;
    while (latency_clock() < deadline) {
      auto message = socket->receive();
      EXPECT_TRUE(message);
      if (*message) {
        EXPECT_EQ((*message)->parts.size(), 2U);
        auto decoded = wire::decode_collector_message(as_bytes((*message)->parts[1]));
        EXPECT_TRUE(decoded);
        return *decoded;
      }
      io::ZmqWaitItem item{socket.get()};
      EXPECT_TRUE(io::zmq_wait({&item, 1}, 100ms));
    }
    return std::nullopt;
  }

  template <class T>
  T expect() {
    while (auto message = receive()) {
      if (auto* wanted = std::get_if<T>(&*message)) return *wanted;
    }
    ADD_FAILURE() << "the expected answer did not come";
    return T{};
  }
};

class IngestTest : public ::testing::Test {
 protected:
  void SetUp() override {
    server = *io::make_curve_keypair();
    agent_keys = *io::make_curve_keypair();
    enrolment_keys = *io::make_curve_keypair();
    order(KeyChanged{Use::kAgent, agent_keys.public_key, kAgent.bytes, WallTime::never()});
    order(KeyChanged{Use::kEnrolment, enrolment_keys.public_key, kEnrolment.bytes,
                     clock.now().wall + 1h});
    auto started = Ingest::start({.endpoint = "tcp://127.0.0.1:*", .keys = server, .box = &box},
                                 {engine, orders, ingest_clock});
    ASSERT_TRUE(started) << started.error().text;
    ingest = *std::move(started);
  }

  template <class T>
  void order(T effect) {
    std::vector<LinkOrder> list;
    list.emplace_back(Effect{std::move(effect)});
    ASSERT_TRUE(orders.push(std::move(list)));
  }

  RawAgent connect(const io::CurveKeyPair& keys) {
    return {context, keys, server.public_key, ingest->endpoint()};
  }

  /// Connected, and in a session.
  RawAgent greeted(SessionId& session) {
    RawAgent agent = connect(agent_keys);
    EXPECT_EQ(agent.outcome(), Kind::kHandshakeSucceeded);
    agent.say(Hello{});
    session = engine.expect<AgentHello>().session;
    return agent;
  }

  std::uint64_t rejected(Rejection why) const {
    return ingest->stats().rejected[static_cast<std::size_t>(why)];
  }

  /// Metric and log line, each with the reason.
  void expect_rejection(Rejection why) {
    const MonoTime deadline = latency_clock() + kDeadline;
    io::Mailbox<int> pause(1);
    while (latency_clock() < deadline && (rejected(why) == 0 || !captured.tells(why))) {
      pause.pop(10ms);
    }
    EXPECT_GE(rejected(why), 1U) << to_string(why);
    EXPECT_TRUE(captured.tells(why)) << to_string(why);
  }

  CapturedLog captured;
  io::ZmqContext context;
  SystemClock clock;
  SystemClock ingest_clock;  ///< Of the thread of `ingest`.
  FakeEngine engine;
  LinkBox orders;
  io::CurveKeyPair server, agent_keys, enrolment_keys;
  const io::SecretBox box{io::Secret{std::string(io::SecretBox::kKeyBytes, 'k')}};
  std::unique_ptr<Ingest> ingest;
};

Bytes a_frame(const AgentId& agent) {
  CheckResult result;
  result.series = SeriesId{3};
  result.tick = result.tick_last = 100;
  result.spec_rev = 1;
  const StreamId stream{agent, 1, Uuid{5}, 0, StreamClass::kRoutine};
  return wire::encode_results_frame(stream, 1, wire::genesis(stream), {result});
}

TEST_F(IngestTest, AnEnrolledAgentSaysHelloAndHearsTheEnginesAnswer) {
  SessionId session{};
  RawAgent agent = greeted(session);
  order(SendToAgent{kAgent, session, Welcome{}});
  EXPECT_EQ(agent.expect<Welcome>(), Welcome{});
}

TEST_F(IngestTest, TheSelfTestLeavesNoTrace) {
  EXPECT_EQ(rejected(Rejection::kUnknownKey), 0U);
  EXPECT_FALSE(captured.tells(Rejection::kUnknownKey));
}

TEST_F(IngestTest, AFrameTravelsWholeAndItsAckComesBack) {
  SessionId session{};
  RawAgent agent = greeted(session);
  const Bytes bytes = a_frame(kAgent);
  agent.frame(bytes);
  const FrameArrived arrived = engine.expect<FrameArrived>();
  EXPECT_EQ(arrived.agent, kAgent);
  EXPECT_EQ(*arrived.bytes, bytes);
  const Ack ack{{arrived.frame.stream, 1, arrived.frame.digest, 1000}};
  order(SendToAgent{kAgent, session, ack});
  EXPECT_EQ(agent.expect<Ack>(), ack);
}

TEST_F(IngestTest, SecretsAreOpenedOnTheirWayOutAndOneThatCannotBeGoesEmpty) {
  SessionId session{};
  RawAgent agent = greeted(session);
  const io::SecretBox other{io::Secret{std::string(io::SecretBox::kKeyBytes, 'o')}};
  Assignment assignment;
  assignment.epoch = 3;
  assignment.secrets = {{"token", box.seal("token", io::Secret{"hunter2"})},
                        {"lost", other.seal("lost", io::Secret{"hunter3"})},
                        {"moved", box.seal("token", io::Secret{"hunter4"})},
                        {"unset", ""}};
  order(SendToAgent{kAgent, session, assignment});
  EXPECT_EQ(agent.expect<Assignment>().secrets,
            (std::vector<AssignedSecret>{
                {"token", "hunter2"}, {"lost", ""}, {"moved", ""}, {"unset", ""}}));
}

TEST_F(IngestTest, AHeartbeatIsAnsweredWithoutTheEngine) {
  SessionId session{};
  RawAgent agent = greeted(session);
  Heartbeat heartbeat;
  heartbeat.number = 5;
  agent.say(heartbeat);
  EXPECT_EQ(agent.expect<HeartbeatReply>().number, 5U);
  EXPECT_EQ(engine.expect<AgentHeartbeat>().heartbeat.number, 5U);
}

TEST_F(IngestTest, AnUnknownKeyIsRefusedInTheHandshake) {
  RawAgent stranger = connect(*io::make_curve_keypair());
  EXPECT_EQ(stranger.outcome(), Kind::kHandshakeRefused);
  expect_rejection(Rejection::kUnknownKey);
}

TEST_F(IngestTest, AWrongServerKeyFailsTheHandshake) {
  RawAgent agent(context, agent_keys, io::make_curve_keypair()->public_key, ingest->endpoint());
  EXPECT_EQ(agent.outcome(), Kind::kHandshakeFailed);
  expect_rejection(Rejection::kHandshake);
}

TEST_F(IngestTest, AClientWithoutCurveIsNotLetIn) {
  void* raw_context = zmq_ctx_new();
  void* socket = zmq_socket(raw_context, ZMQ_DEALER);
  const int linger = 0;
  zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
  ASSERT_EQ(zmq_connect(socket, ingest->endpoint().c_str()), 0);
  zmq_send(socket, "x", 1, ZMQ_DONTWAIT);
  expect_rejection(Rejection::kHandshake);
  EXPECT_EQ(engine.waiting(), 0U);
  zmq_close(socket);
  zmq_ctx_term(raw_context);
}

TEST_F(IngestTest, ABundleEnrolsOnceAndItsReplayIsRefused) {
  RawAgent first = connect(enrolment_keys);
  EXPECT_EQ(first.outcome(), Kind::kHandshakeSucceeded);
  const io::CurveKeyPair own = *io::make_curve_keypair();
  first.say(Enrol{own.public_key, "0.1", "host"});
  const EnrolAgent enrol = engine.expect<EnrolAgent>();
  EXPECT_EQ(enrol.enrolment, kEnrolment);
  EXPECT_EQ(enrol.enrol.public_key, own.public_key);
  EXPECT_FALSE(enrol.agent.empty());

  // What the engine lets out once it is stored.
  order(KeyChanged{Use::kNone, enrolment_keys.public_key, kEnrolment.bytes, WallTime::never()});
  order(KeyChanged{Use::kAgent, own.public_key, enrol.agent.bytes, WallTime::never()});
  order(AnswerEnrolment{enrol.session, Enrolled{enrol.agent, "eu-west"}});
  EXPECT_EQ(first.expect<Enrolled>(), (Enrolled{enrol.agent, "eu-west"}));

  RawAgent replay = connect(enrolment_keys);
  EXPECT_EQ(replay.outcome(), Kind::kHandshakeRefused);
  expect_rejection(Rejection::kEnrolmentUsed);
  RawAgent enrolled = connect(own);
  EXPECT_EQ(enrolled.outcome(), Kind::kHandshakeSucceeded);
}

TEST_F(IngestTest, AnExpiredBundleIsRefused) {
  const io::CurveKeyPair old = *io::make_curve_keypair();
  order(KeyChanged{Use::kEnrolment, old.public_key, kEnrolment.bytes, clock.now().wall - 1s});
  SessionId session{};
  greeted(session);  // The order before has been carried out by then.
  RawAgent late = connect(old);
  EXPECT_EQ(late.outcome(), Kind::kHandshakeRefused);
  expect_rejection(Rejection::kEnrolmentExpired);
}

TEST_F(IngestTest, ARevokedAgentIsCutAtOnceAndNotLetInAgain) {
  SessionId session{};
  RawAgent agent = greeted(session);
  order(KeyChanged{Use::kNone, agent_keys.public_key, kAgent.bytes, WallTime::never()});
  EXPECT_EQ(agent.wait_for({Kind::kDisconnected}), Kind::kDisconnected);
  RawAgent again = connect(agent_keys);
  EXPECT_EQ(again.outcome(), Kind::kHandshakeRefused);
  expect_rejection(Rejection::kRevoked);
  EXPECT_EQ(engine.waiting(), 0U);
}

TEST_F(IngestTest, ClosingASessionLetsTheLastWordOutAndCutsTheConnection) {
  SessionId session{};
  RawAgent agent = greeted(session);
  order(SendToAgent{kAgent, session, Refused{RefusalCode::kCloned, "another one took over"}});
  order(CloseSession{kAgent, session, "cloned"});
  EXPECT_EQ(agent.expect<Refused>().code, RefusalCode::kCloned);
  EXPECT_EQ(agent.wait_for({Kind::kDisconnected}), Kind::kDisconnected);
}

TEST_F(IngestTest, AnOversizedFrameIsRejectedAndAnOversizedMessageCut) {
  SessionId session{};
  RawAgent agent = greeted(session);
  agent.frame(Bytes(wire::kFrameWireSizeMax + 1, 'x'));
  expect_rejection(Rejection::kOversized);
  agent.frame(Bytes(wire::kMessageSizeMax + 1, 'x'));
  const AgentLeft left = engine.expect<AgentLeft>();
  EXPECT_EQ(left.session, session);
  EXPECT_NE(left.why.find("512 KiB"), std::string::npos);
}

TEST_F(IngestTest, GarbageIsCountedAndTheSessionGoesOn) {
  SessionId session{};
  RawAgent agent = greeted(session);
  agent.send({"GET / HTTP/1.1", "Host: x"});
  agent.send({wire::encode_head(wire::PartKind::kAgent), "\xff\xff\xff"});
  agent.send({wire::encode_head(wire::PartKind::kAgent)});
  agent.frame("TCF1 and then nonsense");
  expect_rejection(Rejection::kMalformed);
  agent.say(Heartbeat{});
  engine.expect<AgentHeartbeat>();
  EXPECT_EQ(rejected(Rejection::kMalformed), 4U);
}

TEST_F(IngestTest, AWrongVersionIsRefusedWithAdvice) {
  RawAgent agent = connect(agent_keys);
  EXPECT_EQ(agent.outcome(), Kind::kHandshakeSucceeded);
  Hello hello;
  hello.protocol = kProtocolVersion + 1;
  agent.say(hello);
  EXPECT_EQ(agent.expect<Refused>().code, RefusalCode::kVersion);
  expect_rejection(Rejection::kVersion);
}

TEST_F(IngestTest, WithoutHelloTheAnswerIsNoSession) {
  RawAgent agent = connect(agent_keys);
  EXPECT_EQ(agent.outcome(), Kind::kHandshakeSucceeded);
  agent.frame(a_frame(kAgent));
  EXPECT_EQ(agent.expect<Refused>().code, RefusalCode::kNoSession);
  expect_rejection(Rejection::kNoSession);
  EXPECT_EQ(engine.waiting(), 0U);
}

TEST_F(IngestTest, AFrameOfAnotherAgentIsNotAuthorised) {
  SessionId session{};
  RawAgent agent = greeted(session);
  agent.frame(a_frame(AgentId{{9}}));
  agent.expect<Refused>();
  expect_rejection(Rejection::kNotAuthorised);
}

TEST_F(IngestTest, TheEndOfAConnectionIsToldToTheEngine) {
  SessionId session{};
  { RawAgent agent = greeted(session); }
  const AgentLeft left = engine.expect<AgentLeft>();
  EXPECT_EQ(left.session, session);
  EXPECT_FALSE(left.goodbye);
}

TEST_F(IngestTest, AGoodbyeIsHeardAlthoughTheConnectionEndsRightAfterIt) {
  const auto text = [](void* socket, int option, const std::string& value) {
    EXPECT_EQ(zmq_setsockopt(socket, option, value.data(), value.size()), 0);
  };
  const auto say = [](void* socket, const AgentMessage& message) {
    const Bytes head = wire::encode_head(wire::PartKind::kAgent);
    const Bytes body = wire::encode(message);
    EXPECT_GE(zmq_send(socket, head.data(), head.size(), ZMQ_SNDMORE), 0);
    EXPECT_GE(zmq_send(socket, body.data(), body.size(), 0), 0);
  };
  for (int i = 0; i < 30; ++i) {
    // Our own sockets never linger; this one sends everything before it closes.
    void* raw_context = zmq_ctx_new();
    void* socket = zmq_socket(raw_context, ZMQ_DEALER);
    text(socket, ZMQ_ROUTING_ID, fmt::format("agent-{}", i));
    text(socket, ZMQ_CURVE_SERVERKEY, server.public_key);
    text(socket, ZMQ_CURVE_PUBLICKEY, agent_keys.public_key);
    text(socket, ZMQ_CURVE_SECRETKEY, agent_keys.secret_key.reveal());
    ASSERT_EQ(zmq_connect(socket, ingest->endpoint().c_str()), 0);
    say(socket, Hello{});
    engine.expect<AgentHello>();
    // Nothing that is answered: a close with unread bytes would reset the connection.
    for (std::uint64_t j = 0; j < 5; ++j) say(socket, ConfigApplied{j});
    say(socket, Goodbye{"upgrade"});
    zmq_close(socket);
    zmq_ctx_term(raw_context);
    EXPECT_TRUE(engine.expect<AgentLeft>().goodbye);
  }
  EXPECT_EQ(rejected(Rejection::kNoSession), 0U);
}

TEST_F(IngestTest, WhenTheEngineIsFullNothingIsReadAndNothingIsLost) {
  SessionId session{};
  RawAgent agent = greeted(session);
  engine.full = true;
  for (std::uint64_t i = 1; i <= 20; ++i) {
    agent.say(ConfigApplied{i});
  }
  io::Mailbox<int> pause(1);
  const MonoTime deadline = latency_clock() + kDeadline;
  while (ingest->stats().paused == 0 && latency_clock() < deadline) pause.pop(10ms);
  EXPECT_EQ(ingest->stats().paused, 1U);
  engine.full = false;
  for (std::uint64_t i = 1; i <= 20; ++i) {
    EXPECT_EQ(engine.expect<AgentConfigApplied>().epoch, i);
  }
}

TEST_F(IngestTest, AfterARestoreAgentsAreToldToSayHello) {
  SessionId session{};
  RawAgent agent = greeted(session);
  std::vector<LinkOrder> list;
  list.emplace_back(SessionsForgotten{});
  ASSERT_TRUE(orders.push(std::move(list)));
  EXPECT_EQ(agent.expect<Refused>().code, RefusalCode::kNoSession);
  agent.say(Hello{});
  EXPECT_NE(engine.expect<AgentHello>().session, session);
}

TEST_F(IngestTest, StoppingToReadStillSendsWhatIsOrdered) {
  SessionId session{};
  RawAgent agent = greeted(session);
  ingest->stop_reading();
  order(SendToAgent{kAgent, session, Welcome{}});
  agent.expect<Welcome>();
}

TEST_F(IngestTest, ATakenEndpointIsAnErrorThatNamesIt) {
  LinkBox other_orders;
  const auto second = Ingest::start({.endpoint = ingest->endpoint(), .keys = server},
                                    {engine, other_orders, clock});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::kUnavailable);
  EXPECT_NE(second.error().text.find(ingest->endpoint()), std::string::npos);
}

TEST_F(IngestTest, KeysThatDoNotBelongTogetherFailTheSelfTest) {
  io::CurveKeyPair mixed{io::make_curve_keypair()->public_key, server.secret_key};
  LinkBox other_orders;
  const auto second = Ingest::start({.endpoint = "tcp://127.0.0.1:*", .keys = mixed},
                                    {engine, other_orders, clock});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::kDenied);
  EXPECT_NE(second.error().text.find("self-test"), std::string::npos);
}

}  // namespace
}  // namespace tocsin::collector
