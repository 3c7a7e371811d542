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

bool is_contact(const ChannelSpec& destination) {
  return destination.key.find('/') != std::string::npos;
}

/// A destination is never asked to say of itself that it says nothing.
bool is_dead_one(const IncidentRow& incident, const ChannelSpec& destination) {
  return incident.kind == IncidentKind::kDeadChannel && incident.channel == destination.key;
}

OutboxRow row_of(const IncidentRow& incident, NotificationKind kind, const ChannelSpec& destination,
                 const NotificationContent& content, int step, WallTime now) {
  OutboxRow row;
  row.incident = incident.id;
  row.cause_seq = incident.timeline_seq;
  row.step = step;
  row.kind = kind;
  row.channel = destination.key;
  row.destination = destination;
  row.content = content;
  row.created = row.due = now;
  return row;
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
  out.rate = contact.rate;
  return out;
}

namespace {

/// One destination of a step, and how long after the step.
struct Reach {
  ChannelSpec destination;
  Duration delay{0};
};

/// The ways to `user` for this incident, the soonest first; or why there is none.
std::vector<Reach> ways_to(const UserSpec& user, const IncidentRow& incident, std::string& why) {
  std::vector<Reach> out;
  if (user.disabled) {
    why = fmt::format("user '{}' is disabled", user.key);
    return out;
  }
  if (user.contacts.empty()) {
    why = fmt::format("user '{}' has no contact method", user.key);
    return out;
  }
  const auto add = [&](const ContactMethod& contact, Duration delay) {
    ChannelSpec destination = destination_of(user, contact);
    if (!is_dead_one(incident, destination)) out.push_back({std::move(destination), delay});
  };
  if (user.rules.empty()) {
    Duration delay{0};
    for (const ContactMethod& contact : user.contacts) {
      add(contact, delay);
      delay += kContactPause;
    }
  }
  for (const NotificationRule& rule : user.rules) {
    if (rule.urgency && *rule.urgency != incident.urgency) continue;
    for (const ContactMethod& contact : user.contacts) {
      if (contact.key == rule.contact) add(contact, rule.delay);
    }
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const Reach& a, const Reach& b) { return a.delay < b.delay; });
  if (out.empty()) {
    why = fmt::format("user '{}' has no way to be reached for this, urgency {}", user.key,
                      to_string(incident.urgency));
  }
  return out;
}

const UserSpec* find_user(const Catalog& catalog, const std::string& key) {
  const auto it = catalog.users.find(key);
  return it == catalog.users.end() ? nullptr : &it->second;
}

bool planned(const NotifyPlan& plan, const std::string& key) {
  return std::any_of(plan.rows.begin(), plan.rows.end(),
                     [&](const OutboxRow& row) { return row.channel == key; });
}

void remember(NotifyPlan& plan, const ChannelSpec& destination) {
  const bool known =
      std::any_of(plan.notified.begin(), plan.notified.end(),
                  [&](const ChannelSpec& c) { return same_destination(c, destination); });
  if (!known) plan.notified.push_back(destination);
}

/// One key may stand for two destinations when the channel was edited meanwhile: then `repeat`
/// tells the rows apart.
void add_once_more(std::vector<OutboxRow>& rows, OutboxRow row) {
  for (const OutboxRow& other : rows) {
    if (other.channel == row.channel) row.repeat = std::max(row.repeat, other.repeat + 1);
  }
  rows.push_back(std::move(row));
}

/// Where a watcher is told: the first contact method; none: they hear nothing.
std::optional<ChannelSpec> watched_from(const Catalog& catalog, const std::string& key,
                                        const IncidentRow& incident) {
  const UserSpec* user = find_user(catalog, key);
  if (user == nullptr || user->disabled || user->contacts.empty()) return std::nullopt;
  ChannelSpec out = destination_of(*user, user->contacts.front());
  if (is_dead_one(incident, out)) return std::nullopt;
  return out;
}

}  // namespace

