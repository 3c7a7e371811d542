// The whole collector on the loopback with a real state directory; no agents.

#include "collector/app/collector.h"

#include "collector/api/openapi.h"
#include "collector/app/admin_socket.h"
#include "common/codec/json.h"
#include "common/io/log.h"
#include "common/io/yaml.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

namespace tocsin::collector {
namespace {

namespace fs = std::filesystem;
using codec::Node;

constexpr const char* kMonitors = R"(
regions: [{key: eu-west, name: Europe}]
monitors:
  - {key: shop, type: http, url: "http://127.0.0.1:1/", interval: 10s}
)";

class CollectorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    log::configure({log::Level::kError, log::Format::kText});
    std::string pattern = fs::temp_directory_path() / "tocsin-collector-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root = pattern;
    config.listen = {"127.0.0.1", 0};
    config.agents = "tcp://127.0.0.1:*";
    config.state_dir = root / "state";
    config.secrets_dir = root / "secrets";
    config.monitors_file = root / "m.yaml";
    config.file = root / "c.yaml";
    write_monitors(kMonitors);
  }

  void TearDown() override {
    fs::remove_all(root);
    log::configure({});
  }

  void write_monitors(const std::string& text) { std::ofstream(config.monitors_file) << text; }

  Started<std::unique_ptr<Collector>> start() { return Collector::start(config, loop); }

  void drain(std::unique_ptr<Collector> collector) {
    collector->drain([this] { loop.stop(); });
    loop.run();
  }

  static Node enroll(const char* region) {
    return Node::map({{"command", Node::string("enroll")}, {"region", Node::string(region)}});
  }

  SystemClock clock;
  io::EventLoop loop{clock};
  fs::path root;
  CollectorConfig config;
};

TEST_F(CollectorTest, WithoutInitItDoesNotStartAndSaysWhatToDo) {
  const auto started = start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, Exit::kFailure);
  EXPECT_NE(started.error().lines[0].find("run tocsin-collector init"), std::string::npos);
}

TEST_F(CollectorTest, StartsDrainsAndStartsAgain) {
  ASSERT_TRUE(initialise(config));
  ASSERT_TRUE(initialise(config)) << "what exists stays";
  for (int i = 0; i < 2; ++i) {
    auto started = start();
    ASSERT_TRUE(started) << started.error().lines[0];
    EXPECT_TRUE(fs::exists(config.admin_socket_path()));
    drain(*std::move(started));
    EXPECT_FALSE(fs::exists(config.admin_socket_path()));
  }
}

TEST_F(CollectorTest, TheContractNamesEveryRouteAndNoOther) {
  const auto contract = codec::parse_json(openapi_json());
  ASSERT_TRUE(contract) << contract.error().text;
  std::set<std::string> written;
  for (const auto& [path, item] : contract->find("paths")->entries) {
    for (const auto& [method, operation] : item.entries) {
      if (method == "parameters") continue;
      std::string name = method;
      for (char& c : name) c = static_cast<char>(c - 'a' + 'A');
      written.insert(name + " " + path);
    }
  }
  ASSERT_TRUE(initialise(config));
  auto started = start();
  ASSERT_TRUE(started) << started.error().lines[0];
  const std::vector<std::string> served = (*started)->routes();
  EXPECT_EQ(std::set<std::string>(served.begin(), served.end()), written);
  EXPECT_EQ(served.size(), written.size()) << "a route was added twice";
  drain(*std::move(started));
}

TEST_F(CollectorTest, OnlyOneHasTheStateDirectory) {
  ASSERT_TRUE(initialise(config));
  auto first = start();
  ASSERT_TRUE(first);
  const auto second = start();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Exit::kTemporary);
  drain(*std::move(first));
}

