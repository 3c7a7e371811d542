#pragma once
// A client that says exactly the bytes a test wants, on 127.0.0.1, while the test turns the loop of
// the server itself. Waiting is bounded by real time, but nothing is asserted about it.

#include "common/base/clock.h"
#include "common/io/event_loop.h"
#include "common/io/fd.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <functional>
#include <netinet/in.h>
#include <string>
#include <string_view>
#include <sys/socket.h>

namespace tocsin::test {

/// Time moves only when the test says so.
struct ManualClock final : Clock {
  Now now() override { return value; }

  void advance(Duration d) {
    value.mono = value.mono + d;
    value.wall = value.wall + d;
  }

  /// 2026-11-21T03:00:00Z.
  Now value{MonoTime{1'000'000}, WallTime{1'795'230'000'000'000}};
};

/// Turns the loop until the condition holds; false when it never did within some ten seconds.
inline bool turn_until(io::EventLoop& loop, const std::function<bool()>& condition) {
  const MonoTime give_up = latency_clock() + 10s;
  while (!condition()) {
    if (latency_clock() > give_up) return false;
    loop.run_once(2ms);
  }
  return true;
}

/// Lets everything that is ready happen.
inline void settle(io::EventLoop& loop) {
  for (int i = 0; i < 20; ++i) loop.run_once(1ms);
}

class LoopbackClient {
 public:
  LoopbackClient(io::EventLoop& loop, std::uint16_t port, int receive_buffer = 0)
      : loop_(loop),
        fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_buffer > 0) {
      ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
  }

  bool connected() const { return connected_; }

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n > 0) {
        bytes.remove_prefix(static_cast<std::size_t>(n));
      } else if (n < 0 && errno != EAGAIN) {
        return;  // The server has hung up; what it said can still be read.
      } else {
        loop_.run_once(1ms);
      }
    }
  }

  void shut_down_writing() { ::shutdown(fd_.get(), SHUT_WR); }

  /// Takes what has arrived. False once the server has closed.
  bool read_some() {
    char buffer[16 * 1024];
    while (true) {
      const ssize_t n = ::recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
      if (n > 0) {
        received_.append(buffer, static_cast<std::size_t>(n));
        continue;
      }
      if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) closed_ = true;
      return !closed_;
    }
  }

  /// Waits until the server has closed; everything it said.
  std::string read_all() {
    turn_until(loop_, [&] { return !read_some(); });
    return received_;
  }

  /// Waits until what arrived contains `text`.
  bool read_until(std::string_view text) {
    return turn_until(loop_, [&] {
      read_some();
      return received_.find(text) != std::string::npos;
    });
  }

  /// Turns the loop until the server has closed.
  bool closes() {
    return turn_until(loop_, [&] { return !read_some(); });
  }

  bool closed() const { return closed_; }

  const std::string& received() const { return received_; }

  std::string take() { return std::exchange(received_, {}); }

 private:
  io::EventLoop& loop_;
  io::Fd fd_;
  bool connected_ = false;
  bool closed_ = false;
  std::string received_;
};

}  // namespace tocsin::test
