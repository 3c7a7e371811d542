#pragma once
// Question answered here: how does a test ask the admin API over real HTTP, without a daemon?
//
// A real engine and a memory store behind the API's own ports: a command is stepped and committed
// at once, a read reads what was committed, and both answer by posts to the loop, as in the
// collector.

#include "collector/api/router.h"
#include "collector/ports/event_sink.h"
#include "collector/ports/query_port.h"
#include "collector/ports/view_source.h"
#include "collector/store/memory_store.h"
#include "common/io/http_server.h"
#include "tests/support/engine_rig.h"
#include "tests/support/loopback_client.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

namespace tocsin::test {

class ApiRig final : public EngineRig, public collector::EventSink, public collector::QueryPort {
 public:
  ApiRig() {
    clock.value = now();
    publish();
    auto opened = io::HttpServer::open(
        loop, {.listen = "127.0.0.1:0"},
        [this](codec::HttpRequest r, io::HttpResponder out) { router.route(r, std::move(out)); });
    EXPECT_TRUE(opened);
    server = *std::move(opened);
  }

  [[nodiscard]] bool push(collector::EngineInput&& input) override {
    if (busy) return false;
    collector::Decision decision = command(input.event);
    if (input.answer && decision.reply) input.answer(*decision.reply);
    return true;
  }

  [[nodiscard]] bool try_read(Job&& job) override {
    if (!readable) return false;
    collector::MemoryReader reader{store};
    job(reader);
    return true;
  }

  /// Steps, commits and shows the new view.
  collector::Decision command(const collector::Event& event) {
    collector::Decision decision = step(event);
    commit(decision.rows);
    return decision;
  }

  void publish() {
    views.publish(std::make_shared<collector::EngineView>(engine().view(now().wall)), {});
  }

  /// Both clocks of the engine and of the loop.
  void pass(Duration d) {
    advance(d);
    clock.value = now();
    // What was stepped on the way: a row that is there already stays as it is or replaces itself.
    std::vector<collector::Row> rows = snapshot().rows;
    rows.insert(rows.end(), outbox.begin(), outbox.end());
    commit(std::move(rows));
  }

  /// The whole answer, head and body.
  std::string ask(std::string_view method, std::string_view path, std::string_view headers = "",
                  std::string_view body = "") {
    LoopbackClient c{loop, server->port()};
    std::string length;
    if (!body.empty()) length = fmt::format("Content-Length: {}\r\n", body.size());
    c.send(fmt::format("{} {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}{}\r\n{}", method, path,
                       headers, length, body));
    return c.read_all();
  }

  void commit(std::vector<collector::Row> rows) {
    collector::CommitGroup group;
    group.group = {0, store.state().commit_seq + 1, now()};
    group.rows = std::move(rows);
    EXPECT_TRUE(store.commit(group));
    publish();
  }

  ManualClock clock;
  io::EventLoop loop{clock};
  collector::ViewHolder views;
  collector::MemoryStore store{{}};
  collector::Router router;
  std::unique_ptr<io::HttpServer> server;
  bool busy = false;     ///< The engine takes nothing.
  bool readable = true;  ///< The store can be read.
};

inline int status_of(const std::string& answer) {
  return answer.size() < 12 ? 0 : std::stoi(answer.substr(9, 3));
}

inline bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace tocsin::test
