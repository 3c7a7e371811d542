#pragma once
// Question answered here: where do ids and nonces of people's and shells' making come from?
//
// OpenSSL's generator, for what must not be guessed or repeat across machines. Any thread. A
// machine that cannot give random bytes cannot make keys either: that is a CHECK.

#include "common/base/id.h"
#include "common/base/time.h"

#include <cstdint>
#include <span>

namespace tocsin::io {

void fill_random(std::span<std::uint8_t> out);

/// 128 random bits.
Uuid random_uuid();

/// A UUIDv7 of that moment.
Uuid mint_uuid(WallTime now);

}  // namespace tocsin::io
