// Logins, sessions and passwords over real HTTP, with a real engine and real argon2.

#include "collector/api/api.h"
#include "tests/support/api_rig.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace tocsin::collector {
namespace {

using test::contains;
using test::status_of;

const std::string kJson = "Content-Type: application/json\r\n";
const std::string kOurs = "Sec-Fetch-Site: same-origin\r\n";
constexpr const char* kAnn = "correct horse battery";

UserSpec a_user(const std::string& key, Role role, std::uint64_t n) {
  UserSpec user;
  user.id = test::an_id<UserId>(n);
  user.key = user.name = key;
  user.email = key + "@example.com";
  user.role = role;
  return user;
}

/// ann, an editor with a password; bob, a viewer without; root, an admin with a token.
class SessionApiTest : public testing::Test {
 protected:
  explicit SessionApiTest(std::string public_url = "")
      : api({rig.loop,
             rig.views,
             rig,
             rig,
             [this] { return test::an_id<UserId>(1000 + ++secrets).bytes; },
             [this] { return "secret-" + std::to_string(++secrets); },
             pool,
             public_url,
             public_url.starts_with("https://"),
             {},
             box}) {
    CatalogEdit edit;
    edit.users = {a_user("ann", Role::kEditor, 1), a_user("bob", Role::kViewer, 2),
                  a_user("root", Role::kAdmin, 3)};
    rig.command(ApplyCatalog{edit, "test"});
    rig.command(SetPassword{"ann", *io::hash_password(io::Secret{kAnn}), "test"});
    TokenRow token;
    token.id = test::an_id<TokenId>(4);
    token.name = "root";
    token.digest = token_digest("tcs_root");
    token.owner = "root";
    token.role = Role::kAdmin;
    rig.command(AddToken{token, "test"});
    api.add_routes(rig.router);
  }

  ~SessionApiTest() override { EXPECT_EQ(rig.trouble, std::vector<std::string>{}); }

  std::string log_in(const std::string& user, const std::string& password,
                     const std::string& headers = "") {
    return rig.ask("POST", "/api/v1/session", kJson + headers,
                   fmt::format(R"({{"user":"{}","password":"{}"}})", user, password));
  }

  /// The Cookie header of a login's answer.
  static std::string cookie_of(const std::string& answer) {
    const std::size_t at = answer.find("Set-Cookie: ");
    if (at == std::string::npos) return {};
    const std::size_t begin = at + 12;
    return "Cookie: " + answer.substr(begin, answer.find(';', begin) - begin) + "\r\n";
  }

  std::size_t sessions() { return rig.views.view()->auth->sessions.size(); }

