#include "common/io/privileges.h"

#include "common/io/file.h"
#include "tests/unit/common/io/scratch_dir.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>
#include <sys/stat.h>
#include <sys/wait.h>

namespace tocsin::io {
namespace {

constexpr uid_t kNobody = 65534;

/// In a process of its own, because the change is for good.
int exit_code_of(const std::function<bool()>& act) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(act() ? 0 : 1);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class Privileges : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
    // The owner must get through to it.
    ASSERT_EQ(::chmod(dir_.path().c_str(), 0755), 0);
  }

  const ScratchDir dir_;
};

TEST_F(Privileges, RootBecomesTheOwnerOfTheNearestDirectory) {
  const std::string state = dir_ / "state";
  ASSERT_EQ(::mkdir(state.c_str(), 0700), 0);
  ASSERT_EQ(::chown(state.c_str(), kNobody, kNobody), 0);
  EXPECT_EQ(exit_code_of([&] {
              const auto became = become_owner_of(state + "/eu-west/spool");
              return became && !became->empty() && ::getuid() == kNobody &&
                     make_directory(state + "/eu-west").has_value() && ::setuid(0) != 0;
            }),
            0);

  struct stat made {};

  ASSERT_EQ(::stat((state + "/eu-west").c_str(), &made), 0);
  EXPECT_EQ(made.st_uid, kNobody);
}

TEST_F(Privileges, RootStaysRootWhereItIsTheOwner) {
  EXPECT_EQ(exit_code_of([&] {
              const auto became = become_owner_of(dir_ / "not/yet");
              return became && became->empty() && ::getuid() == 0;
            }),
            0);
}

}  // namespace
}  // namespace tocsin::io
