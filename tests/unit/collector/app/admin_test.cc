// The admin socket and its commands on a real Unix socket, with a scripted engine behind them.

#include "collector/app/admin_commands.h"
#include "common/codec/json.h"
#include "common/io/yaml.h"
#include "common/io/zmq_socket.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <sys/stat.h>
#include <thread>

namespace tocsin::collector {
namespace {

namespace fs = std::filesystem;
using codec::Node;

constexpr Duration kDeadline = std::chrono::seconds{20};
const AgentId kAgent{{1, 2, 3}};
const IncidentId kIncident{{8, 8, 8}};
const std::string kServerKey(40, 'k');

/// Answers every command at once with what the test wants, and remembers them.
class FakeEngine final : public EventSink {
 public:
  bool push(EngineInput&& input) override {
    if (full) return false;
    events.push_back(std::move(input.event));
    if (input.answer) input.answer(reply);
    return true;
  }

  bool full = false;
  Reply reply;
  std::vector<Event> events;
};

class AdminTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = fs::temp_directory_path() / "tocsin-admin-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory = pattern;
    view->catalog = catalog;
    view->auth = auth;
    AgentView agent;
    agent.row.agent = kAgent;
    agent.row.region = "eu-west";
    agent.live = true;
    view->agents.push_back(agent);
    IncidentRow incident;
    incident.id = kIncident;
    incident.number = 42;
    view->open_incidents.push_back(incident);
    commands = std::make_unique<AdminCommands>(
        AdminCommands::Ports{engine,
                             loop,
                             [this] { return view; },
                             {kServerKey, "tcp://0.0.0.0:7401", "mon1"},
                             passwords,
                             nullptr});
    auto opened = AdminServer::open(
        loop, path(),
        [this](const Node& request, const std::string& who, AdminServer::Answer answer) {
          commands->handle(request, who, std::move(answer));
        });
    ASSERT_TRUE(opened) << opened.error().text;
    server = *std::move(opened);
  }

  void TearDown() override {
    server.reset();
    fs::remove_all(directory);
  }

  std::string path() const { return directory / "admin.sock"; }

  /// Calls from another thread while the loop runs here.
  Expected<Node> call(const Node& request) {
    Expected<Node> answer = fail(Errc::kTimeout, "not called");
    std::thread client([&] {
      answer = call_admin(path(), request, kDeadline).value();
      loop.stop();
    });
    loop.run();
    client.join();
    return answer;
  }

  Expected<Node> call(const std::string& json) { return call(*codec::parse_json(json)); }

  SystemClock clock;
  io::EventLoop loop{clock};
  FakeEngine engine;
  io::PasswordPool passwords{loop};
  std::shared_ptr<Catalog> catalog = std::make_shared<Catalog>();
  std::shared_ptr<AuthTables> auth = std::make_shared<AuthTables>();
  std::shared_ptr<EngineView> view = std::make_shared<EngineView>();
  fs::path directory;
  std::unique_ptr<AdminCommands> commands;
  std::unique_ptr<AdminServer> server;
};

TEST_F(AdminTest, NothingIsPublishedWithoutARunningCollector) {
  const auto answer = call(Node::map({{"command", Node::string("export-status")}}));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::kUnavailable);
}

