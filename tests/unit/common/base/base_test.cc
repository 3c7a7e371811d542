#include "common/base/bytes.h"
#include "common/base/digest.h"
#include "common/base/hash.h"
#include "common/base/id.h"
#include "common/base/rng.h"
#include "common/base/strings.h"

#include <gtest/gtest.h>

namespace tocsin {
namespace {

TEST(Bytes, Crc32cMatchesRfc3720) {
  EXPECT_EQ(crc32c(as_bytes(std::string(32, '\0'))), 0x8a9136aaU);
  EXPECT_EQ(crc32c(as_bytes(std::string(32, '\xff'))), 0x62a8ab43U);
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283U);
}

TEST(Bytes, ReaderFailsForGoodAtTheFirstShortRead) {
  ByteReader r{as_bytes("\x01\x02\x03")};
  EXPECT_EQ(r.u16(), 0x0201);
  EXPECT_EQ(r.u32(), 0U);
  EXPECT_FALSE(r.ok());
  EXPECT_EQ(r.u8(), 0);
  EXPECT_FALSE(r.ok());
}

TEST(Bytes, Base64IsCanonical) {
  Bytes out;
  for (const std::string s : {"", "f", "fo", "foo", "foob", "fooba", "foobar"}) {
    EXPECT_TRUE(from_base64(to_base64(as_bytes(s)), out));
    EXPECT_EQ(out, s);
  }
  EXPECT_EQ(to_base64(as_bytes("foob")), "Zm9vYg==");
  for (const char* bad : {"Zg", "Zg=", "Z===", "Zh==", "Zg==Zg==", "Z g="}) {
    EXPECT_FALSE(from_base64(bad, out)) << bad;
  }
}

TEST(Bytes, Base64urlNeedsNoEscapingInAUrlAndIsCanonical) {
  Bytes out;
  for (const std::string s : {"", "f", "fo", "foo", "\xfb\xef\xbe", "\xff\xff"}) {
    EXPECT_TRUE(from_base64url(to_base64url(as_bytes(s)), out));
    EXPECT_EQ(out, s);
  }
  EXPECT_EQ(to_base64url(as_bytes("\xfb\xef\xbe\xff")), "----_w");
  for (const char* bad : {"Zg==", "Zh", "Z", "++++", "Z g"}) {
    EXPECT_FALSE(from_base64url(bad, out)) << bad;
  }
}

TEST(Digest, MatchesFips180AndRfc4231) {
  EXPECT_EQ(to_hex(sha256(as_bytes("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(to_hex(hmac_sha256(as_bytes("Jefe"), as_bytes("what do ya want for nothing?"))),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(Hash, VectorsAreFrozen) {
  EXPECT_EQ(fnv1a64(std::string_view{""}), 0xcbf29ce484222325ULL);
  EXPECT_EQ(fnv1a64(std::string_view{"foobar"}), 0x85944171f73967e8ULL);
  EXPECT_EQ(splitmix64(0), 0xe220a8397b1dcdafULL);
}

TEST(Id, ReadsAndPrintsUuids) {
  const std::string text = "0192f5a0-7b1c-7def-8a12-34567890abcd";
  const auto id = MonitorId::parse(text);
  ASSERT_TRUE(id);
  EXPECT_EQ(id->str(), text);
  for (const char* bad :
       {"", "0192f5a07b1c7def8a1234567890abcd", "0192f5a0-7b1c-7def-8a12-34567890abcg",
        "0192f5a0-7b1c-7def-8a12-34567890abc"}) {
    EXPECT_FALSE(MonitorId::parse(bad)) << bad;
  }
}

TEST(Id, Uuid7CarriesTimeVersionAndVariant) {
  const Uuid id = make_uuid_v7(0x0192f5a07b1c, {0xff, 0xff, 0xff, 0xff});
  EXPECT_EQ(format_uuid(id).substr(0, 18), "0192f5a0-7b1c-7fff");
  EXPECT_EQ(id[8] & 0xc0, 0x80);
}

TEST(Rng, SameSeedSameNumbers) {
  Rng a{5}, b{5}, c{6};
  const auto first = a.next();
  EXPECT_EQ(first, b.next());
  EXPECT_NE(first, c.next());
  for (int i = 0; i < 1000; ++i) {
    const auto v = a.between(-3, 4);
    EXPECT_GE(v, -3);
    EXPECT_LE(v, 4);
  }
}

TEST(Strings, PrintableMakesHostileTextInert) {
  EXPECT_EQ(printable("a\r\nb\x1b[31m"), "a\\x0d\\x0ab\\x1b[31m");
  EXPECT_EQ(printable("\xe2\x80\xaegnp.exe"), "\\u{202e}gnp.exe");
  EXPECT_EQ(printable("\xff\xc0\x80"), "\\xff\\xc0\\x80");
  EXPECT_EQ(printable("größe"), "größe");
  EXPECT_EQ(printable("abcdef", 3), "abc…");
}

TEST(Strings, Utf8IsCheckedStrictly) {
  EXPECT_TRUE(is_valid_utf8("größe \xf0\x9f\x9a\x92"));
  for (const char* bad : {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"}) {
    EXPECT_FALSE(is_valid_utf8(bad));
  }
}

TEST(Strings, DidYouMeanFindsSlipsOnly) {
  EXPECT_EQ(did_you_mean("intervall", {"interval", "timeout"}), "interval");
  EXPECT_EQ(did_you_mean("colour", {"interval", "timeout"}), "");
}

TEST(Strings, KeysAreShortLowerCaseWords) {
  EXPECT_TRUE(is_key("shop-checkout"));
  for (const std::string bad : {"", "-a", "A", "a_b", "a.b"}) EXPECT_FALSE(is_key(bad)) << bad;
  EXPECT_FALSE(is_key(std::string(64, 'a')));
}

}  // namespace
}  // namespace tocsin
