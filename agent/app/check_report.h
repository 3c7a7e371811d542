#pragma once
// Question answered here: how is one check shown to a person at a terminal, or to a program?

#include "common/base/time.h"
#include "common/model/check_result.h"
#include "common/model/monitor_spec.h"
#include "common/model/observation.h"

#include <string>
#include <vector>

namespace tocsin::agent {

inline constexpr std::size_t kReportColumns = 80;

/// Outcome, waterfall and facts; no line is longer than kReportColumns. `utf8`: the terminal shows
/// block characters; else the bars are '#'. `seen` and `finding` are those of the last attempt;
/// `earlier` are the ones before it.
std::string render_report(const ProbeSpec& spec, const Observation& seen, const Finding& finding,
                          WallTime now, bool utf8, const std::vector<Attempt>& earlier = {});

/// The same as one JSON object and a line feed; durations in microseconds. `attempts` are all, the
/// last one included.
std::string render_json(const ProbeSpec& spec, const Observation& seen, const Finding& finding,
                        WallTime now, const std::vector<Attempt>& attempts = {});

}  // namespace tocsin::agent
