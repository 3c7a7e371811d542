#pragma once
// Question answered here: which messages follow from a step or from the end of an incident?
//
// Specification (DEC-15)
//  N1 One intent per destination, unique over (incident, cause_seq, step, repeat, channel). A
//     destination named twice by a step is told once, at the sooner of its moments.
//  N2 Every destination that was sent a trigger gets the resolve, as the destination was then; one
//     whose trigger was called off before the first try hears neither (ST4 of the store).
//  N3 The content is fixed here; a retry says the same again.
//  N4 A user is reached by each notification rule that fits the urgency, `delay` after the step;
//     without rules by the first contact method at once and by each further one kContactPause after
//     the one before. A disabled user, or one without a way, is not reached.
//  N5 An acknowledgement is told to the channels that were told of the incident, and to those who
//     watch it; never to contact methods for having been paged, nor to the person who gave it.
//  N6 A watcher hears of updates and of the end, by the first contact method; of the end also when
//     a page of theirs to the same place was called off.
//  N7 An incident about a destination is not told to that destination.

#include "collector/core/escalation.h"
#include "collector/core/rows.h"

#include <map>
#include <string>
#include <vector>

namespace tocsin::collector {

/// A contact method as a channel: its key is "USER/METHOD", which no channel can have.
ChannelSpec destination_of(const UserSpec& user, const ContactMethod& contact);

/// Between the contact methods of a user without rules.
inline constexpr Duration kContactPause = 5min;

struct NotifyPlan {
  std::vector<OutboxRow> rows;         ///< Without ids.
  std::vector<std::string> unreached;  ///< Why a target gave nothing: "user 'ann' is disabled".
  std::vector<ChannelSpec> notified;   ///< The incident's list afterwards (N2).
  std::string first_user;              ///< The first target that is a user and is reached.
};

/// `monitor` is null for an incident of no monitor. The cause is incident.timeline_seq, the row of
/// the step.
NotifyPlan plan_triggers(const IncidentRow& incident, const StepTaken& step, const Catalog& catalog,
                         const MonitorSpec* monitor, WallTime now);

/// `what` begins the title: "Acknowledged by ann". `actor` is a user key, or empty.
NotifyPlan plan_updates(const IncidentRow& incident, const std::string& what,
                        const std::string& actor, const Catalog& catalog,
                        const MonitorSpec* monitor, WallTime now);

std::vector<OutboxRow> plan_resolves(const IncidentRow& incident, const Catalog& catalog,
                                     const MonitorSpec* monitor, WallTime now);

}  // namespace tocsin::collector
