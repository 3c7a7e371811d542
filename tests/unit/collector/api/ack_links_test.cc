#include "collector/api/ack_links.h"

#include "tests/support/api_rig.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace tocsin::collector {
namespace {

using test::contains;
using test::status_of;

const std::string kKey = "0123456789abcdef0123456789abcdef";

/// ann is paged by mail at once and ops-mail too; the incident is about a channel.
class AckLinksTest : public testing::Test {
 protected:
  AckLinksTest() {
    CatalogEdit edit;
    UserSpec ann;
    ann.id = test::an_id<UserId>(1);
    ann.key = "ann";
    ann.name = "Ann <b>Lee</b>";
    ann.contacts = {
        {test::an_id<ContactMethodId>(2), "mail", ChannelType::kEmail, "ann@example.com", "", ""}};
    UserSpec boss = ann;
    boss.id = test::an_id<UserId>(3);
    boss.key = boss.name = "boss";
    boss.role = Role::kAdmin;
    edit.users = {ann, boss};
    ChannelSpec mail = test::a_channel("ops-mail");
    mail.type = ChannelType::kEmail;
    mail.url.clear();
    mail.to = "ops@example.com";
    edit.channels = {test::a_channel("hook"), mail};
    PolicySpec policy = test::a_policy("ops", {{0s, "ops-mail"}, {10min, "hook"}});
    policy.steps[0].notify.push_back({"", "ann"});
    policy.ack_timeout = 1h;
    edit.policies = {policy};
    edit.services = {test::a_service("system", "ops")};
    rig.command(ApplyCatalog{edit, "test"});
    rig.command(ChannelHealth{"hook", false, rig.now().wall, "<script>x</script> refused"});
    links.add_routes(rig.router);
  }

  ~AckLinksTest() override { EXPECT_EQ(rig.trouble, std::vector<std::string>{}); }

  OutboxRow message_to(const std::string& channel) const {
    const auto it = std::find_if(rig.outbox.rbegin(), rig.outbox.rend(), [&](const OutboxRow& row) {
      return row.channel == channel && row.kind == NotificationKind::kTrigger;
    });
    EXPECT_NE(it, rig.outbox.rend());
    return *it;
  }

  std::string path_of(const std::string& channel) const {
    return "/ack/" + ack_token(ack_link_of(message_to(channel)), as_bytes(kKey));
  }

  IncidentRow incident() const { return rig.incidents().at(0); }

