#pragma once
// Question answered here: what do status pages tell that the engine has forgotten?

#include "collector/core/engine.h"
#include "collector/core/rows.h"
#include "collector/ports/store.h"
#include "collector/ports/view_source.h"
#include "common/base/expected.h"
#include "common/base/time.h"

#include <vector>

namespace tocsin::collector {

/// Incidents of monitors that were resolved in the last kPastDays days, newest first, among the
/// newest kPastIncidentsMax of all. One that was open for more than kPastDays days may be missing.
Expected<std::vector<PastIncident>> read_past_incidents(StoreReader& reader, WallTime now);

/// `known` and, in front, what was open in `before` and is not in `after`, as resolved then: so
/// that a page does not forget an incident until the store was read.
PageHistory bridge_history(const PageHistory& known, const EngineView& before,
                           const EngineView& after);

/// The newest of up, degraded and down that stands; kNew when there is none. In any order.
MonitorStatus last_known_status(const std::vector<VerdictRow>& verdicts);

}  // namespace tocsin::collector
