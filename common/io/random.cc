#include "common/io/random.h"

#include "common/base/check.h"

#include <openssl/rand.h>

#include <array>

namespace tocsin::io {

void fill_random(std::span<std::uint8_t> out) {
  CHECK(RAND_bytes(out.data(), static_cast<int>(out.size())) == 1);
}

Uuid random_uuid() {
  Uuid out{};
  fill_random(out);
  return out;
}

Uuid mint_uuid(WallTime now) {
  std::array<std::uint8_t, 10> random{};
  fill_random(random);
  return make_uuid_v7(now.ms(), random);
}

}  // namespace tocsin::io
