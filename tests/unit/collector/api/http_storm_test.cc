// A million malformed requests against the real server with the router behind it, from a client on
// 64 connections at a time: whatever is said, the server answers or hangs up, and never with a 5xx
// but 503. Each connection pipelines requests that are wrong in what they ask (escapes, queries,
// forms, cookies, JSON, methods, paths) and then one whose bytes were damaged, after which nothing
// of that connection can be trusted.
//
//   TOCSIN_STORM_REQUESTS, TOCSIN_STORM_SEED: other than 1,000,000 and 1.

#include "collector/api/router.h"
#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/rng.h"
#include "common/codec/cookies.h"
#include "common/codec/json.h"
#include "common/codec/query_string.h"
#include "common/io/event_loop.h"
#include "common/io/fd.h"
#include "common/io/http_server.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <netinet/in.h>
#include <optional>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <thread>
#include <vector>

namespace tocsin::collector {
namespace {

using codec::HttpMethod;
using codec::HttpRequest;

constexpr std::size_t kConnections = 64;
constexpr std::size_t kPipelined = 15;

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// Requests that are wrong, and each different: `damage` puts something of its own into a hole.
class Storm {
 public:
  explicit Storm(std::uint64_t seed)
      : rng_(seed) {
    for (const auto& file : std::filesystem::directory_iterator{"tests/fuzz/corpus/http_request"}) {
      std::ifstream in{file.path(), std::ios::binary};
      corpus_.emplace_back(std::istreambuf_iterator<char>{in}, std::istreambuf_iterator<char>{});
    }
    CHECK(!corpus_.empty());
    for (const char* good :
         {"GET /api/v1/monitors/shop HTTP/1.1\r\nHost: a\r\n\r\n",
          "PUT /api/v1/monitors/shop HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{\"a\": 10}",
          "POST /ack HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
          "chunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n"}) {
      corpus_.emplace_back(good);
    }
  }

  std::string connection() {
    std::string out;
    for (std::size_t i = 0; i < kPipelined; ++i) out += wrong();
    return out + damaged();
  }

 private:
  std::string noise(std::size_t bytes_max, std::string_view alphabet) {
    std::string out(1 + rng_.below(bytes_max), ' ');
    for (char& c : out) c = alphabet[rng_.below(alphabet.size())];
    return out;
  }

  /// Well framed, and wrong in what it says.
  std::string wrong() {
    constexpr std::string_view kQuery = "abc=&%+0123456789fgzlimit";
    constexpr std::string_view kPath = "abc/.-_~%25@:;,'()*$!";
    constexpr std::string_view kText = "{}[]\",:\\u0d8tfn1e9.- \x01\xff\xc3";
    constexpr std::string_view kCookie = "sid=; \"\\,abc__Host-";
    switch (rng_.below(6)) {
      case 0:
        return fmt::format("GET /api/v1/monitors?{} HTTP/1.1\r\nHost: a\r\n\r\n",
                           noise(40, kQuery));
      case 1:
        return fmt::format(
            "GET /api/v1/monitors/x?cursor={} HTTP/1.1\r\nHost: a\r\nCookie: {}\r\n\r\n",
            noise(20, kQuery), noise(30, kCookie));
      case 2: {
        const std::string body = noise(60, kText);
        return fmt::format(
            "PUT /api/v1/monitors/x HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{}",
            body.size(), body);
      }
      case 3: {
        const std::string body = noise(60, kQuery);
        return fmt::format(
            "POST /ack HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
            "chunked\r\n\r\n{:x};{}\r\n{}\r\n0\r\n\r\n",
            body.size(), noise(10, "abc=\""), body);
      }
      case 4: {
        constexpr std::array kMethods{"DELETE", "PATCH", "OPTIONS", "POST", "PUT"};
        return fmt::format(
            "{} /{} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nIf-None-Match: {}\r\n\r\n",
            kMethods[rng_.below(kMethods.size())], noise(8, "abc-_~"), noise(12, "\"W/,* a"));
      }
      default: {
        // A path with a bad escape ends the connection: not too often.
        const std::string_view alphabet = rng_.chance(0.02) ? kPath : kPath.substr(0, 9);
        return fmt::format("GET /x{} HTTP/1.1\r\nHost: a\r\n{}: {}\r\n\r\n", noise(30, alphabet),
                           noise(10, "abcX-"), noise(40, kText.substr(0, 20)));
      }
    }
  }

