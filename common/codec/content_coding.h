#pragma once
// Question answered here: what does a body say once its content codings are taken off?
//
// gzip, deflate (with and without the zlib wrapper: servers send both) and br, at most two of them,
// the last of the list first (RFC 9110 section 8.4).

#include "common/base/expected.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace tocsin::codec {

struct DecodeLimits {
  std::size_t most = 1024 * 1024;  ///< Bytes of the decoded body; the rest is cut off.
  bool cut = false;                ///< The encoded body is not complete.
};

struct DecodedContent {
  std::string body;
  bool cut = false;
};

struct DecodeError {
  enum class Kind : std::uint8_t {
    kUnknown,  ///< A coding that is not among ours, or more than two.
    kCorrupt,  ///< Not what the coding says, or it ends too early.
    kBomb,     ///< Larger than the limit and more than kBombRatio times what it was decoded from.
  };

  Kind kind = Kind::kCorrupt;
  std::string text;
};

/// JSON of a busy API compresses to a tenth; a hundredth is somebody's intention.
inline constexpr std::size_t kBombRatio = 100;
inline constexpr std::size_t kCodingsMax = 2;

/// `codings` is the value of Content-Encoding. Memory: the limit twice, and a decoder's window.
tl::expected<DecodedContent, DecodeError> decode_content(std::string_view body,
                                                         std::string_view codings,
                                                         const DecodeLimits& limits);

}  // namespace tocsin::codec
