#include "common/base/ip_address.h"

#include <gtest/gtest.h>

namespace tocsin {
namespace {

TEST(IpAddress, ReadsAndWritesTheCanonicalForm) {
  for (const char* text : {"0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "::1", "2001:db8::1",
                           "fe80::a9fe:a9fe", "::ffff:192.0.2.1"}) {
    const auto address = IpAddress::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->str(), text);
  }
  EXPECT_EQ(IpAddress::parse("2001:0DB8:0:0::1")->str(), "2001:db8::1");
}

TEST(IpAddress, RefusesEverySpellingThatCouldBeReadTwoWays) {
  const std::string_view texts[] = {"",           "1.2.3",      "1.2.3.4.5",         "01.2.3.4",
                                    "0x7f.0.0.1", "2130706433", "1.2.3.256",         " 1.2.3.4",
                                    "1.2.3.4 ",   "[::1]",      "fe80::1%eth0",      ":::",
                                    "1.2.3.4/8",  "localhost",  {"127.0.0.1\0x", 11}};
  for (const std::string_view text : texts) {
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  }
}

TEST(IpAddress, FindsTheIpv4AddressInsideAMappedOne) {
  EXPECT_EQ(IpAddress::parse("::ffff:10.0.0.1")->unmapped(), *IpAddress::parse("10.0.0.1"));
  EXPECT_EQ(IpAddress::parse("::fffe:10.0.0.1")->unmapped(), *IpAddress::parse("::fffe:10.0.0.1"));
}

TEST(IpAddress, PutsBracketsAroundIpv6BeforeAPort) {
  EXPECT_EQ(IpAddress::parse("192.0.2.1")->with_port(80), "192.0.2.1:80");
  EXPECT_EQ(IpAddress::parse("2001:db8::1")->with_port(443), "[2001:db8::1]:443");
}

TEST(IpBlock, ContainsExactlyWhatItsPrefixSays) {
  const IpBlock block = *IpBlock::parse("172.16.0.0/12");
  EXPECT_TRUE(block.contains(*IpAddress::parse("172.16.0.0")));
  EXPECT_TRUE(block.contains(*IpAddress::parse("172.31.255.255")));
  EXPECT_FALSE(block.contains(*IpAddress::parse("172.15.255.255")));
  EXPECT_FALSE(block.contains(*IpAddress::parse("172.32.0.0")));
  EXPECT_FALSE(block.contains(*IpAddress::parse("::ffff:172.16.0.1")));
  EXPECT_TRUE(IpBlock::parse("0.0.0.0/0")->contains(*IpAddress::parse("8.8.8.8")));
  EXPECT_TRUE(IpBlock::parse("fc00::/7")->contains(*IpAddress::parse("fdff::1")));
  EXPECT_FALSE(IpBlock::parse("fc00::/7")->contains(*IpAddress::parse("fe00::1")));
}

TEST(IpBlock, WithoutPrefixIsOneAddress) {
  EXPECT_TRUE(IpBlock::parse("192.0.2.1")->is_single());
  EXPECT_EQ(IpBlock::parse("::1")->str(), "::1/128");
}

TEST(IpBlock, RefusesBadPrefixesAndBitsAfterThem) {
  for (const char* text : {"10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/08", "10.0.0.0/8x",
                           "10.0.0.1/8", "::1/127", "::/129", "/8", "10/8"}) {
    EXPECT_FALSE(IpBlock::parse(text)) << text;
  }
}

}  // namespace
}  // namespace tocsin
