#pragma once
// Question answered here: how is one check shown to a person at a terminal, or to a program?

#include "common/base/time.h"
#include "common/model/check_result.h"
#include "common/model/monitor_spec.h"
#include "common/model/observation.h"

#include <string>

namespace tocsin::agent {

inline constexpr std::size_t kReportColumns = 80;

/// Outcome, waterfall and facts; no line is longer than kReportColumns. `utf8`: the terminal shows
/// block characters; else the bars are '#'.
std::string render_report(const ProbeSpec& spec, const Observation& seen, const Finding& finding,
                          WallTime now, bool utf8);

/// The same as one JSON object and a line feed; durations in microseconds.
std::string render_json(const ProbeSpec& spec, const Observation& seen, const Finding& finding,
                        WallTime now);

}  // namespace tocsin::agent
