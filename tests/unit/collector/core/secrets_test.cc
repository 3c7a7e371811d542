#include "tests/support/engine_rig.h"

#include <gtest/gtest.h>

namespace tocsin::collector {
namespace {

using test::a_monitor;
using test::RigAgent;

MonitorSpec asking(const std::string& key, const std::string& secret) {
  HttpTarget target;
  target.url = "https://shop.example/" + key;
  if (!secret.empty()) {
    target.auth = {HttpAuth::Kind::kBearer, {}, SecretRef::stored(secret)};
  }
  return a_monitor(key).target(target).build();
}

/// One region with one agent, and two monitors of which one names a secret.
struct House : test::EngineRig {
  House() {
    CatalogEdit edit;
    edit.regions = {RegionSpec{"ber", "Berlin"}};
    edit.monitors = {asking("closed", "token"), asking("open", "")};
    define(edit);
    add_agent("ber");
  }

  Reply put(const std::string& name, const std::string& sealed,
            std::optional<std::uint64_t> rev = std::nullopt) {
    return *step(PutSecret{name, sealed, rev, "user:ann"}).reply;
  }

  Reply remove(const std::string& name) {
    return *step(DeleteSecret{name, std::nullopt, "user:ann"}).reply;
  }

  /// The last assignment that the agent was sent.
  Assignment newest() {
    Assignment out;
    for (const CollectorMessage& message : agent(0).heard) {
      if (const auto* assignment = std::get_if<Assignment>(&message)) out = *assignment;
    }
    return out;
  }

  std::vector<SecretRow> kept() { return *engine().view(now().wall).secrets; }
};

TEST(Secrets, AreSentSealedWithTheMonitorsThatNameThem) {
  House house;
  EXPECT_EQ(house.newest().secrets, (std::vector<AssignedSecret>{{"token", ""}}))
      << "not set yet: the agent hears that there is none";
  EXPECT_FALSE(house.put("unused", "v1.u").error);
  const std::uint64_t before = house.newest().epoch;
  EXPECT_FALSE(house.put("token", "v1.a").error);
  const Assignment delta = house.newest();
  EXPECT_EQ(delta.epoch, before + 1);
  ASSERT_EQ(delta.put.size(), 1U) << "only the monitor that names it";
  EXPECT_EQ(delta.put[0].key, "closed");
  EXPECT_EQ(delta.secrets, (std::vector<AssignedSecret>{{"token", "v1.a"}}));

  EXPECT_FALSE(house.put("token", "v1.b").error);
  EXPECT_EQ(house.newest().secrets, (std::vector<AssignedSecret>{{"token", "v1.b"}}));
  // Only whoever runs a monitor that names it.
  CatalogEdit edit;
  edit.monitors = {asking("open", "unused")};
  house.define(edit);
  EXPECT_EQ(house.newest().secrets, (std::vector<AssignedSecret>{{"unused", "v1.u"}}));
  house.expect_restorable();
  EXPECT_TRUE(house.trouble.empty()) << house.trouble.front();
}

TEST(Secrets, ASecretIsNoChangeOfWhatIsMeasured) {
  House house;
  const std::uint32_t rev = house.newest().put[0].spec_rev;
  EXPECT_FALSE(house.put("token", "v1.a").error);
  EXPECT_EQ(house.newest().put[0].spec_rev, rev);
}

TEST(Secrets, AreWrittenReadBackAndAuditedWithoutWhatTheyAre) {
  House house;
  const Decision made = house.step(PutSecret{"token", "v1.a", std::nullopt, "user:ann"});
  bool audited = false;
  for (const Row& row : made.rows) {
    if (const auto* audit = std::get_if<AuditRow>(&row)) {
      audited = true;
      EXPECT_EQ(audit->action + " " + audit->kind + " " + audit->key, "create secret token");
      EXPECT_EQ(audit->detail, "");
    }
  }
  EXPECT_TRUE(audited);
  house.restart();
  ASSERT_EQ(house.kept().size(), 1U);
  EXPECT_EQ(house.kept()[0].sealed, "v1.a");
  house.connect(house.agent(0));
  EXPECT_FALSE(house.put("token", "v1.b").error);
  EXPECT_EQ(house.kept()[0].rev, 2U);
}

TEST(Secrets, TheRevisionIsHeededAndAMonitorKeepsWhatItNames) {
  House house;
  EXPECT_EQ(house.put("token", "v1.a", 1).error->code, Errc::kNotFound);
  EXPECT_FALSE(house.put("token", "v1.a").error);
  EXPECT_EQ(house.put("token", "v1.b", 2).error->code, Errc::kExists);
  EXPECT_FALSE(house.put("token", "v1.b", 1).error);
  const Reply refused = house.remove("token");
  ASSERT_TRUE(refused.error);
  EXPECT_EQ(refused.error->code, Errc::kInvalid);
  EXPECT_EQ(refused.error->text, "monitor 'closed' names secret 'token': change it first");
  EXPECT_EQ(house.remove("other").error->code, Errc::kNotFound);
  CatalogEdit edit;
  edit.monitors = {asking("closed", "")};
  house.define(edit);
  EXPECT_FALSE(house.remove("token").error);
  EXPECT_TRUE(house.kept().empty());
  house.restart();
  EXPECT_TRUE(house.kept().empty());
}

TEST(Secrets, AnAgentOfAnOlderVersionGetsNoMonitorThatNamesOne) {
  House house;
  RigAgent& old = house.agent(0);
  house.disconnect(old);
  old.capabilities = kCapHttp | kCapTcp | kCapDns | kCapTls;
  house.connect(old);
  EXPECT_TRUE(old.assigned.contains(house.series_of("open", "ber")));
  EXPECT_FALSE(old.assigned.contains(house.series_of("closed", "ber")));
}

}  // namespace
}  // namespace tocsin::collector
