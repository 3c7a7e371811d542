#pragma once
// Question answered here: which TLS settings does a check use?

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
