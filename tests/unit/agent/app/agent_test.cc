#include "agent/app/agent.h"

#include "agent/app/assignment_cache.h"
#include "common/wire/frame.h"
#include "tests/unit/agent/uplink/fake_collector.h"
#include "tests/unit/common/io/scratch_dir.h"

#include <arpa/inet.h>
#include <optional>
#include <sys/socket.h>

namespace tocsin::agent {
namespace {

/// Answers every attempt in the next turn: up, or refused when told so.
class InstantRunner final : public ProbeRunner {
 public:
  InstantRunner(io::EventLoop& loop, bool& refuse, int& started)
      : loop_(loop),
        refuse_(refuse),
        started_(started) {}

  std::unique_ptr<ProbeHandle> start(std::shared_ptr<const ProbeSpec> /*spec*/,
                                     Duration /*timeout*/, Done done) override {
    ++started_;
    auto handle = std::make_unique<Handle>();
    Observation seen;
    seen.remote = "127.0.0.1:80";
    if (refuse_) {
      seen.failure = Failure{Reason::kConnectRefused, "nothing listens"};
    } else {
      seen.http = HttpFacts{.status = 200, .version = "1.1"};
    }
    handle->timer = loop_.after(Duration::zero(), [done = std::move(done), seen] { done(seen); });
    return handle;
  }

 private:
  struct Handle final : ProbeHandle {
    io::TimerHandle timer;
  };

  io::EventLoop& loop_;
  bool& refuse_;
  int& started_;
};

class AgentTest : public testing::Test {
 protected:
  Expected<std::unique_ptr<Agent>> open(const std::string& listen = "127.0.0.1:0") {
    AgentConfig config;
    config.state_dir = dir_ / "state";
    config.listen = listen;
    config.file = "agent.yaml";
    config.marks["listen"] = {3, 9};
    return Agent::open(
        {.loop = loop_,
         .clock = clock_,
         .config = config,
         .identity = {.agent = AgentId{{9}},
                      .region = "eu-west",
                      .keys = keys_,
                      .endpoints = {collector_ ? collector_->endpoint() : "tcp://127.0.0.1:1"},
                      .server_keys = {server_keys_.public_key}},
         .make_runner = [this](const AgentConfig&,
                               const SecretStore&) -> Expected<std::unique_ptr<ProbeRunner>> {
           return std::make_unique<InstantRunner>(loop_, refuse_, started_);
         },
         .on_drained = [this] { drained_ = true; }});
  }

  void start_collector() {
    collector_.emplace(server_keys_, "tcp://127.0.0.1:0");
    collector_->admit(keys_.public_key);
  }

  /// Turns the loop and answers the agent like a collector that commits everything, at most 20 s.
  template <class F>
  bool until(F done) {
    const MonoTime deadline = latency_clock() + 20s;
    while (!done()) {
      if (latency_clock() > deadline) return false;
      loop_.run_once(1ms);
      if (collector_) serve();
    }
    return true;
  }

  void serve() {
    collector_->pump(1ms);
    while (!collector_->got.empty()) {
      const auto got = collector_->got.front();
      collector_->got.pop_front();
      if (got.kind == wire::PartKind::kFrame) {
        take_frame(got);
      } else {
        take_message(got);
      }
    }
  }

  void take_frame(const FakeCollector::Got& got) {
    const auto frame = wire::decode_frame(as_bytes(got.body));
    ASSERT_TRUE(frame.has_value()) << frame.error().text;
    for (const CheckResult& result : frame->results) results_.push_back(result);
    const FrameRef& ref = frame->header.ref;
    collector_->reply(got.routing_id, Ack{StreamAck{ref.stream, ref.last, ref.digest, 256 * 1024}});
  }

  void take_message(const FakeCollector::Got& got) {
    const auto message = wire::decode_agent_message(as_bytes(got.body));
    ASSERT_TRUE(message.has_value()) << message.error().text;
    if (const auto* hello = std::get_if<Hello>(&*message)) {
      ++hellos_;
      hello_epoch_ = hello->assignment_epoch;
      Welcome welcome{.region = "eu-west"};
      for (const StreamOffer& offer : hello->streams) {
        welcome.streams.push_back(StreamAck{offer.stream, 0, {}, 256 * 1024});
      }
      collector_->reply(got.routing_id, welcome);
      if (assign_) collector_->reply(got.routing_id, assignment());
    } else if (const auto* beat = std::get_if<Heartbeat>(&*message)) {
      collector_->reply(got.routing_id,
                        HeartbeatReply{beat->number, beat->wall, beat->wall, beat->wall});
    } else if (const auto* goodbye = std::get_if<Goodbye>(&*message)) {
      goodbye_ = goodbye->why;
    }
  }

