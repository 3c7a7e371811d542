#pragma once
// A TCP server on 127.0.0.1 whose behaviour is a script of the test: it answers, stalls, resets,
// cuts, lies, and speaks TLS with a certificate made for the test. Scripts run on a thread of the
// server, one after the other; what they write into the test's variables may be read once the
// server has been destroyed.

#include "common/io/fd.h"
#include "tests/support/test_certificate.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

struct ssl_st;
struct ssl_ctx_st;

namespace tocsin::test {

/// One accepted connection. Everything blocks, at most until the server is destroyed.
class Peer {
 public:
  Peer(int fd, int stop_fd);
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  /// As a TLS server; false when the client went away.
  bool start_tls(const Certificate& certificate);

  /// Reads until `end` has been seen; what came, also when the client closed before.
  std::string read_until(std::string_view end);
  void write(std::string_view bytes);
  /// Closes without close_notify; a plain FIN.
  void close();
  /// close_notify, then FIN.
  void close_tls();
  /// RST.
  void reset();
  /// Does nothing until the client closes or the server is destroyed.
  void stall();

 private:
  bool wait_readable();

  io::Fd fd_;
  int stop_fd_;
  ssl_st* ssl_ = nullptr;
  ssl_ctx_st* ctx_ = nullptr;
};

class LoopbackServer {
 public:
  using Script = std::function<void(Peer&)>;

  /// Port 0: a free one. Another is for a second address of a port that is held already.
  explicit LoopbackServer(Script script, const char* address = "127.0.0.1", std::uint16_t port = 0);
  ~LoopbackServer();
  LoopbackServer(const LoopbackServer&) = delete;
  LoopbackServer& operator=(const LoopbackServer&) = delete;

  std::uint16_t port() const { return port_; }

  int accepted() const { return accepted_.load(); }

 private:
  void serve();

  Script script_;
  io::Fd listen_;
  io::Fd stop_read_;
  io::Fd stop_write_;
  std::uint16_t port_ = 0;
  std::atomic<int> accepted_{0};
  std::thread thread_;
};

/// Answers every request with these bytes and closes.
LoopbackServer::Script respond(std::string response);

/// A port of 127.0.0.1 that refuses TCP and UDP as long as this lives: nobody else can get it
/// meanwhile.
class ClosedPort {
 public:
  ClosedPort();

  std::uint16_t port() const { return port_; }

 private:
  io::Fd tcp_;  ///< Bound, not listening.
  io::Fd udp_;  ///< Bound, and connected to somebody who never sends.
  std::uint16_t port_ = 0;
};

/// A port whose queue of connections is full: SYNs to it go unanswered as long as this lives.
class FullPort {
 public:
  FullPort();

  std::uint16_t port() const { return port_; }

 private:
  io::Fd listen_;
  io::Fd fill_[4];
  std::uint16_t port_ = 0;
};

}  // namespace tocsin::test
