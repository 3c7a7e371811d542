#pragma once
// Question answered here: what has one region seen of one series, and what does it vote?
//
// Specification
//  V1 A sample is (slot, outcome). The newest sample by slot decides (DEC-7): missed and no_data
//  are
//     no vote; otherwise the vote is what the runs hold.
//  V2 Runs: `open_after` consecutive failing samples turn the vote down, `close_after` consecutive
//     passing ones turn a down vote back. They count in slot order over the last 16 slots; missed
//     and no_data neither extend nor break them; 16 slots without a counted sample forget them, and
//     the vote that they held.
//  V3 What was up and is failing less often than `open_after` still votes up, and the reverse.
//  V4 The log is a canonical function of the set of samples: any order of insertion gives the same
//     log (INV-6), as long as nothing older than the horizon comes.
//  V5 At most kStretchesMax stretches are kept; the oldest are folded into `base` and the horizon
//     moves up. A sample at or before the horizon changes nothing.
// Rationale: a steady series is one stretch of 16 bytes however long it lasts, an append is O(1)
// and allocates nothing, and a late sample can still be put in its place.

#include "common/base/bytes.h"
#include "common/model/outcome.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace tocsin::collector {

enum class Ballot : std::uint8_t { kNone = 0, kUp = 1, kDegraded = 2, kDown = 3 };

struct RunRule {
  int open_after = 1;
  int close_after = 2;
  std::int64_t interval_ms = 0;

  friend bool operator==(const RunRule&, const RunRule&) = default;
};

/// Where the runs stand after some sample.
struct RunState {
  static constexpr std::int64_t kNever = INT64_MIN;

  Ballot held = Ballot::kNone;
  std::uint8_t failing = 0;  ///< Length of the run, at most kRunMax.
  std::uint8_t passing = 0;
  Outcome newest = Outcome::kMissed;  ///< Of the newest sample.
  std::int64_t newest_ms = kNever;    ///< Its slot.
  std::int64_t counted_ms = kNever;   ///< Slot of the newest up, degraded or down.

  /// V1.
  Ballot ballot() const {
    return newest_ms == counted_ms && newest_ms != kNever ? held : Ballot::kNone;
  }

  friend bool operator==(const RunState&, const RunState&) = default;
};

inline constexpr int kRunTicks = 16;

/// The state after `count` samples of one outcome, the first at `slot_ms`, one per interval.
RunState advance(RunState state, std::int64_t slot_ms, std::uint32_t count, Outcome outcome,
                 const RunRule& rule);

/// Samples of one outcome in consecutive slots.
struct Stretch {
  std::int64_t first_ms = 0;
  std::uint32_t count = 0;
  Outcome outcome = Outcome::kUp;

  friend bool operator==(const Stretch&, const Stretch&) = default;
};

/// A vote held from `begin_ms` on, last renewed by the sample at `last_ms`.
struct BallotSpan {
  std::int64_t begin_ms = 0;
  std::int64_t last_ms = 0;
  Ballot ballot = Ballot::kNone;

  friend bool operator==(const BallotSpan&, const BallotSpan&) = default;
};

class SampleLog {
 public:
  static constexpr std::size_t kStretchesMax = 48;

  enum class Put : std::uint8_t {
    kIgnored,    ///< That slot is known already, or lies behind the horizon.
    kAppended,   ///< Newer than everything before.
    kRewritten,  ///< Out of order: what follows its slot may look different now.
  };

  /// `count` samples from `slot_ms` on. More than one only for missed runs, which fill what is free
  /// and never displace a sample; a real outcome displaces a missed or no_data one.
  Put put(std::int64_t slot_ms, std::uint32_t count, Outcome outcome, const RunRule& rule);

  /// The rule has changed: the runs are counted again.
  void recount(const RunRule& rule);

  /// Forgets everything (another spec_rev, a pause).
  void clear() { *this = SampleLog{}; }

  const RunState& tip() const { return tip_; }

  const std::vector<Stretch>& stretches() const { return stretches_; }

  std::int64_t horizon_ms() const { return horizon_ms_; }

  /// The votes in slot order, from the horizon on.
  std::vector<BallotSpan> spans(const RunRule& rule) const;

  /// The first slot of the unbroken failing run that the newest sample at or before `at_ms` belongs
  /// to; nothing when that sample passes.
  std::optional<std::int64_t> failing_since(std::int64_t at_ms) const;

  void encode(ByteWriter& out) const;
  static SampleLog decode(ByteReader& in, const RunRule& rule);

  friend bool operator==(const SampleLog&, const SampleLog&) = default;

 private:
  void insert_free(std::int64_t slot_ms, std::uint32_t count, Outcome outcome,
                   std::int64_t interval);
  void trim(const RunRule& rule);

  std::vector<Stretch> stretches_;
  RunState base_;
  RunState tip_;
  std::int64_t horizon_ms_ = RunState::kNever;
};

}  // namespace tocsin::collector
