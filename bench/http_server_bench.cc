// http_server_bench rest: the HTTP server with a small JSON answer behind the router, until stdin
// ends. http_server_bench streams COUNT: waits for so many streams, then sends one event to all for
// each line on stdin. It says in lines of JSON what that cost.
//
// bench/run.py puts both beside floors; docs/performance.md says what is compared.

#include "bench/floor/cost.h"
#include "collector/api/router.h"
#include "common/base/check.h"
#include "common/io/event_loop.h"
#include "common/io/http_server.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace tocsin;

constexpr std::size_t kEventBytes = 200;

/// Of the size that one monitor has in a list.
constexpr std::string_view kBody =
    R"({"id":"0193f5a2-7d1c-7c3e-9a51-1f2e3d4c5b6a","key":"shop","name":"Shop front","state":"up",)"
    R"("regions":{"eu-west":"up","us-east":"up","ap-south":"up"},"latency_ms":41.7,)"
    R"("checked_at":"2026-11-21T03:00:00Z","incident":null})";

struct Bench {
  explicit Bench(std::size_t count)
      : wanted(count) {
    router.add(codec::HttpMethod::kGet, "/api/v1/monitors/{key}",
               [](const codec::HttpRequest&, const collector::PathValues&, io::HttpResponder out) {
                 std::move(out).send(io::HttpResponse::json(200, std::string{kBody}));
               });
    router.add(codec::HttpMethod::kGet, "/events",
               [this](const codec::HttpRequest&, const collector::PathValues&,
                      io::HttpResponder out) { add_stream(std::move(out)); });
  }

  void add_stream(io::HttpResponder out) {
    auto stream = std::move(out).start_stream({.content_type = "text/event-stream"});
    CHECK(stream != nullptr);
    streams.push_back(std::move(stream));
    if (streams.size() == wanted) {
      fmt::print("{{\"streams\": {}, \"rss_bytes_each\": {:.0f}}}\n", wanted,
                 static_cast<double>(bench::resident_bytes() - resident_before) /
                     static_cast<double>(wanted));
      std::fflush(stdout);
    }
  }

  void send_to_all() {
    const bench::Cost start = bench::Cost::now();
    const io::HttpPiece event{std::string(kEventBytes, 'e')};
    for (const auto& stream : streams) stream->send(event);
    const bench::Cost cost = bench::Cost::now() - start;
    std::size_t behind = 0;
    for (const auto& stream : streams) {
      if (stream->buffered() > 0 || !stream->open()) ++behind;
    }
    fmt::print("{{\"cpu_us\": {:.1f}, \"wall_us\": {:.1f}, \"behind\": {}}}\n", cost.cpu_us,
               cost.wall_us, behind);
    std::fflush(stdout);
  }

  std::size_t wanted;
  std::size_t resident_before = 0;
  collector::Router router;
  std::vector<std::unique_ptr<io::HttpStream>> streams;
};

}  // namespace

int main(int argc, char** argv) {
  const bool streams = argc == 3 && std::string_view{argv[1]} == "streams";
  if (!streams && !(argc == 2 && std::string_view{argv[1]} == "rest")) return 2;
  bench::raise_descriptors();
  SystemClock clock;
  io::EventLoop loop{clock};
  {
    Bench bench{streams ? std::strtoul(argv[2], nullptr, 10) : 0};
    bench.streams.reserve(bench.wanted);
    io::HttpServerOptions options;
    options.listen = "127.0.0.1:0";
    options.connections_max = options.connections_per_address = bench.wanted + 1024;
    options.streams_max = bench.wanted;
    auto server = io::HttpServer::open(
        loop, options, [&](const codec::HttpRequest& request, io::HttpResponder responder) {
          bench.router.route(request, std::move(responder));
        });
    if (!server) {
      fmt::print(stderr, "http_server_bench: {}\n", server.error().text);
      return 1;
    }
    fmt::print("{}\n", (*server)->port());
    std::fflush(stdout);
    bench.resident_before = bench::resident_bytes();
    const io::WatchHandle input = loop.watch(STDIN_FILENO, io::Interest::kRead, [&](io::Interest) {
      char line[16];
      const ssize_t n = ::read(STDIN_FILENO, line, sizeof line);
      if (n <= 0) return loop.stop();
      bench.send_to_all();
    });
    loop.run();
    fmt::print("{{\"stall_max_us\": {}}}\n", loop.stats().busy_max.count());
    bench.streams.clear();
  }
  return 0;
}
