#include "common/base/bytes.h"

#include <array>

namespace tocsin {

namespace {

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int k = 0; k < 8; ++k) c = (c & 1) != 0 ? (c >> 1) ^ 0x82f63b78U : c >> 1;
    table[i] = c;
  }
  return table;
}

constexpr auto kCrcTable = make_crc_table();

std::uint32_t crc32c_table(ByteSpan bytes, std::uint32_t c) {
  for (const std::uint8_t b : bytes) c = kCrcTable[(c ^ b) & 0xff] ^ (c >> 8);
  return c;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t crc32c_sse42(ByteSpan bytes, std::uint32_t c) {
  std::uint64_t wide = c;
  const std::uint8_t* p = bytes.data();
  std::size_t n = bytes.size();
  for (; n >= 8; n -= 8, p += 8) {
    std::uint64_t v = 0;
    std::memcpy(&v, p, 8);
    wide = __builtin_ia32_crc32di(wide, v);
  }
  c = static_cast<std::uint32_t>(wide);
  for (; n > 0; --n, ++p) c = __builtin_ia32_crc32qi(c, *p);
  return c;
}
#endif

constexpr char kBase64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

ByteSpan ByteReader::take(std::size_t n) {
  if (n > rest_.size()) {
    ok_ = false;
    rest_ = {};
    return {};
  }
  const ByteSpan out = rest_.first(n);
  rest_ = rest_.subspan(n);
  return out;
}

std::uint64_t ByteReader::little(std::size_t n) {
  const ByteSpan got = take(n);
  std::uint64_t v = 0;
  for (std::size_t i = 0; i < got.size(); ++i) v |= static_cast<std::uint64_t>(got[i]) << (8 * i);
  return v;
}

std::uint32_t crc32c(ByteSpan bytes, std::uint32_t seed) {
  const std::uint32_t c = ~seed;
#if defined(__x86_64__)
  static const bool fast = __builtin_cpu_supports("sse4.2") != 0;
  if (fast) return ~crc32c_sse42(bytes, c);
#endif
  return ~crc32c_table(bytes, c);
}

std::string to_hex(ByteSpan bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const std::uint8_t b : bytes) {
    out += kHex[b >> 4];
    out += kHex[b & 15];
  }
  return out;
}

std::string to_base64(ByteSpan bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = bytes.size() - i;
    const std::uint32_t v = (std::uint32_t{bytes[i]} << 16) |
                            (left > 1 ? std::uint32_t{bytes[i + 1]} << 8 : 0U) |
                            (left > 2 ? std::uint32_t{bytes[i + 2]} : 0U);
    out += kBase64[v >> 18];
    out += kBase64[(v >> 12) & 63];
    out += left > 1 ? kBase64[(v >> 6) & 63] : '=';
    out += left > 2 ? kBase64[v & 63] : '=';
  }
  return out;
}

bool from_base64(std::string_view text, Bytes& out) {
  out.clear();
  if (text.size() % 4 != 0) return false;
  const std::string_view alphabet{kBase64, 64};
  for (std::size_t i = 0; i < text.size(); i += 4) {
    std::uint32_t v = 0;
    std::size_t pad = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      const char c = text[i + k];
      v <<= 6;
      if (c == '=') {
        if (i + 4 != text.size() || k < 2) return false;
        ++pad;
        continue;
      }
      const std::size_t at = alphabet.find(c);
      if (pad > 0 || at == std::string_view::npos) return false;
      v |= static_cast<std::uint32_t>(at);
    }
    out += static_cast<char>(v >> 16);
    if (pad < 2) out += static_cast<char>(v >> 8);
    if (pad < 1) out += static_cast<char>(v);
  }
  return to_base64(as_bytes(out)) == text;
}

std::string to_base64url(ByteSpan bytes) {
  std::string out = to_base64(bytes);
  for (char& c : out) c = c == '+' ? '-' : c == '/' ? '_' : c;
  while (!out.empty() && out.back() == '=') out.pop_back();
  return out;
}

bool from_base64url(std::string_view text, Bytes& out) {
  if (text.find_first_of("+/=") != std::string_view::npos) return false;
  std::string padded{text};
  for (char& c : padded) c = c == '-' ? '+' : c == '_' ? '/' : c;
  padded.append((4 - padded.size() % 4) % 4, '=');
  return from_base64(padded, out);
}

}  // namespace tocsin
