#include "collector/core/rows.h"

namespace tocsin::collector {

const char* to_string(MonitorStatus status) {
  switch (status) {
    case MonitorStatus::kNew:
      return "new";
    case MonitorStatus::kUp:
      return "up";
    case MonitorStatus::kDegraded:
      return "degraded";
    case MonitorStatus::kDown:
      return "down";
    case MonitorStatus::kUnknown:
      return "unknown";
    case MonitorStatus::kMaintenance:
      return "maintenance";
    case MonitorStatus::kPaused:
      return "paused";
  }
  return "?";
}

std::optional<MonitorStatus> monitor_status_from_int(std::uint32_t value) {
  if (value < 1 || value > 7) return std::nullopt;
  return static_cast<MonitorStatus>(value);
}

const char* to_string(Abstention why) {
  switch (why) {
    case Abstention::kNone:
      return "none";
    case Abstention::kNothingYet:
      return "nothing yet";
    case Abstention::kExpired:
      return "expired";
    case Abstention::kBlind:
      return "blind";
    case Abstention::kMissed:
      return "missed";
    case Abstention::kNoData:
      return "no data";
    case Abstention::kOldSpec:
      return "old spec";
    case Abstention::kClock:
      return "clock";
  }
  return "?";
}

const char* to_string(IncidentState state) {
  switch (state) {
    case IncidentState::kOpen:
      return "open";
    case IncidentState::kAcknowledged:
      return "acknowledged";
    case IncidentState::kSnoozed:
      return "snoozed";
    case IncidentState::kSuppressed:
      return "suppressed";
    case IncidentState::kResolved:
      return "resolved";
  }
  return "?";
}

const char* to_string(IncidentKind kind) {
  switch (kind) {
    case IncidentKind::kMonitor:
      return "monitor";
    case IncidentKind::kImpaired:
      return "impaired";
  }
  return "?";
}

const char* to_string(TimelineType type) {
  switch (type) {
    case TimelineType::kOpened:
      return "opened";
    case TimelineType::kStep:
      return "step";
    case TimelineType::kAcknowledged:
      return "acknowledged";
    case TimelineType::kResolved:
      return "resolved";
    case TimelineType::kNote:
      return "note";
    case TimelineType::kUnknown:
      return "unknown";
    case TimelineType::kReopened:
      return "reopened";
    case TimelineType::kStartMoved:
      return "start_moved";
    case TimelineType::kFallback:
      return "fallback";
  }
  return "?";
}

const char* to_string(NotificationKind kind) {
  switch (kind) {
    case NotificationKind::kTrigger:
      return "trigger";
    case NotificationKind::kResolve:
      return "resolve";
    case NotificationKind::kTest:
      return "test";
  }
  return "?";
}

}  // namespace tocsin::collector
