// The real Engine over the memory store on real threads. Waiting is bounded; nothing is asserted
// about how long things take.

#include "collector/engine/engine_thread.h"

#include "collector/ports/catalog_node.h"
#include "collector/store/sqlite_store.h"
#include "common/io/log.h"
#include "common/io/random.h"
#include "common/io/yaml.h"
#include "common/wire/frame.h"
#include "faulty_store.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace tocsin::collector {
namespace {

constexpr Duration kDeadline = std::chrono::seconds{20};
const std::string kKey = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";
const std::string kEnrolKey = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";

constexpr const char* kMonitors = R"(
regions: [{key: eu-west, name: Europe}]
monitors:
  - {key: shop, type: http, url: "http://127.0.0.1:1/", interval: 10s}
)";

/// Keeps what is ordered; can be full.
class FakeLink final : public LinkSink {
 public:
  bool push(std::vector<LinkOrder>&& orders) override {
    if (full) return false;
    return box_.push(std::move(orders));
  }

  /// The next order of this kind; others are left out.
  template <class T>
  std::optional<T> next(Duration at_most = kDeadline) {
    const MonoTime deadline = latency_clock() + at_most;
    while (true) {
      while (!waiting_.empty()) {
        LinkOrder order = std::move(waiting_.front());
        waiting_.pop_front();
        if constexpr (std::is_same_v<T, SessionsForgotten>) {
          if (std::holds_alternative<SessionsForgotten>(order)) return SessionsForgotten{};
        } else if (auto* effect = std::get_if<Effect>(&order)) {
          if (auto* wanted = std::get_if<T>(effect)) return std::move(*wanted);
        }
      }
      const Duration left = deadline - latency_clock();
      if (left <= Duration{0}) return std::nullopt;
      if (auto orders = box_.pop(left)) {
        for (LinkOrder& order : *orders) waiting_.push_back(std::move(order));
      }
    }
  }

  /// The next message of this kind to an agent.
  template <class T>
  T message() {
    while (auto send = next<SendToAgent>()) {
      if (auto* wanted = std::get_if<T>(&send->message)) return std::move(*wanted);
    }
    ADD_FAILURE() << "the expected message did not come";
    return T{};
  }

  std::atomic<bool> full{false};

 private:
  io::Mailbox<std::vector<LinkOrder>> box_{1000};
  std::deque<LinkOrder> waiting_;
};

class EngineThreadTest : public ::testing::Test {
 protected:
  void SetUp() override {
    log::configure({log::Level::kError, log::Format::kText});
    start();
  }

  void TearDown() override {
    stop();
    log::configure({});
  }

  void start() {
    store = std::make_unique<StoreThread>(make_store(), StoreThread::Options{50ms, 1ms});
    link = std::make_unique<FakeLink>();
    options.restore_every = 5ms;
    auto started = EngineThread::start(
        options, {*store, *link, clock, [this] { ++woken; },
                  [this](std::shared_ptr<const EngineView> view, const EngineStats&) {
                    CHECK(views.push(std::move(view)));
                  }});
    ASSERT_TRUE(started) << started.error().text;
    engine = *std::move(started);
  }

  virtual std::unique_ptr<Store> make_store() {
    return std::make_unique<FaultyStore>(memory, faults);
  }

  void stop() {
    engine.reset();
    store.reset();
  }

  Reply ask(Event event) {
    io::Mailbox<Reply> answers(1);
    CHECK(engine->push(
        {std::move(event), [&](Reply reply) { CHECK(answers.push(std::move(reply))); }}));
    const MonoTime deadline = latency_clock() + kDeadline;
    while (latency_clock() < deadline) {
      if (auto reply = answers.pop(1s)) return *reply;
    }
    ADD_FAILURE() << "no reply";
    return {};
  }

  void tell(Event event) { CHECK(engine->push({std::move(event), {}})); }

  /// The newest view once `holds` is true of one.
  std::shared_ptr<const EngineView> await_view(
      const std::function<bool(const EngineView&)>& holds) {
    const MonoTime deadline = latency_clock() + kDeadline;
    while (latency_clock() < deadline) {
      if (auto view = views.pop(1s); view && holds(**view)) return *view;
    }
    ADD_FAILURE() << "no such view";
    return std::make_shared<EngineView>();
  }

  void apply_monitors() {
    ApplyCatalog apply;
    apply.edit = *read_catalog(*io::parse_yaml(kMonitors, "m"), [] { return io::random_uuid(); });
    apply.edit.prune = true;
    apply.edit.origin = Origin::kFile;
    apply.actor = "test";
    const Reply reply = ask(apply);
    ASSERT_FALSE(reply.error) << reply.error->text;
    ASSERT_TRUE(reply.fields.empty()) << reply.fields[0].text;
  }

