#include "tests/support/engine_rig.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace tocsin::collector {
namespace {

UserSpec a_user(const std::string& key, Role role, std::uint64_t n) {
  UserSpec user;
  user.id = test::an_id<UserId>(n);
  user.key = user.name = key;
  user.role = role;
  return user;
}

/// A page and two users: ann, an admin, and bob, an editor.
struct House : test::EngineRig {
  House() {
    CatalogEdit edit;
    edit.users = {a_user("ann", Role::kAdmin, 1), a_user("bob", Role::kEditor, 2)};
    StatusPageSpec page;
    page.id = test::an_id<StatusPageId>(3);
    page.slug = page.title = "shop";
    page.groups = {{"", {{"", "Printer", ""}}}};
    edit.pages = {page};
    define(edit);
  }

  Reply ask(const Event& event) { return *step(event).reply; }

  const AuthTables& auth() {
    view = engine().view(now().wall);
    return *view.auth;
  }

  Reply edit_user(const UserSpec& user) {
    CatalogEdit edit;
    edit.users = {user};
    return ask(ApplyCatalog{edit, "user:ann"});
  }

  Reply remove_user(const std::string& key) {
    CatalogEdit edit;
    edit.removals = {{ObjectKind::kUser, key}};
    return ask(ApplyCatalog{edit, "user:ann"});
  }

  TokenRow token(const std::string& owner, Role role, std::uint64_t n) {
    TokenRow row;
    row.id = test::an_id<TokenId>(n);
    row.name = "ci";
    row.prefix = "tcs_abcd";
    row.digest = "digest-" + std::to_string(n);
    row.owner = owner;
    row.role = role;
    return row;
  }

