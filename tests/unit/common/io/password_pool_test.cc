#include "common/io/password_pool.h"

#include "tests/support/loopback_client.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace tocsin::io {
namespace {

constexpr std::string_view kParameters = "$argon2id$v=19$m=19456,t=2,p=1$";

TEST(Password, TheHashNamesItsParametersAndVerifiesOnlyThePassword) {
  const auto hash = hash_password(Secret{"correct horse battery"});
  ASSERT_TRUE(hash) << hash.error().text;
  EXPECT_TRUE(hash->starts_with(kParameters)) << *hash;
  EXPECT_TRUE(verify_password(Secret{"correct horse battery"}, *hash));
  EXPECT_FALSE(verify_password(Secret{"correct horse batterY"}, *hash));
  EXPECT_FALSE(verify_password(Secret{""}, *hash));
  EXPECT_NE(*hash_password(Secret{"correct horse battery"}), *hash) << "a salt of its own";
  EXPECT_FALSE(verify_password(Secret{"x"}, "nonsense"));
  EXPECT_FALSE(verify_password(Secret{"x"}, ""));
}

TEST(Password, AHashOfOtherParametersIsVerifiedByThem) {
  // A test vector of the reference implementation (src/test.c): 64 MiB.
  const std::string reference =
      "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
  EXPECT_TRUE(verify_password(Secret{"password"}, reference));
}

TEST(Password, TheDecoyCostsWhatARealOneCosts) {
  EXPECT_TRUE(std::string_view{kDecoyHash}.starts_with(kParameters));
  EXPECT_EQ(std::string_view{kDecoyHash}.size(), hash_password(Secret{"x"})->size());
  EXPECT_FALSE(verify_password(Secret{""}, kDecoyHash));
}

TEST(PasswordPool, AnswersOnTheLoopAndSaysNoWhenTooManyWait) {
  test::ManualClock clock;
  EventLoop loop{clock};
  PasswordPool pool{loop};
  std::optional<bool> good;
  ASSERT_TRUE(pool.try_hash(Secret{"a b c d e f g"}, [&](Expected<std::string> hash) {
    ASSERT_TRUE(hash);
    EXPECT_TRUE(pool.try_verify(Secret{"a b c d e f g"}, *hash, [&](bool ok) { good = ok; }));
  }));
  EXPECT_TRUE(test::turn_until(loop, [&] { return good.has_value(); }));
  EXPECT_EQ(good, true);

  std::size_t taken = 0;
  std::size_t answered = 0;
  constexpr std::size_t kAll = PasswordPool::kThreads * (PasswordPool::kWaitingMax + 1);
  while (taken <= 2 * kAll && pool.try_verify(Secret{"x"}, kDecoyHash, [&](bool) { ++answered; })) {
    ++taken;
  }
  EXPECT_GE(taken, PasswordPool::kThreads * PasswordPool::kWaitingMax);
  EXPECT_LE(taken, 2 * kAll) << "it never said no";
  EXPECT_TRUE(test::turn_until(loop, [&] { return answered == taken; }));
}

TEST(PasswordPool, NobodyIsCalledOnceItIsGone) {
  test::ManualClock clock;
  EventLoop loop{clock};
  auto pool = std::make_unique<PasswordPool>(loop);
  ASSERT_TRUE(pool->try_verify(Secret{"x"}, kDecoyHash, [](bool) { FAIL(); }));
  pool.reset();
  test::settle(loop);
}

}  // namespace
}  // namespace tocsin::io
