#include "collector/app/bundle.h"

#include "common/io/yaml.h"

#include <gtest/gtest.h>

namespace tocsin::collector {
namespace {

/// With every character that YAML or its quotes could stumble over.
const std::string kAwkwardKey = "*&!%@#-:?{}[]<>()^=+.$/0123456789abcdefg";

EnrolmentBundle a_bundle() {
  return {{"tcp://a.example:7401", "tcp://[::1]:7401"},
          {kAwkwardKey},
          "eu-west",
          kAwkwardKey,
          kAwkwardKey,
          WallTime::from_ms(1'800'000'000'000)};
}

TEST(Bundle, IsYamlThatReadsBack) {
  const auto node = io::parse_yaml(format_bundle(a_bundle()), "bundle");
  ASSERT_TRUE(node) << node.error().text;
  EXPECT_EQ(node->find("tocsin_enrolment")->number_value, 1);
  ASSERT_EQ(node->find("endpoints")->items.size(), 2U);
  EXPECT_EQ(node->find("endpoints")->items[1].text, "tcp://[::1]:7401");
  EXPECT_EQ(node->find("server_keys")->items[0].text, kAwkwardKey);
  EXPECT_EQ(node->find("region")->text, "eu-west");
  EXPECT_EQ(node->find("public_key")->text, kAwkwardKey);
  EXPECT_EQ(node->find("secret_key")->text, kAwkwardKey);
  EXPECT_EQ(node->find("expires")->text, "2027-01-15T08:00:00.000Z");
}

TEST(Bundle, NamesThisHostWhereTheEndpointIsAWildcard) {
  using List = std::vector<std::string>;
  EXPECT_EQ(bundle_endpoints({}, "tcp://*:7401", "mon1"), List{"tcp://mon1:7401"});
  EXPECT_EQ(bundle_endpoints({}, "tcp://0.0.0.0:7", "mon1"), List{"tcp://mon1:7"});
  EXPECT_EQ(bundle_endpoints({}, "tcp://[::]:7", "mon1"), List{"tcp://mon1:7"});
  EXPECT_EQ(bundle_endpoints({}, "tcp://10.0.0.1:7", "mon1"), List{"tcp://10.0.0.1:7"});
  EXPECT_EQ(bundle_endpoints({"tcp://x:1"}, "tcp://*:7401", "mon1"), List{"tcp://x:1"});
}

}  // namespace
}  // namespace tocsin::collector