  EngineView view;
};

TEST(People, APasswordEndsTheSessionsThatTheOldOneOpened) {
  House house;
  const UserId bob = test::an_id<UserId>(2);
  EXPECT_FALSE(house.ask(SetPassword{"bob", "hash-1", "user:ann"}).error);
  house.ask(OpenSession{{"s1", bob, house.now().wall, house.now().wall + 1h, "curl", false}});
  EXPECT_EQ(house.auth().sessions.size(), 1U);
  EXPECT_FALSE(house.ask(SetPassword{"bob", "hash-2", "user:ann"}).error);
  EXPECT_TRUE(house.auth().sessions.empty());
  EXPECT_EQ(house.auth().credentials.at(bob).password_hash, "hash-2");
  EXPECT_EQ(house.ask(SetPassword{"nobody", "h", "user:ann"}).error->code, Errc::kNotFound);
}

TEST(People, ThePasswordsOwnSessionMayStayAndALoginEndsWithUseOrWithAge) {
  House house;
  const UserId bob = test::an_id<UserId>(2);
  const WallTime login = house.now().wall;
  for (const char* digest : {"s1", "s2"}) {
    house.ask(OpenSession{{digest, bob, login, login + kSessionIdle, "curl", false}});
  }
  EXPECT_FALSE(house.ask(SetPassword{"bob", "hash", "user:bob", "s2"}).error);
  EXPECT_EQ(house.auth().sessions.size(), 1U);
  house.advance(1h);
  house.ask(TouchSession{"s2"});
  EXPECT_EQ(house.auth().sessions.at("s2").expires, house.now().wall + kSessionIdle);
  while (house.now().wall < login + kSessionMax - 1h) {
    house.advance(6h);
    house.ask(TouchSession{"s2"});
  }
  EXPECT_EQ(house.auth().sessions.at("s2").expires, login + kSessionMax);
  house.restart();
  EXPECT_EQ(house.auth().sessions.at("s2").expires, login + kSessionMax);
  house.advance(kSessionIdle);
  house.ask(TouchSession{"s2"});
  EXPECT_EQ(house.auth().sessions.at("s2").expires, login + kSessionMax) << "over is over";
  EXPECT_FALSE(house.ask(TouchSession{"none"}).error);
}

TEST(People, ATokenNeverMayMoreThanItsOwner) {
  House house;
  EXPECT_EQ(house.ask(AddToken{house.token("bob", Role::kAdmin, 1), "user:bob"}).error->code,
            Errc::kInvalid);
  EXPECT_FALSE(house.ask(AddToken{house.token("bob", Role::kEditor, 2), "user:bob"}).error);
  UserSpec bob = a_user("bob", Role::kViewer, 2);
  EXPECT_FALSE(house.edit_user(bob).error);
  EXPECT_EQ(house.auth().tokens.at("digest-2").role, Role::kViewer);
  EXPECT_FALSE(house.remove_user("bob").error);
  EXPECT_TRUE(house.auth().tokens.at("digest-2").revoked_at.has_value());
}

TEST(People, TheLastAdminCannotBeTakenAway) {
  House house;
  EXPECT_EQ(house.remove_user("ann").fields.at(0).path, "users");
  EXPECT_EQ(house.edit_user(a_user("ann", Role::kEditor, 1)).fields.at(0).path, "users");
  UserSpec gone = a_user("ann", Role::kAdmin, 1);
  gone.disabled = true;
  EXPECT_EQ(house.edit_user(gone).fields.at(0).path, "users");
  EXPECT_FALSE(house.edit_user(a_user("bob", Role::kAdmin, 2)).error);
  EXPECT_FALSE(house.remove_user("ann").error);
}

TEST(People, ARequestThatComesAgainIsCarriedOutOnce) {
  House house;
  const Once once{"user:ann k1", "digest-a"};
  const Reply first = house.ask(AddToken{house.token("ann", Role::kAdmin, 1), "user:ann", once});
  const Reply again = house.ask(AddToken{house.token("ann", Role::kAdmin, 2), "user:ann", once});
  EXPECT_FALSE(first.repeated);
  EXPECT_TRUE(again.repeated);
  EXPECT_EQ(again.subject, first.subject);
  EXPECT_EQ(house.auth().tokens.size(), 1U);
  const Reply other = house.ask(
      AddToken{house.token("ann", Role::kAdmin, 3), "user:ann", Once{"user:ann k1", "digest-b"}});
  EXPECT_EQ(other.error->code, Errc::kExists);
  house.restart();
  EXPECT_TRUE(house.ask(AddToken{house.token("ann", Role::kAdmin, 2), "user:ann", once}).repeated);
  house.advance(kIdempotencyKept);
  EXPECT_FALSE(house.ask(AddToken{house.token("ann", Role::kAdmin, 2), "user:ann", once}).repeated);
}

TEST(People, WhoeverComesSecondIsToldThatItChanged) {
  House house;
  const std::uint64_t rev = house.engine().catalog().find_meta(ObjectKind::kUser, "bob")->rev;
  CatalogEdit edit;
  edit.users = {a_user("bob", Role::kResponder, 2)};
  edit.preconditions = {{{ObjectKind::kUser, "bob"}, rev}};
  EXPECT_FALSE(house.ask(ApplyCatalog{edit, "user:ann"}).error);
  edit.users[0].name = "Bobby";
  const Reply second = house.ask(ApplyCatalog{edit, "user:ann"});
  ASSERT_EQ(second.fields.size(), 1U);
  EXPECT_TRUE(second.fields[0].text.starts_with(kChangedMeanwhile));
  EXPECT_EQ(house.engine().catalog().users.at("bob").name, "bob");
}

TEST(People, ADryRunChangesNothing) {
  House house;
  CatalogEdit edit;
  edit.users = {a_user("cleo", Role::kViewer, 9)};
  const Decision d = house.step(ApplyCatalog{edit, "user:ann", true});
  EXPECT_EQ(d.reply->changes.size(), 1U);
  EXPECT_TRUE(d.rows.empty());
  EXPECT_FALSE(house.engine().catalog().users.contains("cleo"));
}

TEST(People, ARestartKnowsThemAll) {
  House house;
  house.ask(SetPassword{"bob", "hash-1", "user:ann"});
  house.ask(AddToken{house.token("bob", Role::kEditor, 2), "user:bob"});
  house.ask(OpenSession{
      {"s1", test::an_id<UserId>(2), house.now().wall, house.now().wall + 1h, "curl", false}});
  const Catalog before = house.engine().catalog();
  house.restart();
  EXPECT_EQ(house.engine().catalog(), before);
  EXPECT_EQ(house.auth().credentials.size(), 1U);
  EXPECT_EQ(house.auth().tokens.size(), 1U);
  EXPECT_EQ(house.auth().sessions.size(), 1U);
}

TEST(Reports, AreWrittenOnceAndGrowByUpdates) {
  House house;
  ReportRow row;
  row.id = test::an_id<ReportId>(7);
  row.page = "shop";
  row.title = "Paper jam";
  row.rev = 0;
  row.components = {"printer"};
  EXPECT_TRUE(house.ask(PutReport{row, "user:ann"}).error);  // Without an update.
  row.updates = {{{}, ReportState::kInvestigating, "We look."}};
  EXPECT_FALSE(house.ask(PutReport{row, "user:ann"}).error);
  EXPECT_FALSE(
      house.ask(AddReportUpdate{row.id, {{}, ReportState::kResolved, "Done."}, "user:ann"}).error);
  EXPECT_TRUE(
      house.ask(AddReportUpdate{row.id, {{}, ReportState::kCompleted, "?"}, "user:ann"}).error);
  row.rev = 1;
  row.title = "Jam";
  EXPECT_TRUE(house.ask(PutReport{row, "user:ann"}).error->text.starts_with(kChangedMeanwhile));
  row.rev = 2;
  EXPECT_FALSE(house.ask(PutReport{row, "user:ann"}).error);
  house.restart();
  const EngineView view = house.engine().view(house.now().wall);
  ASSERT_EQ(view.reports->size(), 1U);
  EXPECT_EQ(view.reports->at(0).title, "Jam");
  EXPECT_EQ(view.reports->at(0).state(), ReportState::kResolved);
  row.components = {"toaster"};
  row.rev = 3;
  EXPECT_EQ(house.ask(PutReport{row, "user:ann"}).error->code, Errc::kInvalid);
}

}  // namespace
}  // namespace tocsin::collector