TEST_F(AdminTest, TheSocketIsItsOwnersOnlyAndGoesWithTheServer) {
  struct stat info {};

  ASSERT_EQ(::stat(path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  server.reset();
  EXPECT_FALSE(fs::exists(path()));
  EXPECT_FALSE(call_admin(path(), Node::map(), kDeadline)) << "nobody listens";
}

TEST_F(AdminTest, EnrollStoresThePublicHalfAndPrintsABundleWithTheSecretOne) {
  const auto answer = call(R"({"command":"enroll","region":"eu-west","expires":"1h"})");
  ASSERT_TRUE(answer) << answer.error().text;
  const auto bundle = io::parse_yaml(answer->find("bundle")->text, "bundle");
  ASSERT_TRUE(bundle);
  ASSERT_EQ(engine.events.size(), 1U);
  const auto* add = std::get_if<AddEnrolment>(&engine.events[0]);
  ASSERT_NE(add, nullptr);
  EXPECT_EQ(add->enrolment.region, "eu-west");
  EXPECT_EQ(add->enrolment.public_key, bundle->find("public_key")->text);
  EXPECT_FALSE(add->enrolment.id.empty());
  EXPECT_EQ(add->actor.rfind("admin.sock uid ", 0), 0U) << add->actor;
  EXPECT_EQ(*io::curve_public_of(io::Secret(bundle->find("secret_key")->text)),
            add->enrolment.public_key);
  EXPECT_EQ(bundle->find("server_keys")->items[0].text, kServerKey);
  EXPECT_EQ(bundle->find("endpoints")->items[0].text, "tcp://mon1:7401");
  EXPECT_EQ(bundle->find("expires")->text, format_rfc3339(add->enrolment.expires_at));
}

TEST_F(AdminTest, TheFirstPasswordMakesItsAdmin) {
  const auto answer =
      call(R"({"command":"set-password","user":"root","password":"grey tinted glasses"})");
  ASSERT_TRUE(answer) << answer.error().text;
  ASSERT_EQ(engine.events.size(), 2U);
  const auto* made = std::get_if<ApplyCatalog>(&engine.events[0]);
  ASSERT_NE(made, nullptr);
  EXPECT_EQ(made->edit.users.at(0).key, "root");
  EXPECT_EQ(made->edit.users.at(0).role, Role::kAdmin);
  const auto* set = std::get_if<SetPassword>(&engine.events[1]);
  ASSERT_NE(set, nullptr);
  EXPECT_TRUE(io::verify_password(io::Secret{"grey tinted glasses"}, set->password_hash));
}

TEST_F(AdminTest, ALaterPasswordMakesNobodyAndMustNotBeObvious) {
  UserSpec ann;
  ann.id = UserId{{5}};
  ann.key = "ann";
  catalog->users["ann"] = ann;
  auth->credentials[ann.id] = {ann.id, "hash", {}, false};
  EXPECT_EQ(call(R"({"command":"set-password","user":"anm","password":"grey tinted glasses"})")
                .error()
                .code,
            Errc::kNotFound);
  EXPECT_EQ(
      call(R"({"command":"set-password","user":"ann","password":"ann-ann-2026"})").error().code,
      Errc::kInvalid);
  EXPECT_TRUE(engine.events.empty());
  ASSERT_TRUE(call(R"({"command":"set-password","user":"ann","password":"grey tinted glasses"})"));
  ASSERT_EQ(engine.events.size(), 1U);
  EXPECT_EQ(std::get<SetPassword>(engine.events[0]).user, "ann");
}

TEST_F(AdminTest, WhatTheEngineRefusesIsTheAnswer) {
  engine.reply.error = Error{Errc::kNotFound, "unknown region mars"};
  const auto answer = call(R"({"command":"enroll","region":"mars"})");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error(), (Error{Errc::kNotFound, "unknown region mars"}));
}

TEST_F(AdminTest, WrongRequestsAreAnsweredAndReachNoEngine) {
  const char* requests[] = {
      R"({})",
      R"([])",
      R"({"command":"reboot"})",
      R"({"command":"enroll"})",
      R"({"command":"enroll","region":"Not A Key"})",
      R"({"command":"enroll","region":"eu","expires":"8d"})",
      R"({"command":"enroll","region":"eu","expires":"0s"})",
      R"({"command":"enroll","region":"eu","endpoints":["http://x"]})",
      R"({"command":"revoke-agent","agent":"x"})",
      R"({"command":"ack","incident":"43"})",
      R"({"command":"resolve","incident":""})",
  };
  for (const char* request : requests) EXPECT_FALSE(call(request)) << request;
  EXPECT_TRUE(engine.events.empty());
}

TEST_F(AdminTest, IncidentsAreNamedByNumberOrId) {
  for (const std::string& name : {std::string("42"), std::string("INC-42"), kIncident.str()}) {
    const auto answer =
        call(Node::map({{"command", Node::string("ack")}, {"incident", Node::string(name)}}));
    ASSERT_TRUE(answer) << name;
    const auto* ack = std::get_if<AcknowledgeIncident>(&engine.events.back());
    ASSERT_NE(ack, nullptr);
    EXPECT_EQ(ack->incident, kIncident);
  }
  ASSERT_TRUE(call(R"({"command":"resolve","incident":"42"})"));
  EXPECT_TRUE(std::holds_alternative<ResolveIncident>(engine.events.back()));
}

TEST_F(AdminTest, AgentsAreListedForPeople) {
  const auto answer = call(R"({"command":"agents"})");
  ASSERT_TRUE(answer);
  const std::string table = format_agents(*answer);
  EXPECT_NE(table.find(kAgent.str()), std::string::npos);
  EXPECT_NE(table.find("eu-west"), std::string::npos);
  EXPECT_NE(table.find("live"), std::string::npos);
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 2);
}

TEST_F(AdminTest, AgentsAreRevokedById) {
  ASSERT_TRUE(call(Node::map(
      {{"command", Node::string("revoke-agent")}, {"agent", Node::string(kAgent.str())}})));
  EXPECT_EQ(std::get<RevokeAgent>(engine.events.back()).agent, kAgent);
}

TEST_F(AdminTest, AFullEngineIsTemporary) {
  engine.full = true;
  const auto answer = call(R"({"command":"ack","incident":"42"})");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::kUnavailable);
}

TEST_F(AdminTest, ASocketLeftBehindIsReplaced) {
  server.reset();
  {
    const auto first = AdminServer::open(loop, path(), {});
    ASSERT_TRUE(first);
    fs::rename(path(), directory / "kept");  // As after kill -9: the name stays.
  }
  fs::rename(directory / "kept", path());
  EXPECT_TRUE(AdminServer::open(loop, path(), {}));
}

}  // namespace
}  // namespace tocsin::collector
