#include "common/codec/content_coding.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <brotli/encode.h>
#include <vector>

namespace tocsin::codec {
namespace {

std::string deflated(std::string_view text, int window_bits) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string gzipped(std::string_view text) { return deflated(text, 16 + MAX_WBITS); }

std::string brotlied(std::string_view text) {
  std::string out(BrotliEncoderMaxCompressedSize(text.size()), '\0');
  std::size_t size = out.size();
  EXPECT_TRUE(BrotliEncoderCompress(5, BROTLI_DEFAULT_WINDOW, BROTLI_DEFAULT_MODE, text.size(),
                                    reinterpret_cast<const std::uint8_t*>(text.data()), &size,
                                    reinterpret_cast<std::uint8_t*>(out.data())));
  out.resize(size);
  return out;
}

std::string text_of(std::string_view body, std::string_view codings, DecodeLimits limits = {}) {
  const auto out = decode_content(body, codings, limits);
  if (!out) return "error: " + out.error().text;
  return out->body + (out->cut ? " (cut)" : "");
}

TEST(ContentCoding, TakesOffWhatServersUse) {
  const std::string text = "{\"ok\": true, \"list\": [1, 2, 3]}";
  EXPECT_EQ(text_of(gzipped(text), "gzip"), text);
  EXPECT_EQ(text_of(gzipped(text), " X-GZIP "), text);
  EXPECT_EQ(text_of(deflated(text, MAX_WBITS), "deflate"), text);
  EXPECT_EQ(text_of(deflated(text, -MAX_WBITS), "deflate"), text) << "without the zlib wrapper";
  EXPECT_EQ(text_of(brotlied(text), "br"), text);
  EXPECT_EQ(text_of(text, "identity"), text);
}

TEST(ContentCoding, TakesTheLastCodingOffFirst) {
  EXPECT_EQ(text_of(gzipped(brotlied("twice")), "br, gzip"), "twice");
  EXPECT_EQ(text_of(gzipped("one") + gzipped(" two"), "gzip"), "one two") << "two members";
}

TEST(ContentCoding, SaysWhatItDoesNotKnow) {
  EXPECT_EQ(text_of("x", "zstd"), "error: content-encoding zstd: expected gzip, deflate or br");
  EXPECT_EQ(text_of("x", "gzip, gzip, gzip"),
            "error: content-encoding gzip, gzip, gzip: more than 2 codings");
}

TEST(ContentCoding, DamageAndAnEarlyEndAreErrors) {
  EXPECT_EQ(text_of("plain text", "gzip"), "error: the body is not gzip: incorrect header check");
  EXPECT_TRUE(text_of("\x01plain text", "br").starts_with("error: the "))
      << text_of("\x01plain", "br");
  const std::string whole = gzipped("a text that is cut in the middle of its second half");
  EXPECT_EQ(text_of(whole.substr(0, whole.size() - 9), "gzip"),
            "error: the gzip body ends too early");
  const std::string part = text_of(whole.substr(0, whole.size() - 9), "gzip", {.cut = true});
  EXPECT_TRUE(part.starts_with("a text")) << part;
  EXPECT_TRUE(part.ends_with(" (cut)")) << part;
}

TEST(ContentCoding, ABombIsNamedAndALongBodyIsCut) {
  const std::string bomb = gzipped(std::string(8U << 20, '\0'));
  const auto out = decode_content(bomb, "gzip", {});
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().kind, DecodeError::Kind::kBomb);
  const auto brotli_bomb = decode_content(brotlied(std::string(8U << 20, '\0')), "br", {});
  ASSERT_FALSE(brotli_bomb);
  EXPECT_EQ(brotli_bomb.error().kind, DecodeError::Kind::kBomb);
  std::string text;
  for (int i = 0; text.size() < 5000; ++i) text += std::to_string(i * 7919) + " ";
  const auto cut = decode_content(gzipped(text), "gzip", {.most = 1000});
  ASSERT_TRUE(cut) << cut.error().text;
  EXPECT_EQ(cut->body, text.substr(0, 1000));
  EXPECT_TRUE(cut->cut);
}

TEST(ContentCoding, ABodyWithoutACodingKeepsToTheLimitToo) {
  const auto cut = decode_content("0123456789", "identity", {.most = 4});
  ASSERT_TRUE(cut);
  EXPECT_EQ(cut->body, "0123");
  EXPECT_TRUE(cut->cut);
}

}  // namespace
}  // namespace tocsin::codec
