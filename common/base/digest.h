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

/// HMAC-SHA-256 (RFC 2104); for signatures of outgoing webhooks.
Sha256 hmac_sha256(ByteSpan key, ByteSpan message);

/// Takes the same time whatever differs.
bool equal_constant_time(ByteSpan a, ByteSpan b);

}  // namespace tocsin
