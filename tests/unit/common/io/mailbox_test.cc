#include "common/io/mailbox.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>

namespace tocsin::io {
namespace {

bool readable(int fd) {
  pollfd p{fd, POLLIN, 0};
  return ::poll(&p, 1, 0) == 1;
}

TEST(Mailbox, FdIsReadableExactlyWhileSomethingIsInside) {
  Mailbox<int> box(4);
  EXPECT_FALSE(readable(box.fd()));
  EXPECT_TRUE(box.push(1));
  EXPECT_TRUE(box.push(2));
  EXPECT_TRUE(readable(box.fd()));
  EXPECT_EQ(box.try_pop(), 1);
  EXPECT_TRUE(readable(box.fd()));
  EXPECT_EQ(box.try_pop(), 2);
  EXPECT_FALSE(readable(box.fd()));
  EXPECT_EQ(box.try_pop(), std::nullopt);
}

TEST(Mailbox, FullRefusesAndLeavesTheValueWithItsOwner) {
  Mailbox<std::unique_ptr<int>> box(1);
  EXPECT_TRUE(box.push(std::make_unique<int>(1)));
  auto second = std::make_unique<int>(2);
  EXPECT_FALSE(box.push(std::move(second)));
  // NOLINTBEGIN(bugprone-use-after-move): this is what is tested.
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(*second, 2);
  // NOLINTEND(bugprone-use-after-move)
  EXPECT_EQ(**box.try_pop(), 1);
  EXPECT_TRUE(box.push(std::move(second)));
}

TEST(Mailbox, ClosedTakesNothingMoreButGivesWhatItHas) {
  Mailbox<int> box(4);
  EXPECT_TRUE(box.push(1));
  box.close();
  EXPECT_FALSE(box.push(2));
  EXPECT_EQ(box.pop(1h), 1);
  EXPECT_EQ(box.pop(1h), std::nullopt);  // Does not wait: closed is readable.
  EXPECT_TRUE(box.closed());
}

TEST(Mailbox, PopWaitsForAnotherThread) {
  Mailbox<int> box(2);
  std::thread producer([&] {
    for (int i = 1; i <= 1000; ++i) {
      int value = i;
      // NOLINTNEXTLINE(bugprone-use-after-move): a refused value stays with its owner.
      while (!box.push(std::move(value))) std::this_thread::yield();
    }
    box.close();
  });
  int sum = 0;
  int last = 0;
  bool in_order = true;
  while (true) {
    const auto got = box.pop(10s);
    if (!got) {
      if (box.closed()) break;
      continue;
    }
    in_order = in_order && *got == last + 1;
    last = *got;
    sum += *got;
  }
  producer.join();
  EXPECT_TRUE(in_order);
  EXPECT_EQ(sum, 500'500);
}

}  // namespace
}  // namespace tocsin::io
