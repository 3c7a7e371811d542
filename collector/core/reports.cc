#include "collector/core/transition.h"

#include <algorithm>

namespace tocsin::collector {

namespace {

constexpr std::size_t kReportsMax = 10'000;

/// What is wrong with a report, or nothing.
std::optional<Error> trouble(const Transition& t, const ReportRow& row) {
  const auto page = t.s.catalog.pages.find(row.page);
  if (page == t.s.catalog.pages.end()) {
    return Error{Errc::kNotFound, fmt::format("page: no status page '{}'", row.page)};
  }
  for (const std::string& key : row.components) {
    bool found = false;
    for (const PageGroup& group : page->second.groups) {
      for (const PageComponent& component : group.components) found |= component.key() == key;
    }
    if (!found) {
      return Error{Errc::kInvalid,
                   fmt::format("components: '{}' is no component of page '{}'", key, row.page)};
    }
  }
  if (row.kind == ReportKind::kMaintenance) {
    if (!row.scheduled_from || !row.scheduled_to || *row.scheduled_to <= *row.scheduled_from) {
      return Error{Errc::kInvalid,
                   "scheduled_from, scheduled_to: a maintenance needs both, the end after the "
                   "beginning"};
    }
  } else if (row.scheduled_from || row.scheduled_to) {
    return Error{Errc::kInvalid, "scheduled_from: only a maintenance has a schedule"};
  }
  for (const ReportUpdate& update : row.updates) {
    if (kind_of(update.state) != row.kind) {
      return Error{Errc::kInvalid, fmt::format("state: {} does not go with a report of kind {}",
                                               to_string(update.state), to_string(row.kind))};
    }
    if (update.text.size() > kReportTextMax) {
      return Error{Errc::kInvalid, fmt::format("text: expected at most {} bytes", kReportTextMax)};
    }
  }
  return std::nullopt;
}

void keep(Transition& t, ReportRow row, const std::string& what) {
  ++t.s.reports_rev;
  t.event("report", row.id.str(),
          fmt::format("{}: {} ({})", row.title, what, to_string(row.state())));
  t.row(row);
  t.s.reports[row.id] = std::move(row);
}

}  // namespace

void on_put_report(Transition& t, const PutReport& command) {
  if (t.answered_before(command.once)) return;
  ReportRow row = command.row;
  const auto old = t.s.reports.find(row.id);
  if (row.rev == 0) {
    if (t.s.reports.size() >= kReportsMax) {
      t.reply(Error{Errc::kLimit, fmt::format("there are {} reports already", kReportsMax)});
      return;
    }
    row.created = t.wall();
    row.created_by = command.actor;
    for (ReportUpdate& update : row.updates) update.at = t.wall();
    if (row.updates.empty()) {
      t.reply(Error{Errc::kInvalid, "updates: a report begins with an update"});
      return;
    }
  } else {
    if (old == t.s.reports.end()) {
      t.reply(Error{Errc::kNotFound, "no report has the id " + row.id.str()});
      return;
    }
    if (old->second.rev != row.rev) {
      t.reply(Error{Errc::kExists, fmt::format("{}it is version {} now, not {}", kChangedMeanwhile,
                                               old->second.rev, row.rev)});
      return;
    }
    row.kind = old->second.kind;
    row.page = old->second.page;
    row.created = old->second.created;
    row.created_by = old->second.created_by;
    row.updates = old->second.updates;
  }
  if (auto wrong = trouble(t, row)) {
    t.reply(std::move(wrong));
    return;
  }
  const bool fresh = row.rev == 0;
  ++row.rev;
  const std::string id = row.id.str();
  t.audit(command.actor, fresh ? "create" : "update", "report", id, row.title);
  keep(t, std::move(row), fresh ? "published" : "edited");
  t.done(command.once, id);
}

void on_add_report_update(Transition& t, const AddReportUpdate& command) {
  if (t.answered_before(command.once)) return;
  const auto it = t.s.reports.find(command.report);
  if (it == t.s.reports.end()) {
    t.reply(Error{Errc::kNotFound, "no report has the id " + command.report.str()});
    return;
  }
  ReportRow row = it->second;
  if (row.updates.size() >= kReportUpdatesMax) {
    t.reply(Error{Errc::kLimit, fmt::format("a report has at most {} updates", kReportUpdatesMax)});
    return;
  }
  ReportUpdate update = command.update;
  update.at = t.wall();
  row.updates.push_back(std::move(update));
  if (auto wrong = trouble(t, row)) {
    t.reply(std::move(wrong));
    return;
  }
  ++row.rev;
  t.audit(command.actor, "update", "report", row.id.str(), to_string(row.state()));
  keep(t, std::move(row), "updated");
  t.done(command.once, command.report.str());
}

void on_delete_report(Transition& t, const DeleteReport& command) {
  const auto it = t.s.reports.find(command.report);
  if (it == t.s.reports.end()) {
    t.reply(Error{Errc::kNotFound, "no report has the id " + command.report.str()});
    return;
  }
  it->second.removed = true;
  t.row(it->second);
  t.event("report", command.report.str(), it->second.title + ": deleted");
  t.audit(command.actor, "delete", "report", command.report.str(), it->second.title);
  t.s.reports.erase(it);
  ++t.s.reports_rev;
  t.reply();
}

}  // namespace tocsin::collector
