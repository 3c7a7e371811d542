// The engine that is restored after every commit is the engine that never stopped (DEC-9).
#include "collector/core/checkpoint.h"
#include "common/base/digest.h"
#include "common/base/rng.h"
#include "tests/support/engine_rig.h"

#include <gtest/gtest.h>

namespace tocsin::collector {
namespace {

using test::EngineRig;
using test::RigAgent;

CatalogEdit base_edit() {
  CatalogEdit edit;
  for (const char* region : {"ber", "fra", "nyc"}) edit.regions.push_back(test::a_region(region));
  edit.channels = {test::a_channel("ops"), test::a_channel("boss")};
  edit.policies = {test::a_policy("web", {{0s, "ops"}, {15min, "boss"}})};
  edit.services = {test::a_service("shop", "web"), test::a_service("system", "web")};
  edit.monitors = {
      test::a_monitor("shop").service("shop").every(60s).build(),
      test::a_monitor("api")
          .service("shop")
          .every(60s)
          .open_after(2)
          .quorum({QuorumKind::kAny, 0})
          .build(),
      test::a_monitor("cdn").every(60s).from({"ber", "fra"}).page_on_degraded().build()};
  return edit;
}

struct Restores : testing::TestWithParam<std::uint64_t> {};

/// A simulated day of 1-minute monitors with failures, silence, late and repeated results, edits
/// and acknowledgements. Every commit is restored into a second engine in the first hour, later one
/// in fifty, and the checkpoint is taken every ten minutes or so.
TEST_P(Restores, AfterEveryCommitOfADay) {
  Rng rng{GetParam()};
  EngineRig rig;
  rig.define(base_edit());
  for (const char* region : {"ber", "fra", "nyc"}) rig.add_agent(region);
  rig.add_agent("ber");
  rig.advance(2min);

  std::vector<bool> failing(3, false);
  std::vector<CheckResult> last;
  std::vector<std::pair<std::size_t, CheckResult>> held;  // Sent later, out of order.
  int commits = 0;
  const auto check = [&](int minute) {
    ++commits;
    if (minute < 60 || rng.below(50) == 0) rig.expect_restorable();
  };
  const char* monitors[] = {"shop", "api", "cdn"};
  for (int minute = 0; minute < 24 * 60 && rig.trouble.empty(); ++minute) {
    for (std::size_t m = 0; m < 3; ++m) {
      if (rng.chance(failing[m] ? 0.1 : 0.01)) failing[m] = !failing[m];
    }
    for (std::size_t i = 0; i < rig.agents(); ++i) {
      RigAgent& agent = rig.agent(i);
      if (!agent.connected) {
        if (rng.chance(0.2)) {
          rig.connect(agent);
          check(minute);
        }
        continue;
      }
      if (rng.chance(0.005)) {
        rig.disconnect(agent);
        check(minute);
        continue;
      }
      std::vector<CheckResult> results;
      for (const auto& [series, assigned] : agent.assigned) {
        std::size_t m = 0;
        while (assigned.key != monitors[m]) ++m;
        const std::uint64_t dice = rng.below(40);
        Outcome outcome = failing[m] ? Outcome::kDown : Outcome::kUp;
        if (dice == 0) outcome = Outcome::kDown;
        if (dice == 1) outcome = Outcome::kNoData;
        if (dice == 2) outcome = Outcome::kDegraded;
        CheckResult result = rig.result(series, outcome);
        result.spec_rev = assigned.spec_rev;
        if (dice == 3) continue;  // Never run.
        if (dice == 4) {
          held.emplace_back(i, result);
          continue;
        }
        results.push_back(result);
      }
      if (!last.empty() && rng.chance(0.05)) results.push_back(last[rng.below(last.size())]);
      if (!results.empty()) {
        last = results;
        rig.send(agent, results);
        check(minute);
      }
    }
    if (!held.empty() && rng.chance(0.1)) {
      const auto [i, result] = held[rng.below(held.size())];
      if (rig.agent(i).connected) {
        rig.send(rig.agent(i), {result});
        check(minute);
      }
    }
    if (rng.chance(0.01)) {
      CatalogEdit edit = base_edit();
      edit.monitors[0].probe.timeout =
          std::chrono::seconds{rng.between(std::int64_t{2}, std::int64_t{9})};
      edit.monitors[1].paused = rng.chance(0.3);
      edit.monitors[2].quorum = {rng.chance(0.5) ? QuorumKind::kAny : QuorumKind::kAll, 0};
      edit.monitors[2].probe.interval = rng.chance(0.5) ? Duration{60s} : Duration{120s};
      rig.define(edit);
      check(minute);
    }
    for (const IncidentRow& incident : rig.open_incidents()) {
      if (rng.chance(0.03)) {
        rig.step(AcknowledgeIncident{incident.id, "ann"});
        check(minute);
      } else if (rng.chance(0.01)) {
        rig.step(ResolveIncident{incident.id, "ann"});
        check(minute);
      }
    }
    if (rng.chance(0.1)) rig.take_checkpoint();
    rig.advance(60s);
    check(minute);
    if (rng.chance(0.002)) {
      rig.restart();
      for (std::size_t i = 0; i < rig.agents(); ++i) rig.connect(rig.agent(i));
      check(minute);
    }
  }
  for (const std::string& text : rig.trouble) ADD_FAILURE() << text;
  EXPECT_GT(commits, 3000);
  EXPECT_GT(rig.incidents().size(), 3U);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Restores, testing::Values(1, 2, 3, 4));

TEST(Restore, ADamagedCheckpointStartsWithEmptyVotesAndSaysSo) {
  EngineRig rig;
  rig.define(base_edit());
  rig.add_agent("ber");
  rig.advance(2min);
  Snapshot snapshot = rig.snapshot();
  snapshot.checkpoint = rig.engine().checkpoint();
  snapshot.checkpoint[snapshot.checkpoint.size() / 2] ^= 0x10;
  Engine engine{Engine::Options{}};
  engine.restore(snapshot, {}, rig.now());
  const Decision decision = engine.step(Tick{}, {0, snapshot.commit_seq + 1, rig.now()});
  ASSERT_FALSE(decision.notices.empty());
  EXPECT_EQ(decision.notices[0].code, "restore_trouble");
}

TEST(Checkpoint, AFailingResultComesBackWithItsEvidence) {
  CheckResult result;
  result.series = SeriesId{7};
  result.outcome = Outcome::kDown;
  result.reason = Reason::kTlsVerifyExpired;
  Attempt attempt;
  attempt.finding = {Outcome::kDown, Reason::kTlsVerifyExpired, "x"};
  attempt.tried = {"192.0.2.1:443: connect.timeout", "192.0.2.2:443: connect.refused"};
  TlsFacts tls;
  tls.version = "TLSv1.3";
  tls.alert_received = "unknown_ca (48)";
  tls.not_after = WallTime{-5};
  tls.chain_size = 3;
  tls.chain = {{.subject = "CN=a", .names = {"a", "b"}, .name_count = 2, .not_after = WallTime{9}},
               {.subject = "CN=b", .sha256 = "00"}};
  tls.problems = {{Reason::kTlsVerifyHostname, 0, "y"}};
  tls.ocsp = {OcspStatus::kRevoked, WallTime{8}, WallTime{9}};
  attempt.tls = tls;
  attempt.connection = ConnectionUse::kReused;
  Attempt redirected;
  redirected.connection = ConnectionUse::kResumed;
  redirected.hops = {{"http://a/", "192.0.2.1:80", 302, {1, 2, 3, 4, 5, 6, 21}},
                     {"https://a/", "", 0, {7, 0, 0, 0, 0, 0, 7}}};
  redirected.tcp = TcpFacts{TcpState::kCloseWait, 12, 6, 3, 1, 1'000'000'000'000, 7, 1460, 1500};
  result.attempts = {attempt, redirected, Attempt{}};
  Bytes bytes;
  ByteWriter out{bytes};
  encode_result(out, result);
  ByteReader in{as_bytes(bytes)};
  EXPECT_EQ(decode_result(in), result);
  EXPECT_TRUE(in.ok());
  EXPECT_TRUE(in.rest().empty());
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    ByteReader cut{as_bytes(std::string_view{bytes}.substr(0, n))};
    decode_result(cut);
    EXPECT_FALSE(cut.ok()) << n;
  }
}

/// The SHA-256 of what it becomes: checkpoints of earlier versions hold it in this form.
std::string form_of(const CheckResult& result) {
  Bytes bytes;
  ByteWriter out{bytes};
  encode_result(out, result);
  return fmt::format("{} {}", bytes.size(), to_hex(sha256(as_bytes(bytes))).substr(0, 16));
}

TEST(Checkpoint, WhatEarlierVersionsWroteKeepsItsForm) {
  CheckResult result;
  result.series = SeriesId{7};
  result.outcome = Outcome::kDown;
  Attempt attempt;
  attempt.finding = {Outcome::kDown, Reason::kTlsVerifyExpired, "x"};
  TlsFacts tls;
  tls.version = "TLSv1.3";
  tls.chain = {{.subject = "CN=a", .names = {"a", "b"}, .name_count = 2, .not_after = WallTime{9}}};
  tls.problems = {{Reason::kTlsVerifyHostname, 0, "y"}};
  attempt.tls = tls;
  Attempt redirected;
  redirected.hops = {{"http://a/", "192.0.2.1:80", 302, {1, 2, 3, 4, 5, 6, 21}}};
  redirected.tcp = TcpFacts{TcpState::kCloseWait, 12, 6, 3, 1, 1'000'000'000'000, 7, 1460, 1500};
  result.attempts = {attempt, redirected, Attempt{}};
  EXPECT_EQ(form_of(result), "499 476f52ce7c20c3d2");
}

}  // namespace
}  // namespace tocsin::collector
