#include "collector/app/state_dir.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sys/stat.h>

namespace tocsin::collector {
namespace {

namespace fs = std::filesystem;

class StateDirTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = fs::temp_directory_path() / "tocsin-state-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root = pattern;
  }

  void TearDown() override { fs::remove_all(root); }

  std::string path(const char* name) const { return root / name; }

  Expected<io::CurveKeyPair> make() { return make_keys(path("public"), path("secret")); }

  Expected<io::CurveKeyPair> load() { return load_keys(path("public"), path("secret")); }

  fs::path root;
};

mode_t mode_of(const std::string& path) {
  struct stat info {};

  EXPECT_EQ(::stat(path.c_str(), &info), 0);
  return info.st_mode & 0777;
}

TEST_F(StateDirTest, IsMadeForItsOwnerOnlyWithWhatIsMissingAbove) {
  ASSERT_TRUE(make_state_dir(path("a/b")));
  EXPECT_EQ(mode_of(path("a/b")), 0700U);
  EXPECT_TRUE(make_state_dir(path("a/b"))) << "twice is fine";
}

TEST_F(StateDirTest, OneThatOthersCanReadIsRefusedWithTheRemedy) {
  fs::create_directory(path("open"));
  ASSERT_EQ(::chmod(path("open").c_str(), 0755), 0);
  const auto made = make_state_dir(path("open"));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::kDenied);
  EXPECT_NE(made.error().text.find("chmod 700"), std::string::npos);
}

TEST_F(StateDirTest, KeysAreMadeOnceAndReadBack) {
  const auto made = make();
  ASSERT_TRUE(made) << made.error().text;
  EXPECT_EQ(mode_of(path("secret")), 0600U);
  const auto loaded = load();
  ASSERT_TRUE(loaded) << loaded.error().text;
  EXPECT_EQ(loaded->public_key, made->public_key);
  EXPECT_EQ(loaded->secret_key.reveal(), made->secret_key.reveal());
  EXPECT_EQ(make().error().code, Errc::kExists);
}

TEST_F(StateDirTest, WithoutInitTheErrorSaysToRunIt) {
  EXPECT_EQ(load().error().code, Errc::kNotFound);
  EXPECT_NE(load().error().text.find("init"), std::string::npos);
}

TEST_F(StateDirTest, AReadableOrForeignSecretIsRefused) {
  ASSERT_TRUE(make());
  ASSERT_EQ(::chmod(path("secret").c_str(), 0644), 0);
  EXPECT_EQ(load().error().code, Errc::kDenied);
  ASSERT_EQ(::chmod(path("secret").c_str(), 0600), 0);
  std::ofstream(path("public")) << io::make_curve_keypair()->public_key << "\n";
  EXPECT_EQ(load().error().code, Errc::kCorrupt);
  std::ofstream(path("secret")) << "nonsense\n";
  EXPECT_EQ(load().error().code, Errc::kCorrupt);
}

TEST_F(StateDirTest, TheKeyOfLinksIsMadeOnceAndForItsOwnerOnly) {
  const auto made = load_or_make_key(path("ack"), 32);
  ASSERT_TRUE(made) << made.error().text;
  EXPECT_EQ(made->reveal().size(), 32U);
  EXPECT_EQ(mode_of(path("ack")), 0600U);
  EXPECT_EQ(load_or_make_key(path("ack"), 32)->reveal(), made->reveal());
  EXPECT_NE(load_or_make_key(path("other"), 32)->reveal(), made->reveal());
  ASSERT_EQ(::chmod(path("ack").c_str(), 0640), 0);
  EXPECT_EQ(load_or_make_key(path("ack"), 32).error().code, Errc::kDenied);
  ASSERT_EQ(::chmod(path("ack").c_str(), 0600), 0);
  std::ofstream(path("ack")) << "nonsense\n";
  EXPECT_EQ(load_or_make_key(path("ack"), 32).error().code, Errc::kCorrupt);
}

}  // namespace
}  // namespace tocsin::collector
