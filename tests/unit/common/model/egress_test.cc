#include "common/model/egress.h"

#include <gtest/gtest.h>

namespace tocsin {
namespace {

bool allows(const EgressPolicy& policy, std::string_view address) {
  return policy.allows(*IpAddress::parse(address)).has_value();
}

TEST(EgressPolicy, PublicRefusesBothEdgesOfEverySpecialBlockAndAdmitsTheirNeighbours) {
  struct Row {
    const char* first;
    const char* last;
    const char* before;  // Neighbours that are public; "" where there is none.
    const char* after;
  };

  const Row rows[] = {
      {"0.0.0.0", "0.255.255.255", "", "1.0.0.0"},
      {"10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0"},
      {"100.64.0.0", "100.127.255.255", "100.63.255.255", "100.128.0.0"},
      {"127.0.0.0", "127.255.255.255", "126.255.255.255", "128.0.0.0"},
      {"169.254.0.0", "169.254.255.255", "169.253.255.255", "169.255.0.0"},
      {"172.16.0.0", "172.31.255.255", "172.15.255.255", "172.32.0.0"},
      {"192.0.0.0", "192.0.0.255", "191.255.255.255", "192.0.1.0"},
      {"192.0.2.0", "192.0.2.255", "192.0.1.255", "192.0.3.0"},
      {"192.31.196.0", "192.31.196.255", "192.31.195.255", "192.31.197.0"},
      {"192.52.193.0", "192.52.193.255", "192.52.192.255", "192.52.194.0"},
      {"192.88.99.0", "192.88.99.255", "192.88.98.255", "192.88.100.0"},
      {"192.168.0.0", "192.168.255.255", "192.167.255.255", "192.169.0.0"},
      {"192.175.48.0", "192.175.48.255", "192.175.47.255", "192.175.49.0"},
      {"198.18.0.0", "198.19.255.255", "198.17.255.255", "198.20.0.0"},
      {"198.51.100.0", "198.51.100.255", "198.51.99.255", "198.51.101.0"},
      {"203.0.113.0", "203.0.113.255", "203.0.112.255", "203.0.114.0"},
      {"224.0.0.0", "255.255.255.255", "223.255.255.255", ""},
      {"168.63.129.16", "168.63.129.16", "168.63.129.15", "168.63.129.17"},
      {"::", "::ffff:ffff", "", ""},
      {"64:ff9b::", "64:ff9b::ffff:ffff", "64:ff9a:ffff::", "64:ff9b:2::"},
      {"64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "64:ff9b:0:ffff::", "64:ff9b:2::"},
      {"100::", "100::ffff:ffff:ffff:ffff", "ff:ffff::", "100:0:0:1::"},
      {"2001::", "2001:1ff:ffff::", "2000:ffff::", "2001:200::"},
      {"2001:db8::", "2001:db8:ffff::", "2001:db7:ffff::", "2001:db9::"},
      {"2002::", "2002:ffff::", "2001:ffff::", "2003::"},
      {"3fff::", "3fff:fff::", "3ffe:ffff::", "3fff:1000::"},
      {"5f00::", "5f00:ffff::", "5eff::", "5f01::"},
      {"fc00::", "fdff:ffff::", "fbff::", "fe00::"},
      {"fe80::", "febf:ffff::", "fe7f::", ""},
      {"fec0::", "feff:ffff::", "", ""},
      {"ff00::", "ffff:ffff::", "", ""},
  };
  const EgressPolicy policy;
  for (const Row& row : rows) {
    EXPECT_FALSE(allows(policy, row.first)) << row.first;
    EXPECT_FALSE(allows(policy, row.last)) << row.last;
    for (const char* neighbour : {row.before, row.after}) {
      if (*neighbour != '\0') {
        EXPECT_TRUE(allows(policy, neighbour)) << neighbour;
      }
    }
  }
  EXPECT_TRUE(allows(policy, "2606:4700::1111"));
}

TEST(EgressPolicy, JudgesAMappedAddressAsTheAddressItReaches) {
  EXPECT_FALSE(allows(EgressPolicy{}, "::ffff:127.0.0.1"));
  EXPECT_FALSE(allows(EgressPolicy{}, "::ffff:169.254.169.254"));
  EXPECT_TRUE(allows(EgressPolicy{}, "::ffff:8.8.8.8"));
  EXPECT_TRUE(allows(*EgressPolicy::parse("private", {"10.0.0.0/8"}, {}), "::ffff:10.1.2.3"));
}

TEST(EgressPolicy, PrivateAdmitsOnlyItsList) {
  const EgressPolicy policy = *EgressPolicy::parse("private", {"127.0.0.0/8", "::1"}, {});
  EXPECT_TRUE(allows(policy, "127.0.0.1"));
  EXPECT_TRUE(allows(policy, "::1"));
  EXPECT_FALSE(allows(policy, "10.0.0.1"));
  EXPECT_FALSE(allows(policy, "8.8.8.8"));
}

TEST(EgressPolicy, AllowOpensAPrivateBlockForAPublicAgent) {
  const EgressPolicy policy = *EgressPolicy::parse("public", {"10.1.0.0/16"}, {});
  EXPECT_TRUE(allows(policy, "10.1.2.3"));
  EXPECT_FALSE(allows(policy, "10.2.0.1"));
  EXPECT_TRUE(allows(policy, "8.8.8.8"));
}

TEST(EgressPolicy, DenyWinsOverAllow) {
  const EgressPolicy policy = *EgressPolicy::parse("private", {"10.0.0.0/8"}, {"10.9.0.0/16"});
  EXPECT_TRUE(allows(policy, "10.8.0.1"));
  EXPECT_FALSE(allows(policy, "10.9.0.1"));
  EXPECT_FALSE(allows(*EgressPolicy::parse("public", {}, {"8.8.8.8/32"}), "8.8.8.8"));
}

TEST(EgressPolicy, MetadataAddressNeedsAnAllowOfExactlyItself) {
  EXPECT_FALSE(allows(*EgressPolicy::parse("private", {"169.254.0.0/16"}, {}), "169.254.169.254"));
  EXPECT_FALSE(allows(*EgressPolicy::parse("private", {"0.0.0.0/0"}, {}), "169.254.169.254"));
  EXPECT_TRUE(
      allows(*EgressPolicy::parse("private", {"169.254.169.254/32"}, {}), "169.254.169.254"));
  EXPECT_FALSE(allows(*EgressPolicy::parse("private", {"fd00::/8"}, {}), "fd00:ec2::254"));
  EXPECT_TRUE(allows(*EgressPolicy::parse("private", {"fd00:ec2::254"}, {}), "fd00:ec2::254"));
}

TEST(EgressPolicy, SaysWhyAnAddressIsRefused) {
  const auto refused = EgressPolicy{}.allows(*IpAddress::parse("192.168.1.1"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(),
            (Error{Errc::kDenied, "192.168.1.1 is not public: 192.168.0.0/16 (private use)"}));
}

TEST(EgressPolicy, NamesTheBlockThatCannotBeRead) {
  EXPECT_EQ(EgressPolicy::parse("private", {"10.0.0.0/8", "10.0.0.1/8"}, {}).error().text,
            "allow[1]: '10.0.0.1/8' has bits set after its prefix: write the block's first address "
            "or /32");
  EXPECT_FALSE(EgressPolicy::parse("open", {}, {}));
  EXPECT_FALSE(EgressPolicy::parse("public", {}, std::vector<std::string>(257, "10.0.0.0/8")));
}

}  // namespace
}  // namespace tocsin
