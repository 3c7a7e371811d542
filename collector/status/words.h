#pragma once
// Question answered here: how do states, times and spans read on everything that is published?

#include "collector/core/rows.h"
#include "common/base/time.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::collector::status {

inline constexpr std::int64_t kSecondsPerDay = 86'400;

/// In the order of a reader's concern, worst last.
enum class PublicState : std::uint8_t {
  kOperational,
  kPaused,
  kMaintenance,
  kNoData,
  kDegraded,
  kPartialOutage,  ///< Down by quorum, though some regions still get through.
  kMajorOutage,
};

/// "operational", "partial_outage" ...: in the JSON and in class names.
const char* to_string(PublicState state);
/// "Operational", "Partial outage" ...: beside the shape.
const char* label(PublicState state);
/// "Investigating", "In progress" ...
const char* label(ReportState state);

/// What a report of this impact makes of the components it names.
PublicState state_of(Impact impact);

/// Days since the epoch, UTC.
std::int64_t day_of(WallTime t);

/// "21 Nov 2026, 02:58:30 UTC".
std::string format_for_people(WallTime t);
/// "21 Nov 2026", of a day since the epoch.
std::string format_day(std::int64_t day);
/// "Sat, 21 Nov 2026 02:58:30 +0000": RFC 5322, for RSS.
std::string format_rfc5322(WallTime t);
/// "41 s", "4 min 12 s", "3 h 05 min", "2 d 4 h"; negative spans are "0 s".
std::string format_span(Duration d);

/// What people wrote, fit to be shown: each line printable, without those that are empty at either
/// end.
std::vector<std::string> lines_of(std::string_view text);

/// "a", "a and b", "a, b and c", "4 components".
std::string name_list(const std::vector<std::string>& names);

}  // namespace tocsin::collector::status
