#include "common/io/forwarded.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace tocsin::io {
namespace {

std::string client(const char* peer, const std::vector<const char*>& headers,
                   const std::vector<const char*>& proxies = {"127.0.0.0/8", "10.0.0.0/8"}) {
  codec::HttpRequest request;
  for (const char* value : headers) request.headers.push_back({"x-forwarded-for", value});
  std::vector<IpBlock> blocks;
  for (const char* proxy : proxies) blocks.push_back(*IpBlock::parse(proxy));
  return client_of(request, *IpAddress::parse(peer), blocks).str();
}

TEST(Forwarded, WhoeverIsNoProxyOfOursIsTheClientWhateverTheySay) {
  EXPECT_EQ(client("192.0.2.1", {"198.51.100.7"}), "192.0.2.1");
  EXPECT_EQ(client("192.0.2.1", {"127.0.0.1"}), "192.0.2.1");
  EXPECT_EQ(client("127.0.0.1", {"198.51.100.7"}, {}), "127.0.0.1");
}

TEST(Forwarded, AProxyOfOursNamesItsClientAndNobodyBeforeIt) {
  EXPECT_EQ(client("127.0.0.1", {"198.51.100.7"}), "198.51.100.7");
  EXPECT_EQ(client("127.0.0.1", {"203.0.113.1, 198.51.100.7"}), "198.51.100.7") << "a forgery";
  EXPECT_EQ(client("127.0.0.1", {"198.51.100.7 , 10.1.1.1"}), "198.51.100.7") << "two of ours";
  EXPECT_EQ(client("127.0.0.1", {"198.51.100.7", "10.1.1.1"}), "198.51.100.7") << "two headers";
  EXPECT_EQ(client("::ffff:127.0.0.1", {"2001:db8::1"}), "2001:db8::1");
  EXPECT_EQ(client("127.0.0.1", {"[2001:db8::1]:443"}), "2001:db8::1");
  EXPECT_EQ(client("127.0.0.1", {"198.51.100.7:9"}), "198.51.100.7");
}

TEST(Forwarded, WithoutAGoodListTheProxyIsTheClient) {
  EXPECT_EQ(client("127.0.0.1", {}), "127.0.0.1");
  EXPECT_EQ(client("127.0.0.1", {""}), "127.0.0.1");
  EXPECT_EQ(client("127.0.0.1", {"198.51.100.7, unknown"}), "127.0.0.1");
  EXPECT_EQ(client("127.0.0.1", {"["}), "127.0.0.1");
  EXPECT_EQ(client("127.0.0.1", {"10.0.0.1, 10.0.0.2"}), "10.0.0.1") << "ours all the way";
  std::string many = "198.51.100.7";
  for (int i = 0; i < 20; ++i) many += fmt::format(", 10.0.0.{}", i);
  EXPECT_EQ(client("127.0.0.1", {many.c_str()}), "10.0.0.4");
}

}  // namespace
}  // namespace tocsin::io
