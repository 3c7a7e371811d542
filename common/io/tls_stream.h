#pragma once
// Question answered here: how do bytes pass through TLS on a descriptor that never blocks, and what
// did the peer prove?
//
// The process must ignore SIGPIPE: OpenSSL writes with write(2).

#include "common/base/expected.h"
#include "common/io/tls_context.h"
#include "common/io/tls_identity.h"
#include "common/model/observation.h"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct ssl_session_st;
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

/// A session that may be resumed: secret, immutable.
class TlsSession {
 public:
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

 private:
  friend class TlsStream;

  explicit TlsSession(ssl_session_st* session)
      : session_(session) {}

  ssl_session_st* session_;
};

/// What a client asks of the server beyond its name.
struct TlsWishes {
  std::vector<std::string> alpn;  ///< Offered in this order; empty: what the context offers.
  bool alpn_required = false;     ///< Without one of them the handshake fails with tls.alpn.
  bool no_alpn = false;           ///< Nothing is offered.
  bool tls13_only = false;
  OcspMode ocsp = OcspMode::kOff;  ///< Not off: a staple is asked for, and judged by the handshake.
};

/// How much facts() tells: everything costs about 20 us a certificate.
enum class TlsDetail : std::uint8_t { kLeaf, kChain };

/// One connection, of a client unless it came from `accept`. One thread.
class TlsStream {
 public:
  /// `fd` is connected, non-blocking, not owned, and outlives the stream. `host` is what the
  /// certificate must be for; it is sent as SNI unless it is an address.
  static Expected<std::unique_ptr<TlsStream>> open(std::shared_ptr<const TlsContext> context,
                                                   int fd, const std::string& host,
                                                   bool host_is_address, TlsWishes wishes = {});
  /// The server's side of a connection that was accepted; the client proves nothing.
  static Expected<std::unique_ptr<TlsStream>> accept(std::shared_ptr<const TlsContext> context,
                                                     int fd);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  /// Before the handshake: offers these protocols instead of http/1.1 alone. Each is preceded by a
  /// byte with its length (RFC 7301 section 3.1).
  void offer_alpn(std::string_view protocols);
  /// Before the handshake: shown to a server that asks for a certificate.
  Expected<void> use_identity(const TlsIdentity& identity);
  /// Before the handshake: asks for tickets, and resumes the session when there is one.
  void allow_resumption(const TlsSession* session);

  /// Completes even when the certificate is bad: ask verify_failure() before sending anything.
  TlsStep handshake();
  TlsResult read(std::span<char> into);
  TlsResult write(std::string_view bytes);
  /// Says that nothing more will be written (close_notify), once and without waiting for the peer.
  void say_goodbye();

  /// After a complete handshake: nothing if the chain and the name are good.
  std::optional<Failure> verify_failure() const;

  /// What was agreed on by ALPN; empty when nothing was. Valid with the stream.
  std::string_view alpn() const;
  /// After the handshake: it was an abbreviated one.
  bool resumed() const;
  /// What a later connection may resume; null when the server gave nothing, or when the certificate
  /// is not good: a resumed session is not verified again. With TLS 1.3 the server sends it after
  /// the handshake, so ask when the exchange is over.
  std::shared_ptr<const TlsSession> session() const;

  /// Why handshake(), read() or write() gave kFailed, kReset, kCut or kClosed: a tls.* reason.
  const Failure& failure() const { return failure_; }

  /// What is known so far; the certificate's part needs the server's first flight. The whole chain
  /// is told with kChain, and always when something is wrong with it.
  TlsFacts facts(TlsDetail detail = TlsDetail::kLeaf) const;

 private:
  friend class TlsContext;
  TlsStream(std::shared_ptr<const TlsContext> context, ssl_st* ssl);
  TlsStep step_of(int result);
  static int on_verify(int ok, x509_store_ctx_st* store);
  static void on_info(const ssl_st* ssl, int where, int value);
  static int on_certificate_wanted(ssl_st* ssl, void* self);
  void add_problem(int error, x509_store_ctx_st* store);
  void judge_ocsp();
  Reason alert_reason() const;

  std::shared_ptr<const TlsContext> context_;  ///< Shared: the pool may drop it meanwhile.
  ssl_st* ssl_;
  std::string name_;  ///< The certificate must be for it.
  TlsWishes wishes_;
  std::vector<TlsProblem> problems_;  ///< In the order found, each reason once a depth.
  int alert_received_ = -1;           ///< Its description; -1: none but close_notify.
  int alert_sent_ = -1;
  bool certificate_wanted_ = false;  ///< The server asked for ours.
  OcspFacts ocsp_;
  Failure failure_;
};

}  // namespace tocsin::io