  void enrol() {
    EnrolmentRow row;
    row.id = EnrolmentId{io::random_uuid()};
    row.region = "eu-west";
    row.public_key = kEnrolKey;
    row.expires_at = here.now().wall + 1h;
    ASSERT_FALSE(ask(AddEnrolment{row, "test"}).error);
    agent = AgentId{io::mint_uuid(here.now().wall)};
    tell(EnrolAgent{row.id, SessionId{1}, agent, Enrol{kKey, "0.1", "host"}});
    const auto answer = link->next<AnswerEnrolment>();
    ASSERT_TRUE(answer);
    ASSERT_TRUE(std::holds_alternative<Enrolled>(answer->message));
  }

  /// With a fresh stream, or the one to go on with.
  Welcome hello(SessionId as, const StreamId* go_on = nullptr) {
    Hello message;
    message.capabilities = kCapHttp;
    message.boot = io::random_uuid();
    message.wall = here.now().wall;
    stream = go_on != nullptr
                 ? *go_on
                 : StreamId{agent, ++epoch, io::random_uuid(), 0, StreamClass::kRoutine};
    message.streams = {{stream, 1, 0, {}}};
    tell(AgentHello{agent, as, message});
    session = as;
    return link->message<Welcome>();
  }

  /// A live agent with one series.
  void set_up_agent() {
    apply_monitors();
    enrol();
    hello(SessionId{2});
    const Assignment assignment = link->message<Assignment>();
    ASSERT_EQ(assignment.put.size(), 1U);
    series = assignment.put[0];
    tell(AgentConfigApplied{agent, session, assignment.epoch});
    previous = wire::genesis(stream);
    tick = series.grid.tick_at_or_before(here.now().wall);
  }

  FrameArrived a_frame(std::uint64_t seq, std::uint32_t at_tick) {
    CheckResult result;
    result.series = series.series;
    result.tick = result.tick_last = at_tick;
    result.spec_rev = series.spec_rev;
    result.slot = series.grid.slot(at_tick);
    result.attempts.resize(1);
    auto bytes =
        std::make_shared<Bytes>(wire::encode_results_frame(stream, seq, previous, {result}));
    auto decoded = *wire::decode_frame(as_bytes(*bytes));
    FrameArrived frame;
    frame.agent = agent;
    frame.session = session;
    frame.frame = decoded.header.ref;
    frame.previous = decoded.header.previous;
    frame.results = decoded.results;
    frame.bytes = bytes;
    previous = frame.frame.digest;
    return frame;
  }

