#pragma once
// Question answered here: how are fixed layouts read from and written to bytes, and checked?
//
// Little-endian throughout. The reader never reads past its span: it fails for good on the first
// short read, so callers test `ok()` once at the end.

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace tocsin {

using ByteSpan = std::span<const std::uint8_t>;
/// Owned bytes. A std::string because protobuf, SQLite and ZeroMQ all take it without a copy.
using Bytes = std::string;

inline ByteSpan as_bytes(std::string_view s) {
  return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}

inline std::string_view as_view(ByteSpan b) {
  return {reinterpret_cast<const char*>(b.data()), b.size()};
}

class ByteReader {
 public:
  explicit ByteReader(ByteSpan bytes)
      : rest_(bytes) {}

  std::uint8_t u8() { return static_cast<std::uint8_t>(little(1)); }

  std::uint16_t u16() { return static_cast<std::uint16_t>(little(2)); }

  std::uint32_t u32() { return static_cast<std::uint32_t>(little(4)); }

  std::uint64_t u64() { return little(8); }

  template <std::size_t N>
  std::array<std::uint8_t, N> array() {
    std::array<std::uint8_t, N> out{};
    const ByteSpan got = take(N);
    if (ok_) std::memcpy(out.data(), got.data(), N);
    return out;
  }

  /// The next n bytes, a view into the input; empty when there are fewer.
  ByteSpan take(std::size_t n);

  ByteSpan rest() const { return rest_; }

  bool ok() const { return ok_; }

 private:
  std::uint64_t little(std::size_t n);

  ByteSpan rest_;
  bool ok_ = true;
};

class ByteWriter {
 public:
  explicit ByteWriter(Bytes& out)
      : out_(out) {}

  void u8(std::uint8_t v) { little(v, 1); }

  void u16(std::uint16_t v) { little(v, 2); }

  void u32(std::uint32_t v) { little(v, 4); }

  void u64(std::uint64_t v) { little(v, 8); }

  void bytes(ByteSpan b) { out_.append(as_view(b)); }

 private:
  void little(std::uint64_t v, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) out_ += static_cast<char>(v >> (8 * i));
  }

  Bytes& out_;
};

/// CRC-32C (Castagnoli), as in RFC 3720 appendix B.4; uses the SSE 4.2 instruction where there is
/// one.
std::uint32_t crc32c(ByteSpan bytes, std::uint32_t seed = 0);

std::string to_hex(ByteSpan bytes);

/// Standard alphabet with padding (RFC 4648 section 4).
std::string to_base64(ByteSpan bytes);

/// Nothing when `text` is not canonical base64.
bool from_base64(std::string_view text, Bytes& out);

/// The alphabet for URLs and file names, without padding (RFC 4648 section 5).
std::string to_base64url(ByteSpan bytes);

/// Nothing when `text` is not canonical: only what to_base64url writes is read.
bool from_base64url(std::string_view text, Bytes& out);

}  // namespace tocsin