  static Assignment assignment() {
    AssignedSeries series;
    series.series = SeriesId{7};
    series.monitor = MonitorId{{1}};
    series.key = "shop";
    series.spec_rev = 1;
    series.grid = {.interval_ms = 1'000, .phase_ms = 0};
    series.spec.target = HttpTarget{.url = "http://127.0.0.1/"};
    series.spec.interval = 1s;
    series.spec.timeout = 500ms;
    series.spec.retry.retries = 0;
    return {.epoch = 4, .config_version = 9, .put = {series}};
  }

  /// GET of one path; the body with its head.
  std::string get(const Agent& agent, const std::string& path) {
    const io::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(agent.http_port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const std::string request = "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    EXPECT_EQ(::send(fd.get(), request.data(), request.size(), 0),
              static_cast<ssize_t>(request.size()));
    std::string out;
    EXPECT_TRUE(until([&] {
      char buffer[65536];
      const ssize_t n = ::recv(fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
      if (n > 0) out.append(buffer, static_cast<std::size_t>(n));
      return n == 0;
    }));
    return out;
  }

  ScratchDir dir_;
  SystemClock clock_;
  io::EventLoop loop_{clock_};
  io::CurveKeyPair keys_ = io::make_curve_keypair().value();
  io::CurveKeyPair server_keys_ = io::make_curve_keypair().value();
  std::optional<FakeCollector> collector_;
  bool assign_ = true;
  bool refuse_ = false;
  int started_ = 0;
  int hellos_ = 0;
  std::uint64_t hello_epoch_ = 0;
  bool drained_ = false;
  std::string goodbye_;
  std::vector<CheckResult> results_;
};

TEST_F(AgentTest, ChecksWhatItIsAssignedAndItsResultsReachTheCollector) {
  start_collector();
  auto agent = open();
  ASSERT_TRUE(agent.has_value()) << agent.error().text;
  ASSERT_TRUE(until([&] { return results_.size() >= 2; }));
  EXPECT_EQ(results_[0].series, SeriesId{7});
  EXPECT_EQ(results_[0].outcome, Outcome::kUp);
  EXPECT_EQ(results_[1].tick, results_[0].tick + 1);

  (*agent)->drain("test");
  ASSERT_TRUE(until([&] { return drained_; }));
  ASSERT_TRUE(until([&] { return goodbye_ == "test"; }));
}

TEST_F(AgentTest, WithoutACollectorItChecksFromItsCacheSpoolsAndSendsLater) {
  {
    start_collector();
    auto agent = open();
    ASSERT_TRUE(agent.has_value()) << agent.error().text;
    ASSERT_TRUE(until([&] { return std::filesystem::exists(dir_ / "state/assignment.bin"); }));
    EXPECT_EQ(load_assignment(dir_ / "state/assignment.bin").value(), assignment());
  }
  collector_.reset();
  results_.clear();
  {
    refuse_ = true;
    started_ = 0;
    auto agent = open();
    ASSERT_TRUE(agent.has_value()) << agent.error().text;
    ASSERT_TRUE(until([&] { return started_ >= 2; }));
    (*agent)->drain("no collector");
    ASSERT_TRUE(until([&] { return drained_; }));
  }
  assign_ = false;
  start_collector();
  auto agent = open();
  ASSERT_TRUE(agent.has_value()) << agent.error().text;
  ASSERT_TRUE(until([&] {
    return std::any_of(results_.begin(), results_.end(),
                       [](const CheckResult& r) { return r.outcome != Outcome::kUp; });
  }));
}

TEST_F(AgentTest, ACacheThatLacksWhatAnOlderVersionCouldNotReadRunsAndTheWholeIsAskedFor) {
  Assignment cached = assignment();
  cached.put.push_back(cached.put[0]);
  cached.put[1].series = SeriesId{8};
  cached.put[1].unreadable = "of a newer collector";
  std::filesystem::create_directories((dir_ / "state").c_str());
  ASSERT_TRUE(store_assignment(dir_ / "state/assignment.bin", cached));
  assign_ = false;
  start_collector();
  auto agent = open();
  ASSERT_TRUE(agent.has_value()) << agent.error().text;
  ASSERT_TRUE(until([&] { return hellos_ > 0 && started_ >= 1; })) << "series 7 runs";
  EXPECT_EQ(hello_epoch_, 0U) << "or the collector would not send it again";
}

TEST_F(AgentTest, ACacheOfAnotherKeysSecretsIsNotUsed) {
  Assignment cached = assignment();
  cached.secrets = {{"token", "hunter2"}};
  SecretStore{keys_.secret_key}.seal(cached.secrets);
  std::filesystem::create_directories((dir_ / "state").c_str());
  ASSERT_TRUE(store_assignment(dir_ / "state/assignment.bin", cached));
  assign_ = false;
  start_collector();
  {
    auto agent = open();
    ASSERT_TRUE(agent.has_value()) << agent.error().text;
    ASSERT_TRUE(until([&] { return hellos_ > 0; }));
    EXPECT_EQ(hello_epoch_, 4U);
  }
  cached.secrets = {{"token", "hunter2"}};
  SecretStore{io::Secret{"the key of before"}}.seal(cached.secrets);
  ASSERT_TRUE(store_assignment(dir_ / "state/assignment.bin", cached));
  hellos_ = 0;
  auto agent = open();
  ASSERT_TRUE(agent.has_value()) << agent.error().text;
  ASSERT_TRUE(until([&] { return hellos_ > 0; }));
  EXPECT_EQ(hello_epoch_, 0U);
}

TEST_F(AgentTest, ItsPagesTellWhetherItIsReadyAndWhatItDid) {
  start_collector();
  auto agent = open();
  ASSERT_TRUE(agent.has_value()) << agent.error().text;
  EXPECT_NE(get(**agent, "/healthz").find("200 OK"), std::string::npos);
  ASSERT_TRUE(until([&] { return !results_.empty(); }));
  EXPECT_NE(get(**agent, "/readyz").find(R"({"ready":true,"reasons":[]})"), std::string::npos);
  const std::string metrics = get(**agent, "/metrics");
  EXPECT_NE(metrics.find("text/plain; version=0.0.4"), std::string::npos);
  EXPECT_NE(metrics.find("tocsin_agent_linked 1\n"), std::string::npos) << metrics;
  EXPECT_NE(metrics.find("tocsin_agent_results_total{outcome=\"up\"} "), std::string::npos);
  EXPECT_NE(get(**agent, "/nothing").find("404"), std::string::npos);
}

TEST_F(AgentTest, WithoutACollectorItIsNotReadyAndSaysWhy) {
  auto agent = open();
  ASSERT_TRUE(agent.has_value()) << agent.error().text;
  const std::string page = get(**agent, "/readyz");
  EXPECT_NE(page.find("503"), std::string::npos);
  EXPECT_NE(page.find("no collector has welcomed this agent"), std::string::npos) << page;
}

TEST_F(AgentTest, TwoAgentsCannotShareAStateDirectory) {
  auto first = open();
  ASSERT_TRUE(first.has_value());
  const auto second = open();
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, Errc::kUnavailable);
}

TEST_F(AgentTest, ATakenPortNamesTheLineThatAskedForIt) {
  const io::Fd taken(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(taken.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(taken.get(), 1), 0);
  ASSERT_EQ(::getsockname(taken.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  const auto agent = open("127.0.0.1:" + std::to_string(ntohs(address.sin_port)));
  ASSERT_FALSE(agent.has_value());
  EXPECT_EQ(agent.error().code, Errc::kExists);
  EXPECT_EQ(agent.error().text.find("agent.yaml:3:9: listen: "), 0U) << agent.error().text;
}

TEST_F(AgentTest, AReloadKeepsCheckingWithTheNewRunner) {
  start_collector();
  auto agent = open();
  ASSERT_TRUE(agent.has_value()) << agent.error().text;
  ASSERT_TRUE(until([&] { return !results_.empty(); }));
  AgentConfig config;
  config.state_dir = dir_ / "state";
  (*agent)->reload(config);
  const std::size_t before = results_.size();
  ASSERT_TRUE(until([&] { return results_.size() > before + 1; }));
}

}  // namespace
}  // namespace tocsin::agent
