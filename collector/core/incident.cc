#include "collector/core/incident.h"

#include "common/base/check.h"

namespace tocsin::collector {

namespace {

constexpr const char* kEngine = "engine";

IncidentChange change(IncidentRow row, TimelineType type, std::string actor, std::string text,
                      WallTime now) {
  ++row.timeline_seq;
  TimelineRow entry{row.id, row.timeline_seq, now, type, std::move(actor), std::move(text)};
  return {std::move(row), std::move(entry)};
}

}  // namespace

IncidentChange open_incident(IncidentRow fresh, WallTime now) {
  CHECK(fresh.timeline_seq == 0 && !fresh.id.empty());
  fresh.state = IncidentState::kOpen;
  fresh.opened_at = now;
  std::string text = fresh.because;
  return change(std::move(fresh), TimelineType::kOpened, kEngine, std::move(text), now);
}

Expected<IncidentChange> acknowledge(const IncidentRow& row, const std::string& actor,
                                     WallTime now) {
  if (row.state == IncidentState::kResolved) {
    return fail(Errc::kInvalid, "acknowledge INC-{}: it is resolved", row.number);
  }
  if (row.acknowledged_at) {
    return fail(Errc::kExists, "acknowledge INC-{}: {} did already", row.number,
                row.acknowledged_by);
  }
  IncidentRow next = row;
  next.state = IncidentState::kAcknowledged;
  next.acknowledged_at = now;
  next.acknowledged_by = actor;
  return change(std::move(next), TimelineType::kAcknowledged, actor, "acknowledged", now);
}

IncidentChange expire_acknowledgement(const IncidentRow& row, WallTime now) {
  CHECK(row.state == IncidentState::kAcknowledged && row.acknowledged_at);
  IncidentRow next = row;
  next.state = IncidentState::kOpen;
  next.acknowledged_at.reset();
  next.acknowledged_by.clear();
  return change(std::move(next), TimelineType::kAckExpired, kEngine,
                fmt::format("not resolved {} after {} acknowledged it: open again",
                            format_duration(row.policy.ack_timeout), row.acknowledged_by),
                now);
}

IncidentChange resolve(const IncidentRow& row, const std::string& actor, const std::string& why,
                       WallTime now) {
  CHECK(row.state != IncidentState::kResolved);
  IncidentRow next = row;
  next.state = IncidentState::kResolved;
  next.resolved_at = now;
  next.resolved_because = why;
  return change(std::move(next), TimelineType::kResolved, actor.empty() ? kEngine : actor, why,
                now);
}

IncidentChange move_start(const IncidentRow& row, WallTime start, WallTime now) {
  CHECK(start < row.started_at);
  IncidentRow next = row;
  next.started_at = start;
  return change(std::move(next), TimelineType::kStartMoved, kEngine,
                fmt::format("began at {}, a late result shows", format_rfc3339(start)), now);
}

IncidentChange annotate(const IncidentRow& row, TimelineType type, const std::string& text,
                        WallTime now) {
  return change(row, type, kEngine, text, now);
}

}  // namespace tocsin::collector
