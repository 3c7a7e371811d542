#pragma once
// Question answered here: which TLS settings does a check use, and which our own server?

#include "common/base/expected.h"

#include <memory>
#include <string>

struct ssl_ctx_st;

namespace tocsin::io {

/// A client's SSL_CTX: TLS 1.2 and up, Debian's security level, ALPN http/1.1, no session cache and
/// no tickets, so that every check makes a full handshake. Costly to make (loading the system's
/// roots takes about 100 ms): share it.
class TlsContext {
 public:
  /// Roots from a PEM file.
  static Expected<std::shared_ptr<TlsContext>> from_file(const std::string& ca_path);
  /// Roots from PEM text: one or more certificates and nothing else.
  static Expected<std::shared_ptr<TlsContext>> from_pem(const std::string& ca_pem);

  /// For our own server, not for checks: TLS 1.2 (AEAD suites with forward secrecy) and 1.3, ALPN
  /// http/1.1 (a client that offers only others is refused), no renegotiation, no compression, no
  /// tickets. `certificate_path` is PEM, the server's own first and then its chain; `key_path` is
  /// its private key. Errors name the file: kIo when it cannot be read, kInvalid when key and
  /// certificate do not belong together.
  static Expected<std::shared_ptr<TlsContext>> server(const std::string& certificate_path,
                                                      const std::string& key_path);

  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  ssl_ctx_st* native() const { return ctx_; }

 private:
  explicit TlsContext(ssl_ctx_st* ctx);
  static Expected<std::shared_ptr<TlsContext>> make();

  ssl_ctx_st* ctx_;
};

}  // namespace tocsin::io