  /// Bytes of a request or of the fuzz target's corpus, damaged in a few places.
  std::string damaged() {
    std::string out = corpus_[rng_.below(corpus_.size())];
    for (std::uint64_t n = 1 + rng_.below(4); n > 0; --n) {
      const std::size_t at = rng_.below(out.size() + 1);
      switch (rng_.below(5)) {
        case 0:
          if (at < out.size()) out[at] = static_cast<char>(rng_.below(256));
          break;
        case 1:
          out.insert(at, 1, static_cast<char>(rng_.below(256)));
          break;
        case 2:
          out.erase(at, 1 + rng_.below(8));
          break;
        case 3:
          out.insert(at, out.substr(at, 1 + rng_.below(24)));
          break;
        default:
          out.insert(at, std::array{"\r\n", "\n", ": ", "\0", "Content-Length: 5\r\n", " ",
                                    "Transfer-Encoding: chunked\r\n", "%00"}[rng_.below(8)]);
          break;
      }
    }
    return out;
  }

  Rng rng_;
  std::vector<std::string> corpus_;
};

/// What the server said, by status; 0 counts connections that it could not even make.
struct Heard {
  std::map<int, std::uint64_t> statuses;
  std::uint64_t connections = 0;
  bool hung = false;
};

/// One client's side: says everything, hangs up its own half and reads to the end.
class Storming {
 public:
  Storming(std::uint16_t port, std::uint64_t seed, std::uint64_t connections)
      : storm_(seed),
        left_(connections),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    address_.sin_family = AF_INET;
    address_.sin_port = htons(port);
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }

