#include "collector/core/catalog.h"

#include "tests/support/builders.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace tocsin::collector {
namespace {

constexpr WallTime kT{1'000'000'000'000};

CatalogEdit an_edit() {
  CatalogEdit edit;
  edit.regions = {test::a_region("ber"), test::a_region("fra")};
  edit.channels = {test::a_channel("ops")};
  edit.policies = {test::a_policy("web", {{0s, "ops"}})};
  edit.services = {test::a_service("shop", "web")};
  edit.monitors = {test::a_monitor("shop").service("shop").build()};
  edit.origin = Origin::kFile;
  return edit;
}

bool has_error(const std::vector<FieldError>& errors, const std::string& path) {
  return std::any_of(errors.begin(), errors.end(),
                     [&](const FieldError& e) { return e.path == path; });
}

TEST(Catalog, ASecondApplyOfTheSameChangesNothing) {
  const auto first = plan(empty_catalog(), an_edit(), kT);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->after.version, 1U);
  EXPECT_EQ(first->changes.size(), 6U);
  const auto second = plan(first->after, an_edit(), kT + 1h);
  ASSERT_TRUE(second.has_value());
  EXPECT_TRUE(second->changes.empty());
  EXPECT_EQ(second->after, first->after);
}

TEST(Catalog, OnlyWhatIsMeasuredRaisesTheRevision) {
  const Catalog before = plan(empty_catalog(), an_edit(), kT)->after;
  CatalogEdit edit = an_edit();
  edit.monitors[0].name = "Shop checkout";
  edit.monitors[0].quorum = {QuorumKind::kAny, 0};
  edit.monitors[0].id = test::an_id<MonitorId>(77);
  Catalog after = plan(before, edit, kT)->after;
  EXPECT_EQ(after.monitors.at("shop").spec_rev, 1U);
  EXPECT_EQ(after.monitors.at("shop").spec.id, before.monitors.at("shop").spec.id);
  edit.monitors[0].probe.timeout = 3s;
  after = plan(after, edit, kT)->after;
  EXPECT_EQ(after.monitors.at("shop").spec_rev, 2U);
}

TEST(Catalog, EveryBrokenRuleIsNamed) {
  CatalogEdit edit = an_edit();
  edit.monitors[0].regions = {"bre"};
  edit.monitors[0].service = "nope";
  edit.monitors[0].close_after = 0;
  edit.policies[0].steps[0].notify[0].channel = "pager";
  edit.services[0].policy = "wbe";
  const auto got = plan(empty_catalog(), edit, kT);
  ASSERT_FALSE(got.has_value());
  for (const char* path :
       {"monitors[shop].regions[0]", "monitors[shop].service", "monitors[shop].close_after",
        "escalation-policies[web].steps[0].notify[0].channel", "services[shop].policy"}) {
    EXPECT_TRUE(has_error(got.error(), path)) << path;
  }
}

TEST(Catalog, PruneDeletesOnlyWhatTheFileMade) {
  Catalog catalog = plan(empty_catalog(), an_edit(), kT)->after;
  CatalogEdit by_hand;
  by_hand.monitors = {test::a_monitor("by-hand").build()};
  catalog = plan(catalog, by_hand, kT)->after;
  CatalogEdit edit = an_edit();
  edit.monitors.clear();
  edit.prune = true;
  const auto pruned = plan(catalog, edit, kT);
  ASSERT_TRUE(pruned.has_value());
  EXPECT_FALSE(pruned->after.monitors.contains("shop"));
  EXPECT_TRUE(pruned->after.monitors.contains("by-hand"));
  EXPECT_TRUE(pruned->after.services.contains("default"));
}

TEST(Catalog, WhatTheFileManagesIsReadOnlyElsewhere) {
  const Catalog catalog = plan(empty_catalog(), an_edit(), kT)->after;
  CatalogEdit edit;
  edit.monitors = {test::a_monitor("shop").every(60s).build()};
  const auto got = plan(catalog, edit, kT);
  ASSERT_FALSE(got.has_value());
  EXPECT_TRUE(has_error(got.error(), "monitors[shop]"));
}

}  // namespace
}  // namespace tocsin::collector
