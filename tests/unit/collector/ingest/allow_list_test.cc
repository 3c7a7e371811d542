#include "collector/ingest/allow_list.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace tocsin::collector {
namespace {

const AgentId kAgent{{1, 2, 3}};
const EnrolmentId kEnrolment{{4, 5, 6}};
const WallTime kNoon{1'800'000'000'000'000};

KeyChanged change(KeyChanged::Use use, std::string key, Uuid id = {},
                  WallTime expires = WallTime::never()) {
  return {use, std::move(key), id, expires};
}

using Use = KeyChanged::Use;
using Found = std::variant<Principal, Rejection>;

TEST(AllowList, AdmitsNobodyByDefault) {
  EXPECT_EQ(AllowList{}.find("k", kNoon), Found{Rejection::kUnknownKey});
}

TEST(AllowList, AdmitsAnAgentUntilItIsRevokedAndSaysWhoThatWas) {
  AllowList list;
  EXPECT_EQ(list.apply(change(Use::kAgent, "k", kAgent.bytes)), std::nullopt);
  EXPECT_EQ(list.find("k", kNoon), Found{Principal{kAgent}});
  EXPECT_EQ(list.apply(change(Use::kNone, "k", kAgent.bytes)), kAgent);
  EXPECT_EQ(list.find("k", kNoon), Found{Rejection::kRevoked});
}

TEST(AllowList, AdmitsAnEnrolmentUntilItExpires) {
  AllowList list;
  list.apply(change(Use::kEnrolment, "k", kEnrolment.bytes, kNoon + 1h));
  EXPECT_EQ(list.find("k", kNoon + 1h - 1us), Found{Principal{kEnrolment}});
  EXPECT_EQ(list.find("k", kNoon + 1h), Found{Rejection::kEnrolmentExpired});
}

TEST(AllowList, TellsAReplayedBundleFromAStranger) {
  AllowList list;
  list.apply(change(Use::kEnrolment, "k", kEnrolment.bytes, kNoon + 1h));
  EXPECT_EQ(list.apply(change(Use::kNone, "k", kEnrolment.bytes)), std::nullopt);
  EXPECT_EQ(list.find("k", kNoon), Found{Rejection::kEnrolmentUsed});
}

TEST(AllowList, ForgetsTheOldestRemovedKeyAtItsBound) {
  AllowList list;
  for (std::size_t i = 0; i <= AllowList::kRemovedMax; ++i) {
    const std::string key = fmt::format("k{}", i);
    list.apply(change(Use::kAgent, key, kAgent.bytes));
    list.apply(change(Use::kNone, key, kAgent.bytes));
  }
  EXPECT_EQ(list.find("k0", kNoon), Found{Rejection::kUnknownKey});
  EXPECT_EQ(list.find("k1", kNoon), Found{Rejection::kRevoked});
}

TEST(AllowList, UserIdsAreReadBack) {
  for (const Principal& who : {Principal{kAgent}, Principal{kEnrolment}}) {
    EXPECT_EQ(*parse_user_id(user_id_of(who)), who);
  }
  EXPECT_FALSE(parse_user_id(""));
  EXPECT_FALSE(parse_user_id("enrol:"));
  EXPECT_FALSE(parse_user_id("root"));
}

}  // namespace
}  // namespace tocsin::collector
