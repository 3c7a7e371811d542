#pragma once
// Question answered here: who does a TLS client say it is?

#include "common/base/expected.h"

#include <memory>
#include <string_view>

struct evp_pkey_st;
struct stack_st_X509;
struct x509_st;

namespace tocsin::io {

/// A certificate, the rest of its chain, and its private key, ready to be shown to servers that
/// ask. Immutable; shared by the connections that use it.
class TlsIdentity {
 public:
  static constexpr std::size_t kChainMax = 10;

  /// `certificate_pem`: its own first, then its chain. `key_pem`: unencrypted; empty when the key
  /// stands in the first text. kInvalid when something is missing or the two do not belong
  /// together; the text never quotes what was read.
  static Expected<std::shared_ptr<const TlsIdentity>> from_pem(std::string_view certificate_pem,
                                                               std::string_view key_pem);
  ~TlsIdentity();
  TlsIdentity(const TlsIdentity&) = delete;
  TlsIdentity& operator=(const TlsIdentity&) = delete;

 private:
  friend class TlsStream;
  TlsIdentity() = default;

  x509_st* certificate_ = nullptr;
  evp_pkey_st* key_ = nullptr;
  stack_st_X509* chain_ = nullptr;
};

}  // namespace tocsin::io
