#include "collector/core/votes.h"

#include "common/base/rng.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>

namespace tocsin::collector {
namespace {

constexpr std::int64_t kInterval = 1000;

RunRule rule(int open_after, int close_after) { return {open_after, close_after, kInterval}; }

TEST(SampleLog, ASteadySeriesIsOneStretch) {
  SampleLog log;
  for (int i = 0; i < 1000; ++i) log.put(i * kInterval, 1, Outcome::kUp, rule(1, 2));
  EXPECT_EQ(log.stretches(), (std::vector<Stretch>{{0, 1000, Outcome::kUp}}));
  EXPECT_EQ(log.tip().ballot(), Ballot::kUp);
}

TEST(SampleLog, TurnsDownAfterOpenAfterAndBackAfterCloseAfter) {
  SampleLog log;
  const RunRule r = rule(3, 2);
  std::vector<Ballot> seen;
  std::int64_t slot = 0;
  for (const char c : std::string{"uddduduu"}) {
    log.put(slot += kInterval, 1, c == 'u' ? Outcome::kUp : Outcome::kDown, r);
    seen.push_back(log.tip().ballot());
  }
  using enum Ballot;
  EXPECT_EQ(seen, (std::vector<Ballot>{kUp, kUp, kUp, kDown, kDown, kDown, kDown, kUp}));
}

TEST(SampleLog, MissedAndNoDataAreNoVoteAndLeaveTheRunsAlone) {
  SampleLog log;
  const RunRule r = rule(2, 1);
  log.put(1000, 1, Outcome::kUp, r);
  log.put(2000, 1, Outcome::kDown, r);
  log.put(3000, 2, Outcome::kMissed, r);
  EXPECT_EQ(log.tip().ballot(), Ballot::kNone);
  log.put(5000, 1, Outcome::kNoData, r);
  EXPECT_EQ(log.tip().ballot(), Ballot::kNone);
  log.put(6000, 1, Outcome::kDown, r);
  EXPECT_EQ(log.tip().ballot(), Ballot::kDown) << "the run of two was not broken";
}

TEST(SampleLog, SixteenSilentSlotsForgetTheRun) {
  SampleLog log;
  const RunRule r = rule(1, 2);
  log.put(0, 1, Outcome::kDown, r);
  log.put(16 * kInterval, 1, Outcome::kUp, r);
  EXPECT_EQ(log.tip().ballot(), Ballot::kDown);
  SampleLog longer;
  longer.put(0, 1, Outcome::kDown, r);
  longer.put(17 * kInterval, 1, Outcome::kUp, r);
  EXPECT_EQ(longer.tip().ballot(), Ballot::kUp);
}

TEST(SampleLog, ARealOutcomeDisplacesAMissedOneAndNotTheReverse) {
  SampleLog log;
  const RunRule r = rule(1, 2);
  log.put(1000, 5, Outcome::kMissed, r);
  EXPECT_EQ(log.put(3000, 1, Outcome::kDown, r), SampleLog::Put::kRewritten);
  EXPECT_EQ(log.put(1000, 5, Outcome::kMissed, r), SampleLog::Put::kIgnored);
  EXPECT_EQ(log.stretches(), (std::vector<Stretch>{{1000, 2, Outcome::kMissed},
                                                   {3000, 1, Outcome::kDown},
                                                   {4000, 2, Outcome::kMissed}}));
}

TEST(SampleLog, FindsWhereAFailingRunBegan) {
  SampleLog log;
  const RunRule r = rule(1, 2);
  log.put(1000, 1, Outcome::kUp, r);
  log.put(2000, 1, Outcome::kDown, r);
  log.put(3000, 1, Outcome::kMissed, r);
  log.put(4000, 1, Outcome::kDown, r);
  EXPECT_EQ(log.failing_since(9000), 2000);
  EXPECT_EQ(log.failing_since(1500), std::nullopt);
}

// The slow and obvious way: all samples by slot, folded one by one.
struct Twin {
  std::map<std::int64_t, Outcome> samples;

  static bool real(Outcome o) { return o != Outcome::kMissed && o != Outcome::kNoData; }

  void put(std::int64_t slot, Outcome outcome) {
    const auto [it, fresh] = samples.try_emplace(slot, outcome);
    if (!fresh && real(outcome) && !real(it->second)) it->second = outcome;
  }

