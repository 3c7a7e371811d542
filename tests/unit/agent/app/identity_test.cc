#include "agent/app/identity.h"

#include "common/io/file.h"
#include "tests/unit/common/io/scratch_dir.h"

#include <gtest/gtest.h>

#include <sys/stat.h>

namespace tocsin::agent {
namespace {

Identity sample() {
  return {.agent = AgentId{{1, 2, 3}},
          .region = "eu-west",
          .keys = io::make_curve_keypair().value(),
          .endpoints = {"tcp://127.0.0.1:7401"},
          .server_keys = {io::make_curve_keypair()->public_key}};
}

TEST(Identity, ComesBackAsItWasStored) {
  const ScratchDir dir;
  for (int i = 0; i < 20; ++i) {  // Z85 has every awkward character sooner or later.
    const Identity identity = sample();
    ASSERT_TRUE(store_identity(dir / "identity.yaml", identity).has_value());
    const auto again = load_identity(dir / "identity.yaml");
    ASSERT_TRUE(again.has_value()) << again.error().text;
    EXPECT_EQ(again->agent, identity.agent);
    EXPECT_EQ(again->region, identity.region);
    EXPECT_EQ(again->keys.public_key, identity.keys.public_key);
    EXPECT_EQ(again->keys.secret_key.reveal(), identity.keys.secret_key.reveal());
    EXPECT_EQ(again->endpoints, identity.endpoints);
    EXPECT_EQ(again->server_keys, identity.server_keys);
  }
}

TEST(Identity, AKeyThatOthersCanReadIsRefused) {
  const ScratchDir dir;
  ASSERT_TRUE(store_identity(dir / "identity.yaml", sample()).has_value());
  ASSERT_EQ(::chmod((dir / "identity.yaml").c_str(), 0640), 0);
  EXPECT_EQ(load_identity(dir / "identity.yaml").error().code, Errc::kDenied);
}

TEST(Identity, MissingAndDamagedAreToldApart) {
  const ScratchDir dir;
  EXPECT_EQ(load_identity(dir / "identity.yaml").error().code, Errc::kNotFound);
  ASSERT_TRUE(store_identity(dir / "identity.yaml", sample()).has_value());
  std::string text = io::read_file(dir / "identity.yaml", 10'000).value();
  const auto other = io::make_curve_keypair()->public_key;
  const auto at = text.find("public_key: ");
  text.replace(at, text.find('\n', at) - at, "public_key: " + yaml_quoted(other));
  ASSERT_TRUE(io::replace_file(dir / "identity.yaml", as_bytes(text)).has_value());
  const auto damaged = load_identity(dir / "identity.yaml");
  ASSERT_FALSE(damaged.has_value());
  EXPECT_EQ(damaged.error().code, Errc::kInvalid);
  EXPECT_NE(damaged.error().text.find("identity.yaml:5:"), std::string::npos)
      << damaged.error().text;
}

TEST(Identity, PendingKeysComeBack) {
  const ScratchDir dir;
  EXPECT_EQ(load_pending_keys(dir / "pending").error().code, Errc::kNotFound);
  const auto keys = io::make_curve_keypair().value();
  ASSERT_TRUE(store_pending_keys(dir / "pending", keys).has_value());
  EXPECT_EQ(load_pending_keys(dir / "pending")->public_key, keys.public_key);
}

}  // namespace
}  // namespace tocsin::agent
