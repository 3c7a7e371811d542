#include "common/io/secret_box.h"

#include <gtest/gtest.h>

namespace tocsin::io {
namespace {

SecretBox a_box(char fill) { return SecretBox{Secret{std::string(SecretBox::kKeyBytes, fill)}}; }

TEST(SecretBox, WhatWasSealedOpensUnderItsNameAndKeyAlone) {
  const SecretBox box = a_box('k');
  for (const std::string& clear :
       {std::string{}, std::string{"hunter2"}, std::string(65'536, 'x')}) {
    const std::string sealed = box.seal("token", Secret{clear});
    EXPECT_EQ(box.open("token", sealed)->reveal(), clear);
    EXPECT_EQ(box.open("other", sealed).error().code, Errc::kCorrupt);
    EXPECT_EQ(a_box('l').open("token", sealed).error().code, Errc::kCorrupt);
  }
}

TEST(SecretBox, ABoxTellsNothingAndNoTwoAreAlike) {
  const SecretBox box = a_box('k');
  const std::string one = box.seal("token", Secret{"hunter2"});
  const std::string two = box.seal("token", Secret{"hunter2"});
  EXPECT_NE(one, two);
  EXPECT_EQ(one.find("hunter2"), std::string::npos);
}

TEST(SecretBox, EveryChangedOrMissingByteIsNoticed) {
  const SecretBox box = a_box('k');
  const std::string sealed = box.seal("token", Secret{"hunter2"});
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    std::string bad = sealed;
    bad[i] = bad[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(box.open("token", bad)) << i;
    EXPECT_FALSE(box.open("token", std::string_view{sealed}.substr(0, i))) << i;
  }
  const auto error = box.open("token", sealed + "AAAA").error();
  EXPECT_EQ(error.text, "secret token: it was sealed with another key, or is damaged");
}

TEST(SecretBox, AKeyForEachPurpose) {
  const Secret from{"the agent's own key"};
  const std::string sealed = SecretBox::derived(from, "one").seal("n", Secret{"hunter2"});
  EXPECT_EQ(SecretBox::derived(from, "one").open("n", sealed)->reveal(), "hunter2");
  EXPECT_FALSE(SecretBox::derived(from, "two").open("n", sealed));
}

}  // namespace
}  // namespace tocsin::io
