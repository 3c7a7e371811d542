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
    case IncidentKind::kDeadChannel:
      return "dead_channel";
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
    case TimelineType::kAssigned:
      return "assigned";
    case TimelineType::kAckExpired:
      return "ack_expired";
    case TimelineType::kDeliveryFailed:
      return "delivery_failed";
    case TimelineType::kWatch:
      return "watch";
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
    case NotificationKind::kUpdate:
      return "update";
  }
  return "?";
}

const char* to_string(ReportKind kind) {
  switch (kind) {
    case ReportKind::kIncident:
      return "incident";
    case ReportKind::kMaintenance:
      return "maintenance";
  }
  return "?";
}

const char* to_string(ReportState state) {
  switch (state) {
    case ReportState::kInvestigating:
      return "investigating";
    case ReportState::kIdentified:
      return "identified";
    case ReportState::kMonitoring:
      return "monitoring";
    case ReportState::kResolved:
      return "resolved";
    case ReportState::kScheduled:
      return "scheduled";
    case ReportState::kInProgress:
      return "in_progress";
    case ReportState::kCompleted:
      return "completed";
  }
  return "?";
}

const char* to_string(Impact impact) {
  switch (impact) {
    case Impact::kNone:
      return "none";
    case Impact::kMinor:
      return "minor";
    case Impact::kMajor:
      return "major";
    case Impact::kCritical:
      return "critical";
  }
  return "?";
}

std::optional<ReportState> parse_report_state(std::string_view word) {
  for (int i = 1; i <= 7; ++i) {
    const auto state = static_cast<ReportState>(i);
    if (word == to_string(state)) return state;
  }
  return std::nullopt;
}

std::optional<Impact> parse_impact(std::string_view word) {
  for (int i = 1; i <= 4; ++i) {
    const auto impact = static_cast<Impact>(i);
    if (word == to_string(impact)) return impact;
  }
  return std::nullopt;
}

ReportKind kind_of(ReportState state) {
  return state >= ReportState::kScheduled ? ReportKind::kMaintenance : ReportKind::kIncident;
}

bool is_over(ReportState state) {
  return state == ReportState::kResolved || state == ReportState::kCompleted;
}

}  // namespace tocsin::collector