  std::map<std::int64_t, Ballot> ballots(const RunRule& r) const {
    std::map<std::int64_t, Ballot> out;
    Ballot held = Ballot::kNone;
    int failing = 0;
    int passing = 0;
    std::optional<std::int64_t> counted;
    for (const auto& [slot, outcome] : samples) {
      if (!real(outcome)) {
        out[slot] = Ballot::kNone;
        continue;
      }
      if (counted && slot - *counted > 16 * r.interval_ms) {
        held = Ballot::kNone;
        failing = passing = 0;
      }
      counted = slot;
      if (outcome == Outcome::kDown) {
        passing = 0;
        if (++failing >= r.open_after) held = Ballot::kDown;
      } else {
        failing = 0;
        ++passing;
        if (held != Ballot::kDown || passing >= r.close_after) {
          held = outcome == Outcome::kUp ? Ballot::kUp : Ballot::kDegraded;
        }
      }
      out[slot] = held;
    }
    return out;
  }
};

TEST(SampleLog, AgreesWithItsTwinInEveryOrder) {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    Rng rng{seed};
    const RunRule r = rule(static_cast<int>(rng.between(std::int64_t{1}, std::int64_t{4})),
                           static_cast<int>(rng.between(std::int64_t{1}, std::int64_t{4})));

    struct Sample {
      std::int64_t slot;
      std::uint32_t count;
      Outcome outcome;
    };

    std::vector<Sample> samples;
    std::int64_t slot = 0;
    while (samples.size() < 40) {
      slot += kInterval * (rng.chance(0.1) ? rng.between(std::int64_t{2}, std::int64_t{20}) : 1);
      const std::uint64_t kind = rng.below(20);
      if (kind == 0) {
        const auto count =
            static_cast<std::uint32_t>(rng.between(std::int64_t{1}, std::int64_t{5}));
        samples.push_back({slot, count, Outcome::kMissed});
      } else if (kind == 1) {
        samples.push_back({slot + 137, 1, Outcome::kDown});  // A confirm run, off the grid.
      } else {
        const Outcome o = kind < 12    ? Outcome::kUp
                          : kind < 18  ? Outcome::kDown
                          : kind == 18 ? Outcome::kDegraded
                                       : Outcome::kNoData;
        samples.push_back({slot, 1, o});
      }
    }
    Twin twin;
    SampleLog ordered;
    for (const Sample& s : samples) ordered.put(s.slot, s.count, s.outcome, r);
    std::vector<Sample> shuffled = samples;
    for (std::size_t i = shuffled.size(); i > 1; --i) {
      std::swap(shuffled[i - 1], shuffled[rng.below(i)]);
    }
    SampleLog log;
    for (const Sample& s : shuffled) {
      log.put(s.slot, s.count, s.outcome, r);
      for (std::uint32_t i = 0; i < s.count; ++i) twin.put(s.slot + i * kInterval, s.outcome);
    }
    if (log.horizon_ms() != RunState::kNever || ordered.horizon_ms() != RunState::kNever) continue;
    const auto ballots = twin.ballots(r);
    const auto spans = log.spans(r);
    for (const auto& [at, want] : ballots) {
      const auto next = std::find_if(spans.begin(), spans.end(),
                                     [&](const BallotSpan& s) { return s.begin_ms > at; });
      ASSERT_NE(next, spans.begin()) << "seed " << seed;
      ASSERT_EQ(std::prev(next)->ballot, want) << "seed " << seed << " slot " << at;
    }
    ASSERT_EQ(log.tip().ballot(), ballots.rbegin()->second) << "seed " << seed;
    Bytes bytes;
    ByteWriter out{bytes};
    log.encode(out);
    ByteReader in{as_bytes(bytes)};
    ASSERT_EQ(SampleLog::decode(in, r), log) << "seed " << seed;
    ASSERT_TRUE(in.ok() && in.rest().empty());
  }
}

TEST(SampleLog, BeyondItsBoundForgetsTheOldestAndKeepsTheVote) {
  SampleLog log;
  const RunRule r = rule(1, 1);
  for (int i = 0; i < 500; ++i) {
    log.put(i * kInterval, 1, i % 2 == 0 ? Outcome::kUp : Outcome::kDown, r);
  }
  EXPECT_EQ(log.stretches().size(), SampleLog::kStretchesMax);
  EXPECT_EQ(log.tip().ballot(), Ballot::kDown);
  EXPECT_EQ(log.put(5 * kInterval + 1, 1, Outcome::kUp, r), SampleLog::Put::kIgnored);
}

}  // namespace
}  // namespace tocsin::collector