  std::uint64_t secrets = 0;
  test::ApiRig rig;
  io::PasswordPool pool{rig.loop};
  const io::SecretBox box{io::Secret{std::string(io::SecretBox::kKeyBytes, 'k')}};
  Api api;
};

const std::string kRoot = "Authorization: Bearer tcs_root\r\n";

TEST_F(SessionApiTest, ALoginOpensASessionWithTheUsersRole) {
  const std::string got = log_in("ann", kAnn);
  ASSERT_EQ(status_of(got), 200) << got;
  EXPECT_TRUE(contains(got, "\"user\":\"ann\""));
  EXPECT_TRUE(contains(got, "\"role\":\"editor\""));
  EXPECT_FALSE(contains(got, "argon2"));
  const std::string cookie = cookie_of(got);
  const std::string secret =
      cookie.substr(cookie.find('=') + 1, cookie.size() - cookie.find('=') - 3);
  EXPECT_FALSE(rig.views.view()->auth->sessions.contains(secret)) << "only its digest is kept";
  EXPECT_TRUE(rig.views.view()->auth->sessions.contains(token_digest(secret)));
  EXPECT_EQ(status_of(rig.ask("GET", "/api/v1/session", cookie)), 200);
  EXPECT_EQ(status_of(rig.ask("GET", "/api/v1/monitors", cookie)), 200);
  EXPECT_EQ(status_of(rig.ask("GET", "/api/v1/tokens", cookie)), 403) << "an editor";
  EXPECT_EQ(status_of(log_in("Ann@Example.com", kAnn)), 200) << "by e-mail";
}

TEST_F(SessionApiTest, WhoIsUnknownHasNoPasswordOrIsDisabledHearsTheSame) {
  const auto body = [](const std::string& answer) {
    return answer.substr(answer.find("\r\n\r\n"));
  };
  const std::string wrong = log_in("ann", "not the password");
  EXPECT_EQ(status_of(wrong), 401);
  EXPECT_EQ(body(log_in("nobody", kAnn)), body(wrong));
  EXPECT_EQ(body(log_in("bob", kAnn)), body(wrong));
  CatalogEdit edit;
  edit.users = {a_user("ann", Role::kEditor, 1)};
  edit.users[0].disabled = true;
  rig.command(ApplyCatalog{edit, "test"});
  EXPECT_EQ(body(log_in("ann", kAnn)), body(wrong));
  EXPECT_EQ(sessions(), 0U);
}

TEST_F(SessionApiTest, FiveFailuresLockTheAccountWhoeverItIs) {
  for (const std::string user : {"ann", "nobody"}) {
    for (std::uint32_t i = 0; i < Api::kAccountFailures; ++i) {
      EXPECT_EQ(status_of(log_in(i % 2 == 0 ? user : user + (user == "ann" ? "@example.com" : ""),
                                 "not the password")),
                401);
    }
    const std::string got = log_in(user, kAnn);
    EXPECT_EQ(status_of(got), 429) << user;
    EXPECT_TRUE(contains(got, "Retry-After: 60\r\n"));
  }
  rig.pass(1min);
  EXPECT_EQ(status_of(log_in("ann", kAnn)), 200);
}

TEST_F(SessionApiTest, AnAddressIsLockedWhateverNamesItTries) {
  for (std::uint32_t i = 0; i < Api::kAddressFailures; ++i) {
    EXPECT_EQ(status_of(log_in("user-" + std::to_string(i), "not the password")), 401);
  }
  EXPECT_EQ(status_of(log_in("ann", kAnn)), 429);
}

TEST_F(SessionApiTest, ASessionChangesThingsOnlyFromAPageOfOurs) {
  const std::string cookie = cookie_of(log_in("ann", kAnn));
  const std::string body = R"({"key":"s1"})";
  EXPECT_EQ(status_of(rig.ask("POST", "/api/v1/services", cookie + kJson, body)), 403);
  EXPECT_EQ(status_of(rig.ask("POST", "/api/v1/services",
                              cookie + kJson + "Sec-Fetch-Site: cross-site\r\n", body)),
            403);
  EXPECT_EQ(status_of(rig.ask("POST", "/api/v1/services",
                              cookie + kJson + "Origin: https://evil.example\r\n", body)),
            403);
  EXPECT_EQ(status_of(rig.ask("POST", "/api/v1/services", cookie + kOurs, body)), 415);
  EXPECT_NE(status_of(rig.ask("POST", "/api/v1/services",
                              cookie + kOurs + "Content-Type: text/plain\r\n", body)),
            201);
  const std::string got = rig.ask("POST", "/api/v1/services", cookie + kOurs + kJson, body);
  EXPECT_EQ(status_of(got), 201) << got;
  EXPECT_EQ(status_of(rig.ask("POST", "/api/v1/services", cookie + kJson + "Origin: http://x\r\n",
                              R"({"key":"s2"})")),
            201);
  EXPECT_EQ(status_of(log_in("ann", kAnn, "Origin: https://evil.example\r\n")), 403);
}

TEST_F(SessionApiTest, EndsByLogoutByIdlenessAndByAge) {
  std::string cookie = cookie_of(log_in("ann", kAnn));
  EXPECT_EQ(status_of(rig.ask("DELETE", "/api/v1/session", cookie)), 403) << "not from our page";
  const std::string out = rig.ask("DELETE", "/api/v1/session", cookie + kOurs);
  EXPECT_EQ(status_of(out), 204);
  EXPECT_TRUE(contains(out, "Set-Cookie: tocsin=; Max-Age=0"));
  EXPECT_EQ(status_of(rig.ask("GET", "/api/v1/session", cookie)), 401);
  EXPECT_EQ(status_of(rig.ask("DELETE", "/api/v1/session", kRoot)), 404);

  cookie = cookie_of(log_in("ann", kAnn));
  rig.pass(kSessionIdle);
  EXPECT_EQ(status_of(rig.ask("GET", "/api/v1/session", cookie)), 401);

  cookie = cookie_of(log_in("ann", kAnn));
  Duration age{0};
  for (; age + 6h < kSessionMax; age += 6h) {
    EXPECT_EQ(status_of(rig.ask("GET", "/api/v1/session", cookie)), 200);
    rig.pass(6h);
  }
  EXPECT_EQ(status_of(rig.ask("GET", "/api/v1/session", cookie)), 200);
  rig.pass(kSessionMax - age);
  EXPECT_EQ(status_of(rig.ask("GET", "/api/v1/session", cookie)), 401);
}

TEST_F(SessionApiTest, APasswordIsChangedWithTheOldOneAndEndsOtherSessions) {
  const std::string here = cookie_of(log_in("ann", kAnn));
  const std::string there = cookie_of(log_in("ann", kAnn));
  const auto change = [&](const std::string& headers, const std::string& body) {
    return rig.ask("PUT", "/api/v1/users/ann/password", headers + kJson, body);
  };
  EXPECT_EQ(status_of(change(here + kOurs, R"({"password":"grey tinted glasses"})")), 422);
  EXPECT_EQ(status_of(change(here + kOurs, R"({"password":"short","old_password":"x"})")), 422);
  EXPECT_EQ(status_of(change(here + kOurs,
                             R"({"password":"grey tinted glasses","old_password":"wrong"})")),
            403);
  const std::string good =
      fmt::format(R"({{"password":"grey tinted glasses","old_password":"{}"}})", kAnn);
  EXPECT_EQ(status_of(change(here, good)), 403) << "not from our page";
  EXPECT_EQ(status_of(change(here + kOurs, good)), 204);
  EXPECT_EQ(status_of(rig.ask("GET", "/api/v1/session", here)), 200);
  EXPECT_EQ(status_of(rig.ask("GET", "/api/v1/session", there)), 401);
  EXPECT_EQ(status_of(log_in("ann", kAnn)), 401);
  EXPECT_EQ(status_of(log_in("ann", "grey tinted glasses")), 200);
}

TEST_F(SessionApiTest, AnAdminSetsAnybodysPasswordAndNobodyElseDoes) {
  const std::string cookie = cookie_of(log_in("ann", kAnn));
  const std::string body = R"({"password":"grey tinted glasses"})";
  EXPECT_EQ(status_of(rig.ask("PUT", "/api/v1/users/bob/password", cookie + kOurs + kJson, body)),
            403)
      << "an editor, of somebody else";
  EXPECT_EQ(status_of(rig.ask("PUT", "/api/v1/users/bob/password", kRoot + kJson, body)), 204);
  const std::string bob = cookie_of(log_in("bob", "grey tinted glasses"));
  EXPECT_NE(bob, "");
  EXPECT_EQ(status_of(rig.ask("DELETE", "/api/v1/users/ann/sessions", bob + kOurs)), 403);
  EXPECT_EQ(status_of(rig.ask("DELETE", "/api/v1/users/bob/sessions", bob + kOurs)), 204) << "own";
  EXPECT_EQ(status_of(rig.ask("GET", "/api/v1/session", bob)), 401);
  EXPECT_EQ(status_of(rig.ask("DELETE", "/api/v1/users/ann/sessions", kRoot)), 204);
  EXPECT_EQ(sessions(), 0U);
  EXPECT_EQ(status_of(rig.ask("PUT", "/api/v1/users/eve/password", kRoot + kJson, body)), 404);
}

TEST_F(SessionApiTest, EachOfItIsALineOfTheAuditLog) {
  const std::string cookie = cookie_of(log_in("ann", kAnn));
  rig.ask("DELETE", "/api/v1/session", cookie + kOurs);
  const std::string got = rig.ask("GET", "/api/v1/audit", kRoot);
  for (const char* action : {"login", "logout", "set-password"}) {
    EXPECT_TRUE(
        contains(got, fmt::format("\"action\":\"{}\",\"kind\":\"user\",\"key\":\"ann\"", action)))
        << action << got;
  }
}

class HttpsSessionTest : public SessionApiTest {
 protected:
  HttpsSessionTest()
      : SessionApiTest("https://tocsin.example.com") {}
};

TEST_F(HttpsSessionTest, TheCookieIsBoundToTheHostAndToTls) {
  const std::string got = log_in("ann", kAnn);
  EXPECT_TRUE(contains(got, "Set-Cookie: __Host-tocsin=")) << got;
  EXPECT_TRUE(contains(got, "; Path=/; HttpOnly; SameSite=Lax; Secure\r\n"));
  const std::string cookie = cookie_of(got);
  EXPECT_EQ(status_of(rig.ask("GET", "/api/v1/session", cookie)), 200);
  std::string planted = cookie;
  planted.replace(planted.find("__Host-"), 7, "");
  EXPECT_EQ(status_of(rig.ask("GET", "/api/v1/session", planted)), 401) << "another name";
}

}  // namespace
}  // namespace tocsin::collector