  test::ApiRig rig;
  AckLinks links{{rig.loop, rig.views, rig, rig, io::Secret{kKey}}};
};

TEST(AckToken, IsReadBackAndNothingElseIs) {
  const AckLink link{test::an_id<IncidentId>(1), test::an_id<NotificationId>(2),
                     WallTime{1'795'230'000'000'000}};
  const std::string token = ack_token(link, as_bytes(kKey));
  EXPECT_EQ(token.size(), 92U);
  EXPECT_EQ(read_ack_token(token, as_bytes(kKey)), link);
  EXPECT_FALSE(read_ack_token(token, as_bytes("another")));
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::string forged = token;
    forged[i] = forged[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(read_ack_token(forged, as_bytes(kKey))) << i;
  }
  EXPECT_FALSE(read_ack_token(token + "A", as_bytes(kKey)));
  EXPECT_FALSE(read_ack_token(token.substr(1), as_bytes(kKey)));
  EXPECT_FALSE(read_ack_token("", as_bytes(kKey)));
}

TEST_F(AckLinksTest, LookingChangesNothingHoweverOften) {
  const std::size_t rows = rig.timeline.size();
  for (int i = 0; i < 5; ++i) {
    const std::string got = rig.ask("GET", path_of("ann/mail"));
    EXPECT_EQ(status_of(got), 200) << got;
    EXPECT_TRUE(contains(got, "<form method=\"post\">"));
    EXPECT_EQ(status_of(rig.ask("HEAD", path_of("ann/mail"))), 200);
  }
  EXPECT_EQ(rig.timeline.size(), rows);
  EXPECT_EQ(incident().state, IncidentState::kOpen);
}

TEST_F(AckLinksTest, ThePageIsSealedAndItsTextInert) {
  const std::string got = rig.ask("GET", path_of("ann/mail"));
  for (const std::string_view header :
       {"Content-Security-Policy: default-src 'none'; style-src 'sha256-", "frame-ancestors 'none'",
        "Referrer-Policy: no-referrer\r\n", "Cache-Control: no-store\r\n",
        "X-Robots-Tag: noindex, nofollow\r\n", "X-Content-Type-Options: nosniff\r\n"}) {
    EXPECT_TRUE(contains(got, header)) << header;
  }
  EXPECT_FALSE(contains(got, "<script"));
  EXPECT_TRUE(contains(got, "&lt;script&gt;x&lt;/script&gt; refused")) << got;
  EXPECT_TRUE(contains(got, "Ann &lt;b&gt;Lee&lt;/b&gt; (ann)"));
  EXPECT_FALSE(contains(got, "href=")) << "it leads nowhere";
}

TEST_F(AckLinksTest, TheButtonAcknowledgesInThePersonsNameAndStopsTheLadder) {
  const std::string path = path_of("ann/mail");
  const std::string got = rig.ask("POST", path);
  EXPECT_EQ(status_of(got), 200);
  EXPECT_TRUE(contains(got, "INC-1 is acknowledged")) << got;
  EXPECT_TRUE(contains(got, "ann acknowledged it at "));
  EXPECT_EQ(incident().acknowledged_by, "user:ann");
  EXPECT_EQ(incident().assignee, "ann");
  const std::size_t sent = rig.outbox.size();
  rig.pass(20min);
  EXPECT_EQ(rig.outbox.size(), sent) << "no further step";

  EXPECT_EQ(status_of(rig.ask("POST", path)), 409) << "a second time";
  const std::string other = rig.ask("POST", path_of("ops-mail"));
  EXPECT_EQ(status_of(other), 409);
  EXPECT_TRUE(contains(other, "acknowledged already")) << other;
  const std::string shown = rig.ask("GET", path);
  EXPECT_EQ(status_of(shown), 200);
  EXPECT_FALSE(contains(shown, "<form"));
}

TEST_F(AckLinksTest, ALinkToAChannelSpeaksForTheChannel) {
  EXPECT_TRUE(contains(rig.ask("GET", path_of("ops-mail")), "whoever reads ops-mail"));
  EXPECT_EQ(status_of(rig.ask("POST", path_of("ops-mail"))), 200);
  EXPECT_EQ(incident().acknowledged_by, "channel:ops-mail");
}

TEST_F(AckLinksTest, OfAResolvedIncidentItSaysSo) {
  const std::string path = path_of("ann/mail");
  rig.command(ChannelHealth{"hook", true, rig.now().wall, ""});
  EXPECT_TRUE(contains(rig.ask("GET", path), "INC-1 is resolved"));
  EXPECT_EQ(status_of(rig.ask("GET", path)), 200);
  EXPECT_EQ(status_of(rig.ask("POST", path)), 409);
}

TEST_F(AckLinksTest, AUsedLinkDoesNotAnswerAnIncidentThatIsOpenAgain) {
  const std::string path = path_of("ann/mail");
  EXPECT_EQ(status_of(rig.ask("POST", path)), 200);
  rig.pass(1h);
  ASSERT_EQ(incident().state, IncidentState::kOpen);
  for (const char* method : {"GET", "POST"}) {
    const std::string got = rig.ask(method, path);
    EXPECT_EQ(status_of(got), 410);
    EXPECT_TRUE(contains(got, "INC-1 is open again")) << got;
  }
  EXPECT_NE(path_of("ann/mail"), path) << "the new message has its own";
  EXPECT_EQ(status_of(rig.ask("POST", path_of("ann/mail"))), 200);
}

TEST_F(AckLinksTest, ItEndsWithTimeAndWithThePerson) {
  const std::string path = path_of("ann/mail");
  CatalogEdit edit;
  UserSpec ann = rig.engine().catalog().users.at("ann");
  ann.disabled = true;
  edit.users = {ann};
  rig.command(ApplyCatalog{edit, "test"});
  EXPECT_EQ(status_of(rig.ask("GET", path)), 403);
  EXPECT_EQ(status_of(rig.ask("POST", path)), 403);
  rig.pass(kAckLinkValid);
  EXPECT_EQ(status_of(rig.ask("GET", path)), 410);
  EXPECT_EQ(status_of(rig.ask("POST", path)), 410);
  EXPECT_EQ(incident().state, IncidentState::kOpen);
}

TEST_F(AckLinksTest, GuessesAreLimitedAndKeepNobodyFromAnswering) {
  std::string forged = path_of("ann/mail");
  forged.back() = forged.back() == 'A' ? 'B' : 'A';
  for (std::uint32_t i = 0; i < AckLinks::kForged.burst; ++i) {
    EXPECT_EQ(status_of(rig.ask("POST", forged)), 404);
  }
  const std::string got = rig.ask("POST", forged);
  EXPECT_EQ(status_of(got), 429);
  EXPECT_TRUE(contains(got, "Retry-After: 1\r\n"));
  EXPECT_EQ(status_of(rig.ask("POST", path_of("ann/mail"))), 200);
}

TEST_F(AckLinksTest, WhenTheCollectorCannotItSaysLater) {
  const std::string path = path_of("ann/mail");
  rig.busy = true;
  EXPECT_EQ(status_of(rig.ask("POST", path)), 503);
  rig.busy = false;
  rig.readable = false;
  EXPECT_EQ(status_of(rig.ask("GET", path)), 503);
  rig.readable = true;
  EXPECT_EQ(status_of(rig.ask("POST", path)), 200);
}

}  // namespace
}  // namespace tocsin::collector
