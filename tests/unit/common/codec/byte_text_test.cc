#include "common/codec/byte_text.h"

#include <gtest/gtest.h>

namespace tocsin::codec {
namespace {

TEST(ByteText, EscapesStandForBytes) {
  EXPECT_EQ(*read_byte_text("EHLO x\\r\\n"), "EHLO x\r\n");
  EXPECT_EQ(*read_byte_text("\\x00\\xfF\\0\\t\\\\r"), (std::string{"\0\xff\0\t\\r", 6}));
  EXPECT_EQ(*read_byte_text("plain \r\n ü"), "plain \r\n ü");
}

TEST(ByteText, ABackslashBeforeAnythingElseIsAnErrorWithItsColumn) {
  for (const char* text : {"abc\\d", "abc\\", "abc\\x1", "abc\\xg0", "abc\\x"}) {
    const auto bytes = read_byte_text(text);
    ASSERT_FALSE(bytes) << text;
    EXPECT_TRUE(bytes.error().text.starts_with("column 4: expected \\r")) << bytes.error().text;
  }
}

TEST(ByteText, EveryByteComesBack) {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  EXPECT_EQ(*read_byte_text(byte_text(all)), all);
  EXPECT_EQ(byte_text("+PING\r\n"), "+PING\\r\\n");
  EXPECT_EQ(byte_text("grün\\"), "grün\\\\");
  EXPECT_EQ(byte_text("\xff"), "\\xff");
}

}  // namespace
}  // namespace tocsin::codec
