#pragma once
// Question answered here: what must be remembered beside the rows, and how is it written?
//
// Specification (DEC-9)
//  K1 A checkpoint has, per series: the revision that votes, the tick window, the samples with
//  their
//     runs, the newest failing result; per monitor since when its rules hold; per region its
//     blindness; and the one-off results that were stored. Deterministic bytes: equal states, equal
//     checkpoints.
//  K2 Whatever changes those other than a frame is journalled as a Change, in step order, so that
//     checkpoint + journal always gives what the live engine had.
//  K3 Damage is never guessed around: a checkpoint that does not decode is no checkpoint, and the
//     journal is replayed onto empty votes (regions then say "nothing yet", never up).

#include "collector/core/state.h"
#include "common/base/bytes.h"

#include <string>
#include <variant>

namespace tocsin::collector {

/// The samples of a series are forgotten, or it starts or stops voting.
struct SeriesChange {
  SeriesId series{};
  std::uint32_t spec_rev = 0;
  bool voting = false;
  bool clear = false;

  friend bool operator==(const SeriesChange&, const SeriesChange&) = default;
};

struct RegionChange {
  std::string region;
  bool blind = false;
  std::int64_t at_ms = 0;

  friend bool operator==(const RegionChange&, const RegionChange&) = default;
};

struct RulesChange {
  MonitorId monitor;
  WallTime since;
  bool afresh = false;  ///< Votes were emptied, or the electorate is another one.

  friend bool operator==(const RulesChange&, const RulesChange&) = default;
};

using StateChange = std::variant<SeriesChange, RegionChange, RulesChange>;

Bytes encode_change(const StateChange& change);
Expected<StateChange> decode_change(ByteSpan bytes);

/// The one place where these changes happen, in a step and in a replay.
void apply(State& state, const StateChange& change);

Bytes encode_checkpoint(const State& state);
/// The series, monitors and regions of the rows are there already; what the checkpoint does not
/// know keeps its empty state.
Expected<void> decode_checkpoint(ByteSpan bytes, State& state);

/// Our own bytes of a result, for evidence in the checkpoint (the core does not see the wire).
void encode_result(ByteWriter& out, const CheckResult& result);
CheckResult decode_result(ByteReader& in);

/// FNV over everything durable, in one order.
std::uint64_t digest_of(const State& state);

}  // namespace tocsin::collector
