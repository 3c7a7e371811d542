#pragma once
// Question answered here: what becomes of an incident when something happens to it?
//
//            open ------ acknowledge -----> acknowledged
//             |  <------ ack_timeout -----       |
//             +------- resolve (engine, person) -+--> resolved   (for good)
//
// kSnoozed and kSuppressed are states of a later issue; nothing here leads to them. Every change
// appends one timeline row, numbered without holes.

#include "collector/core/rows.h"

#include <string>

namespace tocsin::collector {

struct IncidentChange {
  IncidentRow row;
  TimelineRow entry;
};

/// `fresh` has everything but state, opened_at and timeline.
IncidentChange open_incident(IncidentRow fresh, WallTime now);

/// kInvalid when it is resolved. An acknowledged one stays with its first answerer.
Expected<IncidentChange> acknowledge(const IncidentRow& row, const std::string& actor,
                                     WallTime now);

/// The acknowledgement has run out (ack_timeout): open again, without an answerer. The caller has
/// looked: it is acknowledged.
IncidentChange expire_acknowledgement(const IncidentRow& row, WallTime now);

/// The caller has looked: it is not resolved.
IncidentChange resolve(const IncidentRow& row, const std::string& actor, const std::string& why,
                       WallTime now);

/// A late result showed that it began earlier. `start` < row.started_at.
IncidentChange move_start(const IncidentRow& row, WallTime start, WallTime now);

/// Anything else worth a line: kStep, kFallback, kUnknown, kNote.
IncidentChange annotate(const IncidentRow& row, TimelineType type, const std::string& text,
                        WallTime now);

}  // namespace tocsin::collector
