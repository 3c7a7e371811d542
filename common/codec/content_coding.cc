#include "common/codec/content_coding.h"

#include "common/base/strings.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <brotli/decode.h>
#include <memory>
#include <vector>

namespace tocsin::codec {

namespace {

using Kind = DecodeError::Kind;
using Result = tl::expected<DecodedContent, DecodeError>;

tl::unexpected<DecodeError> error(Kind kind, std::string text) {
  return tl::unexpected{DecodeError{kind, std::move(text)}};
}

/// What a decoder has put out so far, within the limit.
class Output {
 public:
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): a decoder writes the buffer first.
  Output(std::string_view coding, std::size_t most)
      : coding_(coding),
        most_(most) {}

  std::array<char, 16 * 1024>& buffer() { return buffer_; }

  /// False when the limit has been passed: the decoder stops.
  bool add(std::size_t bytes) {
    const std::size_t room = most_ - out_.body.size();
    out_.body.append(buffer_.data(), std::min(bytes, room));
    out_.cut = bytes > room;
    return !out_.cut;
  }

  /// The decoder has stopped after `encoded` bytes; `complete`: it has seen its own end.
  Result end(std::size_t encoded, bool complete, bool input_cut) && {
    if (out_.cut && out_.body.size() / kBombRatio > encoded) {
      return error(Kind::kBomb,
                   fmt::format("{} bytes of {} decode to more than {}", encoded, coding_, most_));
    }
    if (!out_.cut && !complete && !input_cut) {
      return error(Kind::kCorrupt, fmt::format("the {} body ends too early", coding_));
    }
    out_.cut = out_.cut || input_cut;
    return std::move(out_);
  }

 private:
  std::string_view coding_;
  std::size_t most_;
  DecodedContent out_;
  std::array<char, 16 * 1024> buffer_;
};

/// "deflate" is the zlib format (RFC 9110 section 8.4.1.2), but some servers leave its wrapper off:
/// the first two bytes tell (RFC 1950 section 2.2).
int window_bits(std::string_view coding, std::string_view body) {
  constexpr int kGzip = 16 + MAX_WBITS;
  if (coding != "deflate") return kGzip;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(body[i]); };
  const bool wrapped =
      body.size() >= 2 && (byte(0) & 0x0f) == 8 && (byte(0) * 256U + byte(1)) % 31 == 0;
  return wrapped ? MAX_WBITS : -MAX_WBITS;
}

Result inflate_all(std::string_view coding, std::string_view body, const DecodeLimits& limits) {
  z_stream stream{};
  if (inflateInit2(&stream, window_bits(coding, body)) != Z_OK) {
    return error(Kind::kCorrupt, "zlib cannot start");
  }
  const std::unique_ptr<z_stream, int (*)(z_stream*)> guard{&stream, &inflateEnd};
  Output out{coding, limits.most};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  stream.avail_in = static_cast<uInt>(body.size());
  int state = Z_OK;
  while (state != Z_STREAM_END) {
    stream.next_out = reinterpret_cast<Bytef*>(out.buffer().data());
    stream.avail_out = static_cast<uInt>(out.buffer().size());
    state = inflate(&stream, Z_NO_FLUSH);
    if (!out.add(out.buffer().size() - stream.avail_out)) break;
    if (state == Z_BUF_ERROR) break;  // No more input.
    if (state == Z_STREAM_END && coding != "deflate" && stream.avail_in > 0) {
      // A gzip body may have several members (RFC 1952 section 2.2).
      if (inflateReset(&stream) != Z_OK) break;
      state = Z_OK;
      continue;
    }
    if (state != Z_OK && state != Z_STREAM_END) {
      return error(Kind::kCorrupt,
                   fmt::format("the body is not {}: {}", coding,
                               stream.msg == nullptr ? "bad data" : printable(stream.msg, 80)));
    }
  }
  return std::move(out).end(body.size() - stream.avail_in, state == Z_STREAM_END, limits.cut);
}

Result unbrotli(std::string_view body, const DecodeLimits& limits) {
  const std::unique_ptr<BrotliDecoderState, void (*)(BrotliDecoderState*)> decoder{
      BrotliDecoderCreateInstance(nullptr, nullptr, nullptr), &BrotliDecoderDestroyInstance};
  if (decoder == nullptr) return error(Kind::kCorrupt, "brotli cannot start");
  Output out{"br", limits.most};
  const auto* next_in = reinterpret_cast<const std::uint8_t*>(body.data());
  std::size_t left_in = body.size();
  BrotliDecoderResult state = BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT;
  while (state == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT) {
    auto* next_out = reinterpret_cast<std::uint8_t*>(out.buffer().data());
    std::size_t left_out = out.buffer().size();
    state = BrotliDecoderDecompressStream(decoder.get(), &left_in, &next_in, &left_out, &next_out,
                                          nullptr);
    if (!out.add(out.buffer().size() - left_out)) break;
  }
  if (state == BROTLI_DECODER_RESULT_ERROR) {
    return error(Kind::kCorrupt,
                 fmt::format("the body is not br: {}",
                             BrotliDecoderErrorString(BrotliDecoderGetErrorCode(decoder.get()))));
  }
  return std::move(out).end(body.size() - left_in, state == BROTLI_DECODER_RESULT_SUCCESS,
                            limits.cut);
}

}  // namespace

Result decode_content(std::string_view body, std::string_view codings, const DecodeLimits& limits) {
  std::vector<std::string> list;
  for (const std::string_view item : split(codings, ',')) {
    std::string coding = to_lower(trim(item));
    if (coding == "x-gzip") coding = "gzip";
    if (!coding.empty() && coding != "identity") list.push_back(std::move(coding));
  }
  if (list.size() > kCodingsMax) {
    return error(Kind::kUnknown, fmt::format("content-encoding {}: more than {} codings",
                                             printable(codings, 80), kCodingsMax));
  }
  DecodedContent out{std::string{body}, limits.cut};
  for (auto coding = list.rbegin(); coding != list.rend(); ++coding) {
    const bool zlib = *coding == "gzip" || *coding == "deflate";
    if (!zlib && *coding != "br") {
      return error(Kind::kUnknown, fmt::format("content-encoding {}: expected gzip, deflate or br",
                                               printable(*coding, 80)));
    }
    const DecodeLimits step{.most = limits.most, .cut = out.cut};
    Result next = zlib ? inflate_all(*coding, out.body, step) : unbrotli(out.body, step);
    if (!next) return next;
    out = *std::move(next);
  }
  if (out.body.size() > limits.most) {  // Without a coding nothing has looked at it yet.
    out.body.resize(limits.most);
    out.cut = true;
  }
  return out;
}

}  // namespace tocsin::codec
