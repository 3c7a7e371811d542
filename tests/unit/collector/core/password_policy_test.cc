#include "collector/core/password_policy.h"

#include <gtest/gtest.h>

namespace tocsin::collector {
namespace {

UserSpec ann() {
  UserSpec user;
  user.key = "ann";
  user.name = "Annabel Lee";
  user.email = "annabel.lee@example.com";
  return user;
}

TEST(PasswordPolicy, LengthCountsAndCompositionDoesNot) {
  for (const char* good : {"correct horse battery", "blaue tinte im glas", "zwölf zeichen da",
                           "vjkqxzwpmbfy", "T7#kd91!Qzm;p", "ann likes green tea a lot"}) {
    EXPECT_EQ(check_password(good, ann()), std::nullopt) << good;
  }
  EXPECT_NE(check_password("elevenchars", ann()), std::nullopt);
  EXPECT_EQ(check_password("éèàùâêîôûç" + std::string("xy"), ann()), std::nullopt) << "12 letters";
  std::string all = "abcdefgh";
  while (all.size() < kPasswordCharsMax) all += all.substr(0, 8);
  EXPECT_EQ(check_password(all, ann()), std::nullopt);
  EXPECT_NE(check_password(all + "x", ann()), std::nullopt);
}

TEST(PasswordPolicy, TheObviousIsRefusedAndNeverQuoted) {
  for (const char* bad :
       {"annann-annann", "Annabel-Lee-2026!", "password1234", "PASSWORD-PASSWORD",
        "tocsin-tocsin-1", "aaaaaaaaaaaaaaaa", "abababababababab", "annabel.lee@example.com",
        "letmein-2026!!", "123456123456", "\xff\xfe-not-utf8-at-all", "line\nbreak inside it"}) {
    const auto why = check_password(bad, ann());
    ASSERT_TRUE(why) << bad;
    EXPECT_EQ(why->find(bad), std::string::npos);
  }
}

}  // namespace
}  // namespace tocsin::collector
