#include "common/base/redact.h"

#include "common/base/boxed.h"

#include <gtest/gtest.h>

namespace tocsin {
namespace {

TEST(Redacted, NoSecretIsLeftWhereverItStands) {
  EXPECT_EQ(redacted("a hunter2 b hunter2", {"hunter2"}, 100), "a *** b ***");
  EXPECT_EQ(redacted("abcabc", {"abc", "abcabc"}, 100), "***");
  EXPECT_EQ(redacted("abc", {}, 2), "ab");
  EXPECT_EQ(redacted("abc", {""}, 100), "abc");
  EXPECT_EQ(redacted("", {"x"}, 100), "");
}

TEST(Redacted, ASecretAcrossTheCutLeavesNoPartBehind) {
  for (std::size_t most = 0; most <= 14; ++most) {
    const std::string out = redacted("0123 hunter2 9", {"hunter2"}, most);
    EXPECT_LE(out.size(), most);
    EXPECT_EQ(out.find('h'), std::string::npos) << out;
    EXPECT_EQ(out, std::string{"0123 *** 9"}.substr(0, most));
  }
}

TEST(Boxed, IsAValue) {
  Boxed<std::string> empty;
  Boxed<std::string> a{std::string{"a"}};
  const Boxed<std::string> b = a;
  EXPECT_FALSE(empty);
  EXPECT_EQ(empty, Boxed<std::string>{});
  EXPECT_EQ(a, b);
  *a += "x";
  EXPECT_FALSE(a == b);
  EXPECT_FALSE(a == empty);
  empty = a;
  EXPECT_EQ(*empty, "ax");
  a = Boxed<std::string>{};
  EXPECT_FALSE(a);
  EXPECT_EQ(empty->size(), 2U);
}

}  // namespace
}  // namespace tocsin
