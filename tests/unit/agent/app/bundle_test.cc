#include "agent/app/bundle.h"

#include "agent/app/identity.h"

#include <gtest/gtest.h>

namespace tocsin::agent {
namespace {

std::string text_with(const io::CurveKeyPair& keys, const std::string& server_key) {
  return "tocsin_enrolment: 1\n"
         "endpoints: [\"tcp://127.0.0.1:7401\"]\n"
         "server_keys: [" +
         yaml_quoted(server_key) +
         "]\n"
         "region: \"eu-west\"\n"
         "public_key: " +
         yaml_quoted(keys.public_key) +
         "\n"
         "secret_key: " +
         yaml_quoted(keys.secret_key.reveal()) +
         "\n"
         "expires: \"2026-11-22T00:00:00.000Z\"\n";
}

TEST(Bundle, IsReadAsPrinted) {
  const auto keys = io::make_curve_keypair().value();
  const auto server = io::make_curve_keypair()->public_key;
  const auto bundle = parse_bundle(text_with(keys, server), "b");
  ASSERT_TRUE(bundle.has_value()) << bundle.error().front();
  EXPECT_EQ(bundle->endpoints, std::vector<std::string>{"tcp://127.0.0.1:7401"});
  EXPECT_EQ(bundle->server_keys, std::vector<std::string>{server});
  EXPECT_EQ(bundle->region, "eu-west");
  EXPECT_EQ(bundle->keys.public_key, keys.public_key);
  EXPECT_EQ(bundle->expires, parse_rfc3339("2026-11-22T00:00:00Z").value());
}

TEST(Bundle, CutOrChangedTextIsRefusedWithoutShowingTheSecret) {
  const auto keys = io::make_curve_keypair().value();
  std::string text = text_with(keys, io::make_curve_keypair()->public_key);
  const auto other = io::make_curve_keypair().value();
  text.replace(text.find(yaml_quoted(keys.public_key)), yaml_quoted(keys.public_key).size(),
               yaml_quoted(other.public_key));
  const auto changed = parse_bundle(text, "b");
  ASSERT_FALSE(changed.has_value());
  ASSERT_EQ(changed.error().size(), 1U);
  EXPECT_EQ(changed.error()[0].find(keys.secret_key.reveal()), std::string::npos);
  EXPECT_NE(changed.error()[0].find("does not belong to public_key"), std::string::npos);

  const auto empty = parse_bundle("", "b");
  ASSERT_FALSE(empty.has_value());
  EXPECT_EQ(parse_bundle("tocsin_enrolment: 2\n", "b").error().front(),
            "b:1:19: tocsin_enrolment: expected 1; is this what tocsin-collector enroll printed?");
}

}  // namespace
}  // namespace tocsin::agent