  SystemClock clock;  ///< The engine's, on its thread.
  SystemClock here;
  MemoryStore memory{MemoryStore::Options{}};
  FaultyStore::Faults faults;
  EngineThread::Options options;
  std::unique_ptr<FakeLink> link;
  std::unique_ptr<StoreThread> store;
  io::Mailbox<std::shared_ptr<const EngineView>> views{10'000};
  std::atomic<int> woken{0};
  std::unique_ptr<EngineThread> engine;

  AgentId agent;
  SessionId session{};
  std::uint32_t epoch = 0;
  StreamId stream;
  AssignedSeries series;
  Digest16 previous{};
  std::uint32_t tick = 0;
};

TEST_F(EngineThreadTest, ACommandIsAnsweredAfterItsCommit) {
  std::atomic<bool> committed{false};
  faults.on_commit = [&](const CommitGroup& group) {
    for (const Row& row : group.rows) {
      if (std::holds_alternative<CatalogRow>(row)) committed = true;
    }
  };
  apply_monitors();
  EXPECT_TRUE(committed);
  await_view([](const EngineView& view) { return view.monitors.size() == 1; });
}

TEST_F(EngineThreadTest, AnEnrolmentChangesTheKeysAndAnswersAfterTheCommit) {
  apply_monitors();
  EnrolmentRow row;
  row.id = EnrolmentId{io::random_uuid()};
  row.region = "eu-west";
  row.public_key = kEnrolKey;
  row.expires_at = here.now().wall + 1h;
  ASSERT_FALSE(ask(AddEnrolment{row, "test"}).error);
  const auto key = link->next<KeyChanged>();
  ASSERT_TRUE(key);
  EXPECT_EQ(key->public_key, kEnrolKey);
  EXPECT_EQ(key->use, KeyChanged::Use::kEnrolment);
  EXPECT_TRUE(
      ask(AddEnrolment{{EnrolmentId{io::random_uuid()}, "mars", kKey, row.expires_at, {}, {}},
                       "test"})
          .error);
}

TEST_F(EngineThreadTest, AFrameIsAcknowledgedOnceItIsStored) {
  set_up_agent();
  tell(a_frame(1, tick));
  const Ack ack = link->message<Ack>();
  EXPECT_EQ(ack.stream.high_water, 1U);
  EXPECT_EQ(ack.stream.digest, previous);
  stop();
  ASSERT_EQ(memory.state().results.size(), 1U);
}

TEST_F(EngineThreadTest, NothingIsAcknowledgedWhileTheStoreCannotWrite) {
  set_up_agent();
  faults.commits_fail = true;
  tell(a_frame(1, tick));
  // After the retries the engine goes back to what is stored and every session ends.
  EXPECT_TRUE(link->next<SessionsForgotten>());
  faults.commits_fail = false;
  epoch = 0;
  const StreamId old = stream;
  const Digest16 chained = previous;
  hello(SessionId{3});
  stream = old;
  previous = wire::genesis(stream);
  tell(a_frame(1, tick));
  EXPECT_EQ(previous, chained) << "the same bytes again";
  EXPECT_EQ(link->message<Ack>().stream.high_water, 1U);
  EXPECT_GE(engine->stats().restores, 2U);
  EXPECT_GE(engine->stats().commits_failed, 1U);
  EXPECT_TRUE(engine->stats().storing);
}

TEST_F(EngineThreadTest, ACommandThatCannotBeStoredIsAnsweredAsUnavailable) {
  faults.commits_fail = true;
  ApplyCatalog apply;
  apply.edit = *read_catalog(*io::parse_yaml(kMonitors, "m"), [] { return io::random_uuid(); });
  const Reply reply = ask(apply);
  ASSERT_TRUE(reply.error);
  EXPECT_EQ(reply.error->code, Errc::kUnavailable);
  faults.commits_fail = false;
}

TEST_F(EngineThreadTest, ItWaitsForAStoreThatCannotEvenBeRead) {
  faults.loads_fail = true;
  faults.commits_fail = true;
  ApplyCatalog apply;
  apply.edit = *read_catalog(*io::parse_yaml(kMonitors, "m"), [] { return io::random_uuid(); });
  EXPECT_TRUE(ask(apply).error);
  EXPECT_FALSE(engine->stats().storing);
  faults.loads_fail = faults.commits_fail = false;
  // What is asked before it is restored may still be answered with "not now".
  const MonoTime deadline = latency_clock() + std::chrono::seconds{30};
  Reply reply = ask(apply);
  while (reply.error && reply.error->code == Errc::kUnavailable && latency_clock() < deadline) {
    reply = ask(apply);
  }
  EXPECT_FALSE(reply.error) << reply.error->text;
}

TEST_F(EngineThreadTest, ALostAnswerOfACommitChangesNothing) {
  set_up_agent();
  faults.answers_lost = true;
  tell(a_frame(1, tick));
  EXPECT_EQ(link->message<Ack>().stream.high_water, 1U);
  EXPECT_EQ(engine->stats().restores, 1U);
}

TEST_F(EngineThreadTest, AfterARestartItGoesOnWhereItWas) {
  set_up_agent();
  tell(a_frame(1, tick));
  link->message<Ack>();
  stop();
  start();
  // Its key is known at once, and the frame that is committed is acknowledged and not stored again.
  bool known = false;
  while (!known) {
    const auto key = link->next<KeyChanged>();
    ASSERT_TRUE(key);
    known = key->public_key == kKey && key->use == KeyChanged::Use::kAgent;
  }
  const StreamId old = stream;
  hello(SessionId{9});
  stream = old;
  previous = wire::genesis(stream);
  tell(a_frame(1, tick));
  EXPECT_EQ(link->message<Ack>().stream.high_water, 1U);
  tell(a_frame(2, tick));
  EXPECT_EQ(link->message<Ack>().stream.high_water, 2U);
  const auto view = await_view([](const EngineView& v) {
    return v.agents.size() == 1 && v.agents[0].row.refused_duplicate == 1;
  });
  EXPECT_EQ(view->agents[0].row.results_stored, 1U);
}

TEST_F(EngineThreadTest, ACrashWithoutACheckpointIsReplayed) {
  set_up_agent();
  for (std::uint64_t seq = 1; seq <= 3; ++seq) {
    tell(a_frame(seq, tick - 3 + static_cast<std::uint32_t>(seq)));
    EXPECT_EQ(link->message<Ack>().stream.high_water, seq);
  }
  // What lies in the store at this moment is what a crash would leave.
  const auto state = store->call<MemoryStore::State>([this](Store&) { return memory.snapshot(); });
  stop();
  memory.restore(state);
  start();
  const StreamId old = stream;
  hello(SessionId{9});
  stream = old;
  tell(a_frame(4, tick - 1));  // A duplicate that only the replayed window knows.
  EXPECT_EQ(link->message<Ack>().stream.high_water, 4U);
  await_view([](const EngineView& v) {
    return v.agents.size() == 1 && v.agents[0].row.refused_duplicate == 1;
  });
}

TEST_F(EngineThreadTest, TicksOutsideTheWindowAreLookedUpInTheStore) {
  set_up_agent();
  tell(a_frame(1, tick));
  tell(a_frame(2, tick - 200));  // Outside the 64-tick window, not stored.
  tell(a_frame(3, tick - 200));  // Now stored: in the same group or the next.
  tell(a_frame(4, tick - 201));
  std::uint64_t acked = 0;
  while (acked < 4) acked = link->message<Ack>().stream.high_water;
  EXPECT_GE(faults.find_ticks_asked, 1);
  const auto view = await_view([](const EngineView& v) {
    return v.agents.size() == 1 &&
           v.agents[0].row.results_stored + v.agents[0].row.refused_duplicate +
                   v.agents[0].row.refused_unassigned + v.agents[0].row.refused_too_old ==
               4;
  });
  EXPECT_LE(view->agents[0].row.results_stored, 3U);
}

TEST_F(EngineThreadTest, AFullLinkHoldsTheEngineAndLosesNothing) {
  set_up_agent();
  link->full = true;
  tell(a_frame(1, tick - 1));
  tell(a_frame(2, tick));
  const MonoTime deadline = latency_clock() + kDeadline;
  io::Mailbox<int> pause(1);
  while (faults.commits_tried == 0 && latency_clock() < deadline) pause.pop(1ms);
  link->full = false;
  std::uint64_t acked = 0;
  while (acked < 2) acked = link->message<Ack>().stream.high_water;
}

TEST_F(EngineThreadTest, StoppingCommitsWhatIsInsideAndTakesACheckpoint) {
  set_up_agent();
  tell(a_frame(1, tick));
  engine->stop();
  EXPECT_FALSE(engine->push({Tick{}, {}}));
  stop();
  EXPECT_EQ(memory.state().results.size(), 1U);
  EXPECT_FALSE(memory.state().checkpoint.empty());
  EXPECT_EQ(memory.state().checkpoint_commit_seq, memory.state().commit_seq);
}

TEST_F(EngineThreadTest, AFullInboxSaysSo) {
  stop();
  options.inbox_events = 4;
  start();
  link->full = true;  // Let one order wait, and nothing more is stepped.
  bool refused = false;
  for (int i = 0; i < 100'000 && !refused; ++i) {
    EngineInput input{AgentHeartbeat{agent, SessionId{7}, {}}, {}};
    refused = !engine->push(std::move(input));
  }
  EXPECT_TRUE(refused);
  link->full = false;
}

/// The same over the real database.
class SqliteEngineThreadTest : public EngineThreadTest {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "tocsin-engine-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory = pattern;
    EngineThreadTest::SetUp();
  }

