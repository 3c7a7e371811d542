#include "collector/engine/replay.h"

#include "common/wire/frame.h"

#include <gtest/gtest.h>

namespace tocsin::collector {
namespace {

const AgentId kAgent{{1, 2, 3}};

JournalEntry frame_entry() {
  CheckResult result;
  result.series = SeriesId{3};
  result.tick = result.tick_last = 7;
  const StreamId stream{kAgent, 1, Uuid{5}, 0, StreamClass::kAlert};
  Bytes bytes{as_view(kAgent.bytes)};
  bytes += wire::encode_results_frame(stream, 1, wire::genesis(stream), {result});
  return {JournalEntry::Kind::kFrame, std::make_shared<const Bytes>(bytes)};
}

Store::RawGroup group_of(std::vector<JournalEntry> entries) {
  return {Group{0, 9, {}}, std::move(entries)};
}

TEST(Replay, DecodesFramesAndPassesAgentStateOn) {
  const JournalEntry state{JournalEntry::Kind::kAgentState, std::make_shared<const Bytes>("x")};
  const auto groups = decode_journal({group_of({frame_entry(), state})});
  ASSERT_TRUE(groups) << groups.error().text;
  ASSERT_EQ(groups->size(), 1U);
  EXPECT_EQ((*groups)[0].group.commit_seq, 9U);
  const auto* frame = std::get_if<FrameArrived>(&(*groups)[0].entries[0]);
  ASSERT_NE(frame, nullptr);
  EXPECT_EQ(frame->agent, kAgent);
  EXPECT_EQ(frame->results[0].tick, 7U);
  EXPECT_EQ(std::get<Bytes>((*groups)[0].entries[1]), "x");
}

TEST(Replay, DamageIsNamedByGroupAndEntry) {
  JournalEntry damaged = frame_entry();
  Bytes bytes = *damaged.bytes;
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  damaged.bytes = std::make_shared<const Bytes>(bytes);
  for (const JournalEntry& entry :
       {damaged,
        JournalEntry{JournalEntry::Kind::kFrame, std::make_shared<const Bytes>("short")}}) {
    const auto groups = decode_journal({group_of({frame_entry(), entry})});
    ASSERT_FALSE(groups);
    EXPECT_EQ(groups.error().code, Errc::kCorrupt);
    EXPECT_NE(groups.error().text.find("journal group 9 entry 1"), std::string::npos);
  }
}

TEST(Replay, KeysOfRevokedAgentsAndUsedBundlesAreTakenAwayAgain) {
  Snapshot snapshot;
  AgentRow live, revoked;
  live.agent = kAgent;
  live.public_key = "live";
  revoked.agent = AgentId{{9}};
  revoked.public_key = "revoked";
  revoked.revoked_at = WallTime{5};
  EnrolmentRow open, used;
  open.public_key = "open";
  open.expires_at = WallTime{7};
  used.public_key = "used";
  used.used_at = WallTime{6};
  snapshot.rows = {live, revoked, open, used};
  using Use = KeyChanged::Use;
  std::vector<std::pair<std::string, Use>> seen;
  for (const Effect& effect : keys_of(snapshot)) {
    const auto& key = std::get<KeyChanged>(effect);
    seen.emplace_back(key.public_key, key.use);
    if (key.public_key == "open") {
      EXPECT_EQ(key.expires, WallTime{7});
    }
  }
  const std::vector<std::pair<std::string, Use>> expected = {
      {"live", Use::kAgent},     {"revoked", Use::kAgent},  {"revoked", Use::kNone},
      {"open", Use::kEnrolment}, {"used", Use::kEnrolment}, {"used", Use::kNone}};
  EXPECT_EQ(seen, expected);
}

}  // namespace
}  // namespace tocsin::collector
