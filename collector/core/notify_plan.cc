#include "collector/core/notify_plan.h"

#include <algorithm>

namespace tocsin::collector {

namespace {

NotificationContent content_of(const IncidentRow& incident, const MonitorSpec* monitor) {
  NotificationContent c;
  c.incident_number = incident.number;
  c.incident_kind = incident.kind;
  c.title = incident.title;
  c.because = incident.because;
  c.service = incident.service;
  c.monitor_key = incident.monitor_key;
  if (monitor != nullptr) {
    c.monitor_name = monitor->name;
    c.target = describe(monitor->probe.target);
  }
  c.region = incident.region;
  c.urgency = incident.urgency;
  c.started_at = incident.started_at;
  c.opened_at = incident.opened_at;
  c.resolved_at = incident.resolved_at;
  c.votes = incident.votes;
  c.evidence = incident.evidence;
  return c;
}

bool same_destination(const ChannelSpec& a, const ChannelSpec& b) {
  return a.key == b.key && a.type == b.type && a.url == b.url && a.to == b.to &&
         a.secret_file == b.secret_file;
}

}  // namespace

ChannelSpec destination_of(const UserSpec& user, const ContactMethod& contact) {
  ChannelSpec out;
  out.id = ChannelId{contact.id.bytes};
  out.key = user.key + "/" + contact.key;
  out.type = contact.type;
  out.url = contact.url;
  out.to = contact.to;
  out.secret_file = contact.secret_file;
  return out;
}

NotifyPlan plan_triggers(const IncidentRow& incident, const StepTaken& step,
                         const std::map<std::string, ChannelSpec>& channels,
                         const MonitorSpec* monitor, WallTime now) {
  NotifyPlan plan;
  plan.notified = incident.notified;
  NotificationContent content = content_of(incident, monitor);
  content.step_because = step.because;
  for (const NotifyTarget& target : step.targets) {
    const bool again = std::any_of(plan.rows.begin(), plan.rows.end(), [&](const OutboxRow& row) {
      return row.channel == target.channel;
    });
    if (again) continue;
    const auto it = channels.find(target.channel);
    if (it == channels.end()) {
      plan.missing.push_back(target.channel);
      continue;
    }
    plan.rows.push_back({{},
                         incident.id,
                         incident.timeline_seq,
                         step.step,
                         step.repeat,
                         NotificationKind::kTrigger,
                         target.channel,
                         it->second,
                         content,
                         now,
                         now,
                         {},
                         false});
    const bool known =
        std::any_of(plan.notified.begin(), plan.notified.end(),
                    [&](const ChannelSpec& c) { return same_destination(c, it->second); });
    if (!known) plan.notified.push_back(it->second);
  }
  return plan;
}

std::vector<OutboxRow> plan_resolves(const IncidentRow& incident, const MonitorSpec* monitor,
                                     WallTime now) {
  std::vector<OutboxRow> rows;
  NotificationContent content = content_of(incident, monitor);
  content.title = "Resolved: " + content.title;
  content.because = incident.resolved_because;
  content.step_because = "resolved";
  int variant = 0;  // One key may stand for two destinations when the channel was edited meanwhile.
  for (const ChannelSpec& destination : incident.notified) {
    const bool twice = std::any_of(rows.begin(), rows.end(), [&](const OutboxRow& row) {
      return row.channel == destination.key;
    });
    rows.push_back({{},
                    incident.id,
                    incident.timeline_seq,
                    0,
                    twice ? ++variant : 0,
                    NotificationKind::kResolve,
                    destination.key,
                    destination,
                    content,
                    now,
                    now,
                    {},
                    false});
  }
  return rows;
}

}  // namespace tocsin::collector