NotifyPlan plan_triggers(const IncidentRow& incident, const StepTaken& step, const Catalog& catalog,
                         const MonitorSpec* monitor, WallTime now) {
  NotifyPlan plan;
  plan.notified = incident.notified;
  NotificationContent content = content_of(incident, monitor);
  content.step_because = step.because;
  const auto add = [&](const ChannelSpec& destination, Duration delay) -> OutboxRow& {
    OutboxRow row =
        row_of(incident, NotificationKind::kTrigger, destination, content, step.step, now);
    row.repeat = step.repeat;
    row.due = now + delay;
    remember(plan, destination);
    plan.rows.push_back(std::move(row));
    return plan.rows.back();
  };
  for (const NotifyTarget& target : step.targets) {
    if (!target.user.empty()) {
      const UserSpec* user = find_user(catalog, target.user);
      std::string why = fmt::format("user '{}' no longer exists", target.user);
      std::vector<Reach> ways;
      if (user != nullptr) ways = ways_to(*user, incident, why);
      if (ways.empty()) plan.unreached.push_back(std::move(why));
      const std::size_t first = plan.rows.size();
      for (const Reach& way : ways) {
        if (planned(plan, way.destination.key)) continue;
        add(way.destination, way.delay).user = target.user;
      }
      for (std::size_t i = first; i + 1 < plan.rows.size(); ++i) plan.rows[i].more_contacts = true;
      if (!ways.empty() && plan.first_user.empty()) plan.first_user = target.user;
      continue;
    }
    if (planned(plan, target.channel)) continue;
    const auto it = catalog.channels.find(target.channel);
    if (it == catalog.channels.end()) {
      plan.unreached.push_back(fmt::format("channel '{}' no longer exists", target.channel));
    } else if (is_dead_one(incident, it->second)) {
      plan.unreached.push_back(fmt::format("channel '{}' is what this is about", target.channel));
    } else {
      add(it->second, Duration{0});
    }
  }
  return plan;
}

NotifyPlan plan_updates(const IncidentRow& incident, const std::string& what,
                        const std::string& actor, const Catalog& catalog,
                        const MonitorSpec* monitor, WallTime now) {
  NotifyPlan plan;
  plan.notified = incident.notified;
  NotificationContent content = content_of(incident, monitor);
  content.title = fmt::format("{}: {}", what, content.title);
  content.step_because = what;
  const auto add = [&](const ChannelSpec& destination) {
    add_once_more(plan.rows,
                  row_of(incident, NotificationKind::kUpdate, destination, content, 0, now));
  };
  for (const ChannelSpec& destination : incident.notified) {
    if (!is_contact(destination)) add(destination);
  }
  for (const std::string& watcher : incident.watchers) {
    if (watcher == actor) continue;
    const auto destination = watched_from(catalog, watcher, incident);
    if (!destination) continue;
    add(*destination);
    plan.rows.back().user = watcher;
    remember(plan, *destination);
  }
  return plan;
}

std::vector<OutboxRow> plan_resolves(const IncidentRow& incident, const Catalog& catalog,
                                     const MonitorSpec* monitor, WallTime now) {
  std::vector<OutboxRow> rows;
  NotificationContent content = content_of(incident, monitor);
  content.title = "Resolved: " + content.title;
  content.because = incident.resolved_because;
  content.step_because = "resolved";
  const auto row_for = [&](const ChannelSpec& destination) {
    OutboxRow row = row_of(incident, NotificationKind::kResolve, destination, content, 0, now);
    if (is_contact(destination)) row.user = destination.key.substr(0, destination.key.find('/'));
    return row;
  };
  for (const ChannelSpec& destination : incident.notified) {
    add_once_more(rows, row_for(destination));
  }
  for (const std::string& watcher : incident.watchers) {
    const auto destination = watched_from(catalog, watcher, incident);
    if (!destination) continue;
    auto row = std::find_if(rows.begin(), rows.end(), [&](const OutboxRow& r) {
      return same_destination(r.destination, *destination);
    });
    // Theirs as a watcher too: they hear the end even if their own page was called off.
    if (row == rows.end()) {
      add_once_more(rows, row_for(*destination));
      row = std::prev(rows.end());
    }
    row->step = kWatchingStep;
  }
  return rows;
}

}  // namespace tocsin::collector
