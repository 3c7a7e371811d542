#pragma once
// Question answered here: how do bytes pass through TLS on a descriptor that never blocks, and what
// did the peer prove?
//
// The process must ignore SIGPIPE: OpenSSL writes with write(2).

#include "common/base/expected.h"
#include "common/io/tls_context.h"
#include "common/model/observation.h"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

struct ssl_st;
struct x509_store_ctx_st;

namespace tocsin::io {

/// What a handshake, read or write came to.
enum class TlsStep : std::uint8_t {
  kDone,       ///< The handshake is complete; or `bytes` were moved.
  kWantRead,   ///< Wait until the descriptor is readable, then call again.
  kWantWrite,  ///< Wait until it is writable.
  kClosed,     ///< The peer closed properly (close_notify).
  kCut,        ///< The connection ended without close_notify.
  kReset,      ///< The connection was reset.
  kFailed,     ///< Anything else; see failure().
};

struct TlsResult {
  TlsStep step = TlsStep::kFailed;
  std::size_t bytes = 0;
};

/// One connection, of a client unless it came from `accept`. One thread.
class TlsStream {
 public:
  /// `fd` is connected, non-blocking, not owned, and outlives the stream. `host` is what the
  /// certificate must be for; it is sent as SNI unless it is an address.
  static Expected<std::unique_ptr<TlsStream>> open(std::shared_ptr<const TlsContext> context,
                                                   int fd, const std::string& host,
                                                   bool host_is_address);
  /// The server's side of a connection that was accepted; the client proves nothing.
  static Expected<std::unique_ptr<TlsStream>> accept(std::shared_ptr<const TlsContext> context,
                                                     int fd);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  /// Completes even when the certificate is bad: ask verify_failure() before sending anything.
  TlsStep handshake();
  TlsResult read(std::span<char> into);
  TlsResult write(std::string_view bytes);
  /// Says that nothing more will be written (close_notify), once and without waiting for the peer.
  void say_goodbye();

  /// After a complete handshake: nothing if the chain and the name are good.
  std::optional<Failure> verify_failure() const;

  /// Why handshake(), read() or write() gave kFailed, kReset, kCut or kClosed: a tls.* reason.
  const Failure& failure() const { return failure_; }

  /// What is known so far; the certificate's part needs the server's first flight.
  TlsFacts facts() const;

 private:
  friend class TlsContext;
  TlsStream(std::shared_ptr<const TlsContext> context, ssl_st* ssl);
  TlsStep step_of(int result);
  static int on_verify(int ok, x509_store_ctx_st* store);

  std::shared_ptr<const TlsContext> context_;  ///< Shared: the pool may drop it meanwhile.
  ssl_st* ssl_;
  std::vector<int> verify_errors_;  ///< X509_V_ERR_*, each once, in the order found.
  Failure failure_;
};

}  // namespace tocsin::io
