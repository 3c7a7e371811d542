#include "common/io/secret_file.h"

#include "common/io/file.h"
#include "tests/unit/common/io/scratch_dir.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace tocsin::io {
namespace {

class SecretFile : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(io::replace_file(dir_ / "hook", as_bytes("from the file"))); }

  void TearDown() override { ::unsetenv("CREDENTIALS_DIRECTORY"); }

  const ScratchDir dir_;
  const ScratchDir handed_;
};

TEST_F(SecretFile, ComesFromTheDirectory) {
  EXPECT_EQ(read_secret_file(dir_.path(), "hook").value(), "from the file");
}

TEST_F(SecretFile, WhatTheServiceManagerHandedOverGoesFirst) {
  ASSERT_TRUE(io::replace_file(handed_ / "secrets_hook", as_bytes("handed over")));
  ::setenv("CREDENTIALS_DIRECTORY", handed_.path().c_str(), 1);
  EXPECT_EQ(read_secret_file(dir_.path(), "hook").value(), "handed over");
}

TEST_F(SecretFile, WhatItDidNotHandOverComesFromTheDirectory) {
  ::setenv("CREDENTIALS_DIRECTORY", handed_.path().c_str(), 1);
  EXPECT_EQ(read_secret_file(dir_.path(), "hook").value(), "from the file");
}

TEST_F(SecretFile, AMissingOneIsNamedWithItsPath) {
  const auto missing = read_secret_file(dir_.path(), "other");
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().text.find(dir_ / "other"), std::string::npos) << missing.error().text;
}

TEST_F(SecretFile, ANameCannotLeaveTheDirectory) {
  for (const char* name : {"../hook", ".hook", "", "a/b"}) {
    EXPECT_EQ(read_secret_file(dir_.path(), name).error().code, Errc::kInvalid) << name;
  }
}

}  // namespace
}  // namespace tocsin::io
