#include "collector/core/notify_plan.h"
#include "collector/core/transition.h"
#include "common/base/check.h"
#include "common/base/strings.h"

#include <algorithm>

namespace tocsin::collector {

namespace {

constexpr std::size_t kListed =
    10;  // Monitors named in an impaired incident; the rest are counted.

const MonitorSpec* spec_of(const State& s, const IncidentRow& incident) {
  if (!incident.monitor) return nullptr;
  const auto it = s.monitor_by_id.find(*incident.monitor);
  if (it == s.monitor_by_id.end()) return nullptr;
  const MonitorTable& monitor = s.monitors[it->second];
  return monitor.entry == nullptr ? nullptr : &monitor.entry->spec;
}

std::string name_of(const IncidentRow& incident) {
  return fmt::format("INC-{} {}", incident.number, incident.title);
}

void write(Transition& t, IncidentTable& table, IncidentChange change) {
  table.row = std::move(change.row);
  t.row(table.row);
  t.row(std::move(change.entry));
}

void write_outbox(Transition& t, std::vector<OutboxRow> rows) {
  if (rows.empty()) return;
  for (OutboxRow& row : rows) {
    row.id = NotificationId{t.mint()};
    ++t.s.stats.notifications;
    t.row(std::move(row));
  }
  const bool woken = std::any_of(t.out.effects.begin(), t.out.effects.end(), [](const Effect& e) {
    return std::holds_alternative<WakeOutbox>(e);
  });
  if (!woken) t.out.effects.emplace_back(WakeOutbox{});
}

void arm(State& s, const IncidentTable& table) {
  if (!table.escalation.done) {
    s.escalation_due.insert({table.escalation.due_at.us, table.row.id});
  }
}

void disarm(State& s, const IncidentTable& table) {
  s.escalation_due.erase({table.escalation.due_at.us, table.row.id});
}

std::string label(const NotifyTarget& target) {
  return target.user.empty() ? target.channel : target.user;
}

/// Takes the step that is due. One that reaches nobody is skipped and the next is taken at once
/// (E5); the timeline says both.
void escalate(Transition& t, IncidentTable& table) {
  disarm(t.s, table);
  const std::size_t steps = table.row.policy.steps.size();
  for (std::size_t skipped = 0; !table.escalation.done;) {
    const StepTaken taken = take_step(table.row.policy, table.escalation, t.wall());
    std::string targets;
    for (const NotifyTarget& target : taken.targets) {
      targets += (targets.empty() ? "" : ", ") + label(target);
    }
    IncidentChange change =
        annotate(table.row, taken.fallback ? TimelineType::kFallback : TimelineType::kStep,
                 fmt::format("{}: {}", taken.because, targets), t.wall());
    NotifyPlan plan =
        plan_triggers(change.row, taken, t.s.catalog, spec_of(t.s, change.row), t.wall());
    for (const std::string& why : plan.unreached) {
      t.notice(true, "target_unreached",
               fmt::format("{}: policy '{}': {}", name_of(table.row), table.row.policy.key, why));
    }
    table.escalation = taken.next;
    if (!plan.rows.empty()) {
      const bool assign = change.row.assignee.empty() && !plan.first_user.empty();
      if (assign) change.row.assignee = plan.first_user;
      change.row.notified = std::move(plan.notified);
      write(t, table, std::move(change));
      write_outbox(t, std::move(plan.rows));
      if (assign) {
        write(t, table,
              annotate(table.row, TimelineType::kAssigned,
                       fmt::format("assigned to {}, whom it was escalated to", table.row.assignee),
                       t.wall()));
      }
      break;
    }
    change.entry.text = fmt::format(
        "{} {}: {}", taken.fallback ? "fallback" : fmt::format("step {}", taken.step + 1),
        taken.fallback ? "reaches nobody" : "skipped, it reaches nobody",
        join(plan.unreached, ", "));
    write(t, table, std::move(change));
    if (++skipped >= steps && !table.escalation.done) {
      skip_to_fallback(table.row.policy, table.escalation);
    }
  }
  t.row(table.escalation);
  arm(t.s, table);
}

void stop_escalation(Transition& t, IncidentTable& table, const std::string& why) {
  disarm(t.s, table);
  if (!table.escalation.done) {
    table.escalation.done = true;
    table.escalation.ack_expiry = false;
    t.row(table.escalation);
  }
  t.row(CancelOutbox{table.row.id, why});
}

/// The ladder from its first step, which is taken now when it is due at once.
void start_ladder(Transition& t, IncidentTable& table) {
  table.escalation = begin_escalation(table.row, t.wall());
  if (!table.escalation.done && table.escalation.due_at <= t.wall()) return escalate(t, table);
  t.row(table.escalation);
  arm(t.s, table);
}

void end_acknowledgement(Transition& t, IncidentTable& table) {
  disarm(t.s, table);
  write(t, table, expire_acknowledgement(table.row, t.wall()));
  t.event("incident", table.row.id.str(),
          fmt::format("{} is open again: its acknowledgement ran out", name_of(table.row)));
  start_ladder(t, table);
}

}  // namespace

void open(Transition& t, IncidentRow fresh) {
  fresh.number = t.s.next_incident++;
  t.row(MetaRow{"next_incident_number", t.s.next_incident});
  const Catalog& catalog = t.s.catalog;
  const auto service = catalog.services.find(fresh.service);
  if (service != catalog.services.end()) {
    const auto policy = catalog.policies.find(service->second.policy);
    if (policy != catalog.policies.end()) fresh.policy = policy->second;
    fresh.urgency = service->second.urgency;
  }
  const IncidentId id = fresh.id;
  IncidentTable& table = t.s.incidents[id];
  write(t, table, open_incident(std::move(fresh), t.wall()));
  ++t.s.stats.incidents_opened;
  t.event("incident", id.str(),
          fmt::format("{} opened: {}", name_of(table.row), table.row.because));
  t.notice(true, "incident_opened", fmt::format("{}: {}", name_of(table.row), table.row.because));
  start_ladder(t, table);
}

void close(Transition& t, IncidentId id, const std::string& actor, const std::string& why) {
  const auto it = t.s.incidents.find(id);
  CHECK(it != t.s.incidents.end());
  IncidentTable& table = it->second;
  write(t, table, resolve(table.row, actor, why, t.wall()));
  stop_escalation(t, table, "resolved");
  write_outbox(t, plan_resolves(table.row, t.s.catalog, spec_of(t.s, table.row), t.wall()));
  if (table.row.kind == IncidentKind::kDeadChannel) t.s.dead_channels.erase(table.row.channel);
  ++t.s.stats.incidents_resolved;
  t.event("incident", id.str(), fmt::format("{} resolved: {}", name_of(table.row), why));
  t.notice(false, "incident_resolved", fmt::format("{}: {}", name_of(table.row), why));
  t.s.incidents.erase(it);
}

void note_unknown(Transition& t, IncidentId id, const std::string& why) {
  IncidentTable& table = t.s.incidents.at(id);
  write(t, table,
        annotate(table.row, TimelineType::kUnknown, "cannot be judged: " + why, t.wall()));
}

void shift_start(Transition& t, IncidentId id, WallTime start) {
  IncidentTable& table = t.s.incidents.at(id);
  if (start < table.row.started_at) write(t, table, move_start(table.row, start, t.wall()));
}

namespace {

/// The unresolved incident that a command is about, or null and an answer.
IncidentTable* find_open(Transition& t, const IncidentId& id, std::string_view what) {
  const auto it = t.s.incidents.find(id);
  if (it != t.s.incidents.end()) return &it->second;
  t.reply(Error{Errc::kNotFound,
                fmt::format("{} {}: no unresolved incident has this id", what, id.str())});
  return nullptr;
}

bool user_exists(Transition& t, const std::string& key) {
  if (t.s.catalog.users.contains(key)) return true;
  t.reply(Error{Errc::kNotFound, fmt::format("no user '{}'", printable(key, 63))});
  return false;
}

void told(Transition& t, const IncidentTable& table, const std::string& actor, const char* action,
          const std::string& text, std::string detail = {}) {
  t.event("incident", table.row.id.str(), fmt::format("{} {}", name_of(table.row), text));
  t.audit(actor, action, "incident", fmt::format("INC-{}", table.row.number), std::move(detail));
}

}  // namespace

void on_acknowledge(Transition& t, const AcknowledgeIncident& command) {
  IncidentTable* table = find_open(t, command.incident, "acknowledge");
  if (table == nullptr) return;
  if (command.link) {
    auto& used = table->row.used_links;
    if (std::find(used.begin(), used.end(), *command.link) != used.end()) {
      t.reply(Error{Errc::kExists, "this link was used already"});
      return;
    }
  }
  auto change = acknowledge(table->row, command.actor, t.wall());
  if (!change) {
    t.reply(change.error());
    return;
  }
  if (command.link) change->row.used_links.push_back(*command.link);
  if (!command.user.empty()) change->row.assignee = command.user;
  const std::string who = command.user.empty() ? command.actor : command.user;
  NotifyPlan plan = plan_updates(change->row, "Acknowledged by " + who, command.user, t.s.catalog,
                                 spec_of(t.s, change->row), t.wall());
  change->row.notified = std::move(plan.notified);
  write(t, *table, std::move(*change));
  stop_escalation(t, *table, "acknowledged by " + command.actor);
  if (const EscalationRow paused = pause_escalation(table->row, t.wall()); !paused.done) {
    table->escalation = paused;
    t.row(paused);
    arm(t.s, *table);
  }
  write_outbox(t, std::move(plan.rows));
  told(t, *table, command.actor, "acknowledge", "acknowledged by " + command.actor,
       command.link ? "by the link of a message" : "");
  t.reply();
}

void on_resolve(Transition& t, const ResolveIncident& command) {
  IncidentTable* table = find_open(t, command.incident, "resolve");
  if (table == nullptr) return;
  const IncidentRow row = table->row;
  if (row.monitor) {
    const auto found = t.s.monitor_by_id.find(*row.monitor);
    if (found != t.s.monitor_by_id.end()) {
      MonitorTable& monitor = t.s.monitors[found->second];
      monitor.hand_resolved = true;
      monitor.state.incident.reset();
      t.row(monitor.state);
    }
  } else if (row.kind == IncidentKind::kImpaired) {
    const auto found = t.s.region_by_key.find(row.region);
    if (found != t.s.region_by_key.end()) {
      RegionTable& region = t.s.regions[found->second];
      region.row.incident.reset();
      t.row(region.row);
    }
  }
  std::string why = "resolved by " + command.actor;
  if (!command.note.empty()) why += ": " + command.note;
  t.audit(command.actor, "resolve", "incident", fmt::format("INC-{}", row.number), command.note);
  close(t, command.incident, command.actor, why);
  t.reply();
}

void on_reassign(Transition& t, const ReassignIncident& command) {
  IncidentTable* table = find_open(t, command.incident, "reassign");
  if (table == nullptr) return;
  if (!command.user.empty() && !user_exists(t, command.user)) return;
  t.reply();
  if (table->row.assignee == command.user) return;
  const std::string text =
      command.user.empty() ? "assigned to nobody" : "assigned to " + command.user;
  IncidentChange change = annotate(table->row, TimelineType::kAssigned, text, t.wall());
  change.entry.actor = command.actor;
  change.row.assignee = command.user;
  write(t, *table, std::move(change));
  told(t, *table, command.actor, "reassign", text, text);
}

void on_note(Transition& t, const AddIncidentNote& command) {
  if (t.answered_before(command.once)) return;
  IncidentTable* table = find_open(t, command.incident, "note on");
  if (table == nullptr) return;
  IncidentChange change = annotate(table->row, TimelineType::kNote, command.text, t.wall());
  change.entry.actor = command.actor;
  const std::uint32_t seq = change.entry.seq;
  write(t, *table, std::move(change));
  told(t, *table, command.actor, "note", "noted by " + command.actor);
  t.done(command.once, fmt::format("{}", seq));
}

void on_watch(Transition& t, const WatchIncident& command) {
  IncidentTable* table = find_open(t, command.incident, "watch");
  if (table == nullptr) return;
  if (!user_exists(t, command.user)) return;
  t.reply();
  auto watchers = table->row.watchers;
  const auto at = std::lower_bound(watchers.begin(), watchers.end(), command.user);
  const bool there = at != watchers.end() && *at == command.user;
  if (there == command.watch) return;
  if (command.watch) {
    watchers.insert(at, command.user);
  } else {
    watchers.erase(at);
  }
  const std::string text =
      fmt::format("{} {}", command.user, command.watch ? "watches" : "no longer watches");
  IncidentChange change = annotate(table->row, TimelineType::kWatch, text, t.wall());
  change.entry.actor = command.actor;
  change.row.watchers = std::move(watchers);
  write(t, *table, std::move(change));
  told(t, *table, command.actor, "watch", text, text);
}

void on_send_test(Transition& t, const SendTest& command) {
  OutboxRow row;
  row.id = NotificationId{t.mint()};
  row.incident = IncidentId{row.id.bytes};  // Of no incident; unique with it.
  row.kind = NotificationKind::kTest;
  row.created = row.due = t.wall();
  row.content.title = "Test message";
  row.content.because = fmt::format("{} asked for it; nothing is wrong", command.actor);
  row.content.started_at = row.content.opened_at = t.wall();
  row.content.step_because = "test";
  if (command.user.empty()) {
    const auto it = t.s.catalog.channels.find(command.key);
    if (it == t.s.catalog.channels.end()) {
      t.reply(Error{Errc::kNotFound, fmt::format("no channel '{}'", printable(command.key, 63))});
      return;
    }
    row.channel = command.key;
    row.destination = it->second;
  } else {
    if (!user_exists(t, command.user)) return;
    const UserSpec& user = t.s.catalog.users.at(command.user);
    const auto it = std::find_if(user.contacts.begin(), user.contacts.end(),
                                 [&](const ContactMethod& c) { return c.key == command.key; });
    if (it == user.contacts.end()) {
      t.reply(Error{Errc::kNotFound, fmt::format("user '{}' has no contact method '{}'",
                                                 command.user, printable(command.key, 63))});
      return;
    }
    row.destination = destination_of(user, *it);
    row.channel = row.destination.key;
    row.user = command.user;
  }
  t.audit(command.actor, "test", "channel", row.channel);
  const std::string id = row.id.str();
  t.row(std::move(row));
  ++t.s.stats.notifications;
  t.out.effects.emplace_back(WakeOutbox{});
  t.done(std::nullopt, id);
}

void on_delivery_trouble(Transition& t, const DeliveryTrouble& event) {
  const auto it = t.s.incidents.find(event.incident);
  if (it == t.s.incidents.end()) return;
  IncidentTable& table = it->second;
  // A dead message to the last way to somebody: the ladder does not wait for an answer to it.
  const bool next_step = event.dead && !event.more_contacts &&
                         table.row.state == IncidentState::kOpen && !table.escalation.done;
  // Every further try fails alike, so that is said once; what follows from it is said each time.
  if (table.troubled.insert(event.channel).second || next_step) {
    write(t, table,
          annotate(table.row, TimelineType::kDeliveryFailed,
                   fmt::format("{}: {}{}", event.channel, event.why,
                               next_step ? "; the next step is taken now" : ""),
                   t.wall()));
  }
  if (!event.user.empty() && event.more_contacts) {
    t.row(HurryOutbox{event.incident, event.user, t.wall()});
    t.out.effects.emplace_back(WakeOutbox{});
  }
  if (next_step) escalate(t, table);
}

namespace {

bool destination_exists(const Catalog& catalog, const std::string& key) {
  const std::size_t slash = key.find('/');
  if (slash == std::string::npos) return catalog.channels.contains(key);
  const auto user = catalog.users.find(key.substr(0, slash));
  if (user == catalog.users.end()) return false;
  const auto& contacts = user->second.contacts;
  return std::any_of(contacts.begin(), contacts.end(), [&](const ContactMethod& c) {
    return key.compare(slash + 1, std::string::npos, c.key) == 0;
  });
}

}  // namespace

void on_channel_health(Transition& t, const ChannelHealth& event) {
  const auto known = t.s.dead_channels.find(event.channel);
  if (event.ok) {
    if (known == t.s.dead_channels.end()) return;
    t.event("channel", event.channel, "takes messages again");
    close(t, known->second, "", "it takes messages again");
    return;
  }
  if (known != t.s.dead_channels.end() || !destination_exists(t.s.catalog, event.channel)) return;
  t.event("channel", event.channel, event.why);
  IncidentRow fresh;
  fresh.id = IncidentId{t.mint()};
  fresh.kind = IncidentKind::kDeadChannel;
  fresh.channel = event.channel;
  fresh.service = "system";
  fresh.title = fmt::format("{} takes no messages", event.channel);
  fresh.because = event.why;
  fresh.started_at = event.since.us > 0 ? std::min(event.since, t.wall()) : t.wall();
  t.s.dead_channels[event.channel] = fresh.id;
  open(t, std::move(fresh));
}

void sync_dead_channels(Transition& t) {
  std::vector<IncidentId> gone;
  for (const auto& [channel, id] : t.s.dead_channels) {
    if (!destination_exists(t.s.catalog, channel)) gone.push_back(id);
  }
  for (const IncidentId& id : gone) close(t, id, "", "it was removed");
}

void escalate_due(Transition& t) {
  std::vector<IncidentId> due;
  for (const auto& [at, id] : t.s.escalation_due) {
    if (at > t.wall().us) break;
    due.push_back(id);
  }
  for (const IncidentId& id : due) {
    IncidentTable& table = t.s.incidents.at(id);
    if (table.escalation.ack_expiry) {
      end_acknowledgement(t, table);
    } else {
      escalate(t, table);
    }
  }
}

void impaired_opens(Transition& t, RegionTable& region, const std::string& why) {
  // What is left decides what cannot: named once, when it opens.
  std::vector<std::string> stuck;
  std::vector<std::string> failing;
  for (const SeriesId id : region.series) {
    if (!t.s.at(id).voting) continue;
    const MonitorTable& monitor = t.s.monitors[t.s.at(id).monitor];
    int seeing = 0;
    int down = 0;
    for (const SeriesId other : monitor.series) {
      const SeriesState& series = t.s.at(other);
      seeing += t.s.regions[series.region].row.blind ? 0 : 1;
      down += series.region != t.s.at(id).region && series.counted == Ballot::kDown ? 1 : 0;
    }
    if (seeing < monitor.k) stuck.push_back(monitor.entry->spec.key);
    if (down > 0) failing.push_back(monitor.entry->spec.key);
  }
  const auto list = [](std::vector<std::string> keys) {
    const std::size_t all = keys.size();
    keys.resize(std::min(all, kListed));
    std::string out;
    for (const std::string& key : keys) out += (out.empty() ? "" : ", ") + key;
    if (all > kListed) out += fmt::format(" and {} more", all - kListed);
    return out;
  };
  IncidentRow fresh;
  fresh.id = IncidentId{t.mint()};
  fresh.kind = IncidentKind::kImpaired;
  fresh.region = region.key;
  fresh.service = "system";
  fresh.title = fmt::format("monitoring impaired in {}", region.key);
  fresh.because = why;
  if (!stuck.empty()) fresh.because += "; cannot reach quorum: " + list(stuck);
  if (!failing.empty()) fresh.because += "; failing from what is left: " + list(failing);
  fresh.started_at = t.wall();
  region.row.incident = fresh.id;
  open(t, std::move(fresh));
}

}  // namespace tocsin::collector
