#include "common/base/id.h"

namespace tocsin {

namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool dash_at(std::size_t i) { return i == 8 || i == 13 || i == 18 || i == 23; }

}  // namespace

std::string format_uuid(const Uuid& bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  out.reserve(36);
  for (const std::uint8_t byte : bytes) {
    if (dash_at(out.size())) out += '-';
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
  }
  return out;
}

Expected<Uuid> parse_uuid(std::string_view text) {
  const auto bad = [&] {
    return fail(Errc::kInvalid, "'{}' is not a UUID: expected 8-4-4-4-12 hexadecimal digits",
                text.substr(0, 64));
  };
  if (text.size() != 36) return bad();
  Uuid out{};
  std::size_t nibble = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (dash_at(i)) {
      if (text[i] != '-') return bad();
      continue;
    }
    const int v = hex_value(text[i]);
    if (v < 0) return bad();
    out[nibble / 2] = static_cast<std::uint8_t>((out[nibble / 2] << 4) | v);
    ++nibble;
  }
  return out;
}

Uuid make_uuid_v7(std::int64_t unix_ms, const std::array<std::uint8_t, 10>& random) {
  Uuid out{};
  for (std::size_t i = 0; i < 6; ++i) {
    out[i] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(unix_ms) >> (40 - 8 * i));
  }
  for (std::size_t i = 0; i < 10; ++i) out[6 + i] = random[i];
  out[6] = static_cast<std::uint8_t>((out[6] & 0x0f) | 0x70);
  out[8] = static_cast<std::uint8_t>((out[8] & 0x3f) | 0x80);
  return out;
}

}  // namespace tocsin
