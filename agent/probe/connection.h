#pragma once
// Question answered here: how does a probe move bytes on a connection, whether or not TLS is in
// between?

#include "common/io/event_loop.h"
#include "common/io/fd.h"
#include "common/io/tls_stream.h"

#include <memory>
#include <span>
#include <string_view>

namespace tocsin::agent {

/// Told when the descriptor is ready. It may destroy the connection.
class ReadyHandler {
 public:
  virtual void on_ready() = 0;

 protected:
  ~ReadyHandler() = default;
};

/// What a read or write came to.
enum class IoStep : std::uint8_t {
  kDone,   ///< `bytes` were moved, at least one.
  kAgain,  ///< Wait for on_ready; the right interest has been set.
  kEnd,    ///< The peer ended it properly.
  kCut,    ///< TLS only: it ended without close_notify.
  kReset,
  kFailed,  ///< See `text`.
};

struct IoResult {
  IoStep step = IoStep::kFailed;
  std::size_t bytes = 0;
  std::string text;  ///< For kReset and kFailed.
};

/// An open connection. One thread: the loop's.
class Connection {
 public:
  Connection(io::EventLoop& loop, io::Fd fd, ReadyHandler& handler, io::Interest interest);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int fd() const { return fd_.get(); }

  void set_handler(ReadyHandler& handler) { handler_ = &handler; }

  void want(io::Interest interest) { watch_->set(interest); }

  /// From here on bytes go through TLS.
  void set_tls(std::unique_ptr<io::TlsStream> tls) { tls_ = std::move(tls); }

  io::TlsStream* tls() { return tls_.get(); }

  IoResult read(std::span<char> into);
  IoResult write(std::string_view bytes);

 private:
  IoResult from_tls(io::TlsResult result);

  io::Fd fd_;
  std::unique_ptr<io::TlsStream> tls_;
  ReadyHandler* handler_;
  io::WatchHandle watch_;  ///< Last: goes before the descriptor is closed.
};

}  // namespace tocsin::agent
