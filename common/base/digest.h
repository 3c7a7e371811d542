#pragma once
// Question answered here: what is the SHA-256 of these bytes?

#include "common/base/bytes.h"

#include <array>
#include <cstdint>
#include <string_view>

namespace tocsin {

using Sha256 = std::array<std::uint8_t, 32>;
/// The first 16 bytes of a SHA-256: what frames chain with.
using Digest16 = std::array<std::uint8_t, 16>;

Sha256 sha256(ByteSpan bytes);
Digest16 digest16(ByteSpan bytes);

/// SHA-256 of what comes in pieces.
class Sha256Hasher {
 public:
  Sha256Hasher();
  ~Sha256Hasher();
  Sha256Hasher(const Sha256Hasher&) = delete;
  Sha256Hasher& operator=(const Sha256Hasher&) = delete;

  void add(ByteSpan bytes);
  /// Once, after the last piece.
  Sha256 finish();

 private:
  void* context_;  ///< EVP_MD_CTX.
};

/// HMAC-SHA-256 (RFC 2104); for signatures of outgoing webhooks.
Sha256 hmac_sha256(ByteSpan key, ByteSpan message);

/// Takes the same time whatever differs.
bool equal_constant_time(ByteSpan a, ByteSpan b);

}  // namespace tocsin
