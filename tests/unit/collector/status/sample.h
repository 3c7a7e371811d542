#pragma once
// Builders for status pages: only what a test is about is named.

#include "collector/core/engine.h"
#include "collector/status/page.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace tocsin::collector::status {

/// 2026-11-21T03:00:00Z.
inline constexpr WallTime kNoon{1'795'230'000'000'000};

inline MonitorId monitor_id(std::uint8_t n) {
  MonitorId id;
  id.bytes[0] = 1;
  id.bytes[15] = n;
  return id;
}

class World {
 public:
  World() {
    page.id = StatusPageId{{1, 2, 3}};
    page.slug = "shop";
    page.title = "Shop";
    view.at = kNoon;
  }

  /// Adds a monitor and its component to the last group; `up`, `degraded`, `down` regions vote and
  /// `silent` do not.
  World& component(const std::string& name, MonitorStatus status, int up, int degraded, int down,
                   int silent) {
    if (page.groups.empty()) page.groups.push_back({"Site", {}});
    const auto n = static_cast<std::uint8_t>(view.monitors.size() + 1);
    MonitorView m;
    m.entry.spec.id = monitor_id(n);
    m.entry.spec.key = "monitor-" + std::to_string(n);
    m.entry.spec.name = name;
    HttpTarget target;
    target.url = "http://internal.example:8080/secret-path";
    m.entry.spec.probe.target = target;
    m.state.monitor = m.entry.spec.id;
    m.state.status = status;
    m.state.since = kNoon - 252s;
    m.state.because = "internal reason 10.0.0.7";
    m.last_result = kNoon - 2s;
    const auto vote = [&](Outcome outcome, int count) {
      for (int i = 0; i < count; ++i) {
        Vote v;
        v.region = "r" + std::to_string(m.votes.size());
        v.outcome = outcome;
        v.detail = "connect to 10.0.0.7 refused";
        m.votes.push_back(v);
      }
    };
    vote(Outcome::kUp, up);
    vote(Outcome::kDegraded, degraded);
    vote(Outcome::kDown, down);
    for (int i = 0; i < silent; ++i) {
      m.abstentions.emplace_back("s" + std::to_string(i), Abstention::kExpired);
    }
    page.groups.back().components.push_back({m.entry.spec.key, "", ""});
    view.monitors.push_back(std::move(m));
    return *this;
  }

  World& incident(std::size_t monitor_index, std::uint64_t number) {
    IncidentRow row;
    row.id = IncidentId{{8, static_cast<std::uint8_t>(number)}};
    row.number = number;
    row.monitor = view.monitors[monitor_index].entry.spec.id;
    row.monitor_key = view.monitors[monitor_index].entry.spec.key;
    row.title = "internal title";
    row.because = "2 of 2 regions: connect to 10.0.0.7 refused";
    row.started_at = kNoon - 260s;
    row.votes.resize(2);
    for (Vote& vote : row.votes) vote.outcome = Outcome::kDown;
    view.open_incidents.push_back(row);
    return *this;
  }

  /// A component without a monitor.
  World& fixed(const std::string& name) {
    if (page.groups.empty()) page.groups.push_back({"Site", {}});
    page.groups.back().components.push_back({"", name, ""});
    return *this;
  }

  /// A report with one update, that began `ago`; newest last.
  ReportRow& report(const std::string& title, Impact impact, std::vector<std::string> components,
                    Duration ago = 10min) {
    ReportRow row;
    row.id = ReportId{{7, static_cast<std::uint8_t>(reports.size() + 1)}};
    row.page = page.slug;
    row.title = title;
    row.impact = impact;
    row.components = std::move(components);
    row.created = kNoon - ago;
    row.created_by = "user:ann";
    row.updates.push_back({row.created, ReportState::kInvestigating, "We are looking into it."});
    reports.push_back(std::move(row));
    return reports.back();
  }

  ReportRow& maintenance(const std::string& title, std::vector<std::string> components,
                         Duration from, Duration to) {
    ReportRow& row = report(title, Impact::kNone, std::move(components), 24h);
    row.kind = ReportKind::kMaintenance;
    row.scheduled_from = kNoon + from;
    row.scheduled_to = kNoon + to;
    row.updates[0].state = ReportState::kScheduled;
    row.updates[0].text = "The database gets a new disk.";
    return row;
  }

  /// A resolved incident.
  World& past(std::size_t monitor_index, std::uint64_t number, Duration ago, Duration length) {
    history.incidents.push_back({IncidentId{{9, static_cast<std::uint8_t>(number)}}, number,
                                 view.monitors[monitor_index].entry.spec.key, kNoon - ago,
                                 std::nullopt, kNoon - ago + length, 2, 2});
    return *this;
  }

  PageView make(Duration later = 1s, const UptimeTable* uptime = nullptr) const {
    return make(PageMoment{kNoon + later}, uptime);
  }

  PageView make(const PageMoment& moment, const UptimeTable* uptime = nullptr) const {
    EngineView now = view;
    std::vector<ReportRow> newest_first(reports.rbegin(), reports.rend());
    now.reports = std::make_shared<const std::vector<ReportRow>>(std::move(newest_first));
    return make_page(page, {now, uptime, &history}, moment);
  }

  StatusPageSpec page;
  EngineView view;
  std::vector<ReportRow> reports;
  PageHistory history;
};

}  // namespace tocsin::collector::status
