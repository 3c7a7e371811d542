#include "common/io/file.h"

#include "tests/unit/common/io/scratch_dir.h"

#include <gtest/gtest.h>

#include <sys/stat.h>

namespace tocsin::io {
namespace {

mode_t mode_of(const std::string& path) {
  struct stat st {};

  return ::stat(path.c_str(), &st) == 0 ? st.st_mode & 0777 : 0;
}

TEST(File, AppendedBytesAddUpAndTheFileIsPrivate) {
  const ScratchDir dir;
  ASSERT_TRUE(append_durably(dir / "log", as_bytes("one ")).has_value());
  ASSERT_TRUE(append_durably(dir / "log", as_bytes("two")).has_value());
  EXPECT_EQ(read_file(dir / "log", 100).value(), "one two");
  EXPECT_EQ(mode_of(dir / "log"), 0600U);
}

TEST(File, ReplaceLeavesNoTemporaryAndSetsTheMode) {
  const ScratchDir dir;
  ASSERT_TRUE(append_durably(dir / "id.tmp", as_bytes("left by a crash"), 0644).has_value());
  ASSERT_TRUE(replace_file(dir / "id", as_bytes("first")).has_value());
  ASSERT_TRUE(replace_file(dir / "id", as_bytes("2nd")).has_value());
  EXPECT_EQ(read_file(dir / "id", 100).value(), "2nd");
  EXPECT_EQ(mode_of(dir / "id"), 0600U);
  EXPECT_FALSE(std::filesystem::exists(dir / "id.tmp"));
}

TEST(File, ReadingIsBounded) {
  const ScratchDir dir;
  ASSERT_TRUE(replace_file(dir / "f", as_bytes("12345")).has_value());
  EXPECT_TRUE(read_file(dir / "f", 5).has_value());
  EXPECT_EQ(read_file(dir / "f", 4).error().code, Errc::kLimit);
  EXPECT_EQ(read_file(dir / "none", 4).error().code, Errc::kNotFound);
  EXPECT_EQ(read_file(dir.path(), 4).error().code, Errc::kInvalid);
}

TEST(File, DirectoriesAreMadeWithTheirParentsAndExistingOnesKept) {
  const ScratchDir dir;
  ASSERT_TRUE(make_directory(dir / "a/b/c").has_value());
  EXPECT_EQ(mode_of(dir / "a/b/c"), 0700U);
  EXPECT_TRUE(make_directory(dir / "a/b/c").has_value());
  ASSERT_TRUE(replace_file(dir / "f", as_bytes("x")).has_value());
  EXPECT_FALSE(make_directory(dir / "f").has_value());
}

TEST(FileLock, SecondTakerIsToldWhoHasItUntilItIsReleased) {
  const ScratchDir dir;
  {
    const auto lock = FileLock::take(dir / "lock");
    ASSERT_TRUE(lock.has_value());
    const auto second = FileLock::take(dir / "lock");
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().code, Errc::kUnavailable);
    EXPECT_NE(second.error().text.find(std::to_string(::getpid())), std::string::npos)
        << second.error().text;
  }
  EXPECT_TRUE(FileLock::take(dir / "lock").has_value());
}

}  // namespace
}  // namespace tocsin::io
