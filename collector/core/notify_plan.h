#pragma once
// Question answered here: which messages follow from a step or from the end of an incident?
//
// Specification (DEC-15)
//  N1 One intent per channel, unique over (incident, cause_seq, step, repeat, channel). A channel
//     named twice by a step is told once.
//  N2 Every destination that was sent a trigger gets the resolve, as the destination was then.
//  N3 The content is fixed here; a retry says the same again.

#include "collector/core/escalation.h"
#include "collector/core/rows.h"

#include <map>
#include <string>
#include <vector>

namespace tocsin::collector {

/// A contact method as a channel: its key is "USER/METHOD", which no channel can have.
ChannelSpec destination_of(const UserSpec& user, const ContactMethod& contact);

struct NotifyPlan {
  std::vector<OutboxRow> rows;        ///< Without ids.
  std::vector<std::string> missing;   ///< Channel keys that no longer exist.
  std::vector<ChannelSpec> notified;  ///< The incident's list afterwards (N2).
};

/// `monitor` is null for an impaired region. `cause_seq` is the timeline row of the step.
NotifyPlan plan_triggers(const IncidentRow& incident, const StepTaken& step,
                         const std::map<std::string, ChannelSpec>& channels,
                         const MonitorSpec* monitor, WallTime now);

std::vector<OutboxRow> plan_resolves(const IncidentRow& incident, const MonitorSpec* monitor,
                                     WallTime now);

}  // namespace tocsin::collector