  void TearDown() override {
    EngineThreadTest::TearDown();
    std::filesystem::remove_all(directory);
  }

  std::unique_ptr<Store> make_store() override {
    SqliteStore::Options sqlite;
    sqlite.directory = directory;
    auto opened = SqliteStore::open(sqlite);
    EXPECT_TRUE(opened) << opened.error().text;
    return *std::move(opened);
  }

  std::string directory;
};

TEST_F(SqliteEngineThreadTest, ACommittedFrameIsNotTakenAgainAfterARestart) {
  for (const StreamClass cls : {StreamClass::kRoutine, StreamClass::kAlert}) {
    if (cls == StreamClass::kRoutine) set_up_agent();
    stream.cls = cls;
    previous = wire::genesis(stream);
    const FrameArrived first = a_frame(1, ++tick - 10);
    tell(first);
    EXPECT_EQ(link->message<Ack>().stream.high_water, 1U);
    stop();
    start();
    const StreamId old = stream;
    const Welcome welcome = hello(SessionId{100 + static_cast<std::uint64_t>(cls)}, &old);
    ASSERT_EQ(welcome.streams.size(), 1U);
    EXPECT_EQ(welcome.streams[0].high_water, 1U) << to_string(cls);
    EXPECT_EQ(welcome.streams[0].digest, first.frame.digest);
  }
}

}  // namespace
}  // namespace tocsin::collector