  Heard run() {
    for (Talk& talk : talks_) begin(talk);
    std::array<epoll_event, kConnections> ready{};
    while (open_ > 0) {
      const int n = ::epoll_wait(epoll_.get(), ready.data(), kConnections, 20'000);
      if (n <= 0) {
        heard_.hung = true;
        return heard_;
      }
      for (int i = 0; i < n; ++i)
        go_on(*static_cast<Talk*>(ready[static_cast<std::size_t>(i)].data.ptr));
    }
    return heard_;
  }

 private:
  struct Talk {
    io::Fd fd;
    std::string say;
    std::size_t said = 0;
    std::string tail;  ///< The end of what was heard: a status line may be cut.
  };

  void begin(Talk& talk) {
    if (left_ == 0) return;
    --left_;
    talk.fd.reset(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    // Leaves nothing behind, or the ports of this machine would be used up.
    const linger hard{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(talk.fd.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    if (::connect(talk.fd.get(), reinterpret_cast<const sockaddr*>(&address_), sizeof address_) !=
            0 &&
        errno != EINPROGRESS) {
      ++heard_.statuses[0];
      return;
    }
    ++heard_.connections;
    ++open_;
    talk.say = storm_.connection();
    talk.said = 0;
    talk.tail.clear();
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT;
    event.data.ptr = &talk;
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, talk.fd.get(), &event);
  }

  void go_on(Talk& talk) {
    if (talk.said < talk.say.size()) {
      const ssize_t n = ::send(talk.fd.get(), talk.say.data() + talk.said,
                               talk.say.size() - talk.said, MSG_NOSIGNAL);
      if (n < 0 && errno != EAGAIN) talk.said = talk.say.size();
      if (n > 0) talk.said += static_cast<std::size_t>(n);
      if (talk.said == talk.say.size()) {
        ::shutdown(talk.fd.get(), SHUT_WR);
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.ptr = &talk;
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, talk.fd.get(), &event);
      }
    }
    std::array<char, 16 * 1024> buffer;
    const ssize_t n = ::recv(talk.fd.get(), buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n > 0) return hear(talk, {buffer.data(), static_cast<std::size_t>(n)});
    --open_;
    talk.fd.reset();
    begin(talk);
  }

  void hear(Talk& talk, std::string_view bytes) {
    constexpr std::string_view kStart = "HTTP/1.1 ";
    talk.tail.append(bytes);
    std::size_t at = talk.tail.find(kStart);
    std::size_t end = 0;
    for (; at != std::string::npos && at + kStart.size() + 4 <= talk.tail.size();
         at = talk.tail.find(kStart, end)) {
      end = at + kStart.size() + 4;
      // Texts of ours name the version too, but no status behind it.
      const int status = std::atoi(talk.tail.c_str() + at + kStart.size());
      if (status >= 100 && talk.tail[end - 1] == ' ') ++heard_.statuses[status];
    }
    const std::size_t kept = std::min(talk.tail.size() - end, kStart.size() + 3);
    talk.tail.erase(0, talk.tail.size() - kept);
  }

  Storm storm_;
  std::uint64_t left_;
  io::Fd epoll_;
  sockaddr_in address_{};
  std::array<Talk, kConnections> talks_;
  std::size_t open_ = 0;
  Heard heard_;
};

void answer_checked(io::HttpResponder responder, const Expected<void>& checked) {
  std::move(responder).send(checked ? io::HttpResponse::json(200, "{}\n")
                                    : io::HttpResponse::problem(400, checked.error().text));
}

Router make_router() {
  Router router;
  const auto with_query = [](const HttpRequest& request, const PathValues&,
                             io::HttpResponder responder) {
    answer_checked(std::move(responder), [&]() -> Expected<void> {
      TRY_ASSIGN(const codec::Fields fields, codec::parse_query(request.query));
      TRY(fields.only({"limit", "cursor"}));
      TRY(fields.number("limit", 1, 500, 50));
      if (const auto cookie = request.header("cookie")) codec::find_cookie(*cookie, "sid");
      return {};
    }());
  };
  router.add(HttpMethod::kGet, "/api/v1/monitors", with_query);
  router.add(HttpMethod::kGet, "/api/v1/monitors/{key}", with_query);
  router.add(HttpMethod::kPut, "/api/v1/monitors/{key}",
             [](const HttpRequest& request, const PathValues&, io::HttpResponder responder) {
               answer_checked(std::move(responder), [&]() -> Expected<void> {
                 TRY(codec::parse_json(request.body));
                 return {};
               }());
             });
  router.add(HttpMethod::kPost, "/ack",
             [](const HttpRequest& request, const PathValues&, io::HttpResponder responder) {
               answer_checked(std::move(responder), [&]() -> Expected<void> {
                 TRY(codec::parse_form(request.body));
                 return {};
               }());
             });
  return router;
}

TEST(HttpStorm, AMillionMalformedRequestsNeitherCrashNorStallTheServer) {
  const std::uint64_t requests = setting("TOCSIN_STORM_REQUESTS", 1'000'000);
  const std::uint64_t seed = setting("TOCSIN_STORM_SEED", 1);
  SystemClock clock;
  io::EventLoop loop{clock};
  const Router router = make_router();
  auto server = io::HttpServer::open(loop, {.listen = "127.0.0.1:0"},
                                     [&](const HttpRequest& request, io::HttpResponder responder) {
                                       router.route(request, std::move(responder));
                                     });
  ASSERT_TRUE(server) << server.error().text;

  Heard heard;
  const auto sum = [&] {
    std::uint64_t out = 0;
    for (const auto& [status, times] : heard.statuses) out += times;
    return out;
  };
  std::jthread client{[&] {
    // As many rounds as it takes: who damages a request early loses what is pipelined behind it.
    for (std::uint64_t round = 0; sum() < requests && !heard.hung && !heard.statuses.contains(0);
         ++round) {
      const std::uint64_t connections = (requests - sum()) / (kPipelined + 1) + 1;
      Heard more = Storming{(*server)->port(), seed * 1000 + round, connections}.run();
      heard.connections += more.connections;
      heard.hung = more.hung;
      for (const auto& [status, times] : more.statuses) heard.statuses[status] += times;
    }
    loop.stop();
  }};
  loop.run();
  client.join();

  std::string said;
  for (const auto& [status, times] : heard.statuses) said += fmt::format(" {}: {}", status, times);
  const io::HttpServerStats stats = (*server)->stats();
  fmt::print(
      "seed {}: {} connections; answers by status:{}; refused by the parser: {}; longest turn of "
      "the loop: {}; dearest turn: {} of {}\n",
      seed, heard.connections, said, stats.refused, format_duration(loop.stats().busy_max),
      stats.turn_cost_max, io::HttpServer::kTurnCost);
  EXPECT_FALSE(heard.hung) << "the server left a connection open";
  EXPECT_GE(sum(), requests);
  for (const auto& [status, times] : heard.statuses) {
    EXPECT_TRUE(status == 100 || (status >= 200 && status < 500) || status == 503)
        << status << ", " << times << " times";
  }
  EXPECT_GT(stats.refused, heard.connections / 4) << "the damaged ones should be";
  // How long a turn is depends on the machine; how much is done in it does not.
  EXPECT_LE(stats.turn_cost_max,
            io::HttpServer::kTurnCost + 16 * 1024 + io::HttpServer::kRequestCost);
}

}  // namespace
}  // namespace tocsin::collector