TEST_F(CollectorTest, ABrokenMonitorsFileStopsTheFirstStartWithEveryErrorAndNoLaterOne) {
  ASSERT_TRUE(initialise(config));
  const std::string broken = "regions: [{key: eu-west}]\nmonitors:\n  - {key: shop, typ: http}\n";
  write_monitors(broken);
  const auto refused = start();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Exit::kConfig);
  EXPECT_EQ(refused.error().lines[0].rfind(config.monitors_file + ":3:", 0), 0U)
      << refused.error().lines[0];

  write_monitors(kMonitors);
  auto good = start();
  ASSERT_TRUE(good) << good.error().lines[0];
  drain(*std::move(good));
  write_monitors(broken);
  auto again = start();
  ASSERT_TRUE(again) << "it goes on with what it has";
  drain(*std::move(again));
}

TEST_F(CollectorTest, ATakenPortIsNamedWithItsLine) {
  ASSERT_TRUE(initialise(config));
  auto first = start();
  ASSERT_TRUE(first);
  CollectorConfig other = config;
  other.state_dir = root / "other";
  other.marks["agents"] = {7, 9};
  ASSERT_TRUE(initialise(other));
  const auto answer =
      call_admin(config.admin_socket_path(), Node::map({{"command", Node::string("agents")}}), 0s);
  EXPECT_TRUE(answer.has_value()) << "the socket is there; nobody turns the loop";
  // The real port is told by the bundle of the first one.
  std::optional<Expected<Node>> bundle;
  std::thread client([&] {
    bundle = call_admin(config.admin_socket_path(), enroll("eu-west"), 20s);
    loop.stop();
  });
  loop.run();
  client.join();
  ASSERT_TRUE(bundle && *bundle);
  other.agents =
      io::parse_yaml((*bundle)->find("bundle")->text, "b")->find("endpoints")->items[0].text;
  io::EventLoop other_loop(clock);
  const auto second = Collector::start(other, other_loop);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Exit::kFailure);
  EXPECT_EQ(second.error().lines[0].rfind(other.file + ":7:9: agents: ", 0), 0U)
      << second.error().lines[0];
  drain(*std::move(first));
}

TEST_F(CollectorTest, CommandsWorkOnTheStateDirectoryWhenNobodyServes) {
  ASSERT_TRUE(initialise(config));
  const auto answer = ask_offline(config, enroll("eu-west"));
  ASSERT_TRUE(answer) << answer.error().lines[0];
  ASSERT_TRUE(read_admin_answer(*answer));
  EXPECT_NE(answer->find("bundle")->text.find("tocsin_enrolment: 1"), std::string::npos);

  const auto refused = ask_offline(config, enroll("mars"));
  ASSERT_TRUE(refused);
  EXPECT_FALSE(read_admin_answer(*refused));

  auto serving = start();
  ASSERT_TRUE(serving);
  const auto locked = ask_offline(config, enroll("eu-west"));
  ASSERT_FALSE(locked);
  EXPECT_EQ(locked.error().code, Exit::kTemporary);
  drain(*std::move(serving));
}

TEST_F(CollectorTest, ReloadingAppliesTheFileAndABrokenOneChangesNothing) {
  config.store = StoreType::kMemory;
  ASSERT_TRUE(initialise(config));
  auto started = start();
  ASSERT_TRUE(started) << started.error().lines[0];
  std::vector<std::string> lines;
  log::configure({log::Level::kInfo, log::Format::kText});
  log::set_sink([&](std::string_view line) {
    lines.emplace_back(line);
    if (line.find("the monitors file was read") != std::string_view::npos) loop.stop();
  });
  write_monitors("monitors: [{key: shop, typ: http}]\n");
  (*started)->reload();
  ASSERT_FALSE(lines.empty());
  EXPECT_NE(lines[0].find(":1:"), std::string::npos) << lines[0];
  write_monitors(std::string(kMonitors) +
                 "  - {key: two, type: tcp, host: 127.0.0.1, port: 1, interval: 10s}\n");
  (*started)->reload();
  loop.run();
  EXPECT_NE(lines.back().find("changes=1"), std::string::npos) << lines.back();
  log::set_sink({});
  drain(*std::move(started));
}

}  // namespace
}  // namespace tocsin::collector
