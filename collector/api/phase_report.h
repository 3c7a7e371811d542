#pragma once
// Question answered here: how are the hours of a monitor's phases asked for and shown?
//
//   from, to    RFC 3339; the last 24 hours
//   step        hour (kHoursMax of it at most), day, or all: one item a region; default all
// Hours are taken whole: `from` counts from its hour on.

#include "collector/ports/store.h"
#include "common/codec/node.h"
#include "common/codec/query_string.h"

#include <vector>

namespace tocsin::collector {

enum class PhaseStep : std::uint8_t { kHour, kDay, kAll };

struct PhaseQuery {
  static constexpr Duration kHoursMax = std::chrono::hours{24 * 7};  ///< With step=hour.
  static constexpr Duration kRangeMax = std::chrono::hours{24 * 92};

  WallTime from, to;
  PhaseStep step = PhaseStep::kAll;
};

/// kInvalid with the name of the field.
Expected<PhaseQuery> read_phase_query(const codec::Fields& query, WallTime now);

/// The items, by time and region: from, region, checks, passed, phases, and hops if there were
/// redirects. `phases` has p50_us, p95_us and p99_us of each phase; null when nothing passed.
std::vector<codec::Node> phase_nodes(const std::vector<PhaseHour>& hours, const PhaseQuery& query);

}  // namespace tocsin::collector
