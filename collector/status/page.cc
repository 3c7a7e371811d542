#include "collector/status/page.h"

#include "common/base/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

namespace tocsin::collector::status {

namespace {

constexpr std::int64_t kSecondsPerDay = 86'400;

const char* plural(int n) { return n == 1 ? "" : "s"; }

/// Truncated to three decimals: SP4.
std::string percent(std::int64_t part, std::int64_t whole) {
  CHECK(whole > 0 && part >= 0 && part <= whole);
  if (part == whole) return "100";
  const std::int64_t thousandths = part * 100'000 / whole;
  return fmt::format("{}.{:03}", thousandths / 1000, thousandths % 1000);
}

RegionCount count_regions(const MonitorView& m) {
  RegionCount c;
  for (const Vote& vote : m.votes) {
    switch (vote.outcome) {
      case Outcome::kUp:
        ++c.reach;
        break;
      case Outcome::kDegraded:
        ++c.slow;
        break;
      case Outcome::kDown:
        ++c.fail;
        break;
      case Outcome::kNoData:
      case Outcome::kMissed:
        ++c.silent;
        break;
    }
  }
  c.silent += static_cast<int>(m.abstentions.size());
  c.total = c.reach + c.slow + c.fail + c.silent;
  return c;
}

PublicState public_state(MonitorStatus status, const RegionCount& c) {
  switch (status) {
    case MonitorStatus::kUp:
      return PublicState::kOperational;
    case MonitorStatus::kDegraded:
      return PublicState::kDegraded;
    case MonitorStatus::kDown:
      return c.reach + c.slow > 0 ? PublicState::kPartialOutage : PublicState::kMajorOutage;
    case MonitorStatus::kMaintenance:
      return PublicState::kMaintenance;
    case MonitorStatus::kPaused:
      return PublicState::kPaused;
    case MonitorStatus::kNew:
    case MonitorStatus::kUnknown:
      return PublicState::kNoData;
  }
  CHECK(false);
}

/// The answer to "how sure are we": who sees it, who does not, who is silent.
std::string sure_sentence(MonitorStatus status, const RegionCount& c) {
  if (status == MonitorStatus::kPaused) return "Measuring is paused.";
  if (c.total == 0) return "No region measures it.";
  std::vector<std::string> parts;
  const int reach = c.reach + c.slow;
  if (c.fail > 0) parts.push_back(fmt::format("{} of {} regions cannot reach it", c.fail, c.total));
  if (reach > 0) {
    parts.push_back(parts.empty() ? fmt::format("{} of {} region{} reach{} it", reach, c.total,
                                                plural(c.total), reach == 1 ? "es" : "")
                                  : fmt::format("{} reach{} it", reach, reach == 1 ? "es" : ""));
  }
  if (c.slow > 0) parts.push_back(fmt::format("{} of them slowly", c.slow));
  if (c.silent > 0) {
    parts.push_back(
        parts.empty() ? fmt::format("none of {} region{} has fresh data", c.total, plural(c.total))
                      : fmt::format("{} without fresh data", c.silent));
  }
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : ", ") + part;
  out[0] = out[0] >= 'a' && out[0] <= 'z' ? static_cast<char>(out[0] - 'a' + 'A') : out[0];
  return out + ".";
}

ComponentView make_component(const PageComponent& spec, const MonitorView* m,
                             const UptimeTable* uptime) {
  ComponentView c;
  c.name = spec.name;
  if (m == nullptr) {
    if (c.name.empty()) c.name = spec.monitor;
    c.sure = "No region measures it.";
    return c;
  }
  if (c.name.empty()) c.name = m->entry.spec.name;
  c.status = m->entry.spec.paused ? MonitorStatus::kPaused : m->state.status;
  c.regions = count_regions(*m);
  c.state = public_state(c.status, c.regions);
  if (m->state.since.us > 0) c.since = m->state.since;
  if (m->last_result.us > 0) c.measured_at = m->last_result;
  c.sure = sure_sentence(c.status, c.regions);
  if (uptime != nullptr) {
    const auto days = uptime->find(m->entry.spec.id);
    if (days != uptime->end() && !days->second.empty()) c.uptime = summarise(days->second);
  }
  return c;
}

/// Names up to three, then counts.
std::string name_list(const std::vector<std::string>& names) {
  if (names.size() > 3) return fmt::format("{} components", names.size());
  std::string out;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) out += i + 1 == names.size() ? " and " : ", ";
    out += names[i];
  }
  return out;
}

void add_sentence(PageView& page) {
  std::map<PublicState, std::vector<std::string>> by_state;
  std::size_t total = 0;
  for (const GroupView& group : page.groups) {
    for (const ComponentView& c : group.components) {
      by_state[c.state].push_back(c.name);
      ++total;
    }
  }
  std::vector<std::string> down = by_state[PublicState::kPartialOutage];
  const std::vector<std::string>& major = by_state[PublicState::kMajorOutage];
  down.insert(down.end(), major.begin(), major.end());

  if (total == 0) {
    page.sentence = "Nothing is shown on this page yet";
    page.detail = "Its owner has not added any component.";
    return;
  }
  if (page.stale) {
    page.detail = fmt::format("No new data since {}. What follows is as of then.",
                              format_for_people(page.data_until));
  }
  switch (page.state) {
    case PublicState::kMajorOutage:
    case PublicState::kPartialOutage:
      if (down.empty()) {
        page.sentence = "An incident is open";
      } else if (down.size() == total) {
        page.sentence = total == 1 ? fmt::format("{} is down", down.front()) : "Everything is down";
      } else {
        page.sentence = fmt::format("{} {} down", name_list(down), down.size() == 1 ? "is" : "are");
      }
      break;
    case PublicState::kDegraded: {
      const auto& names = by_state[PublicState::kDegraded];
      page.sentence =
          fmt::format("{} {} degraded", name_list(names), names.size() == 1 ? "is" : "are");
      break;
    }
    case PublicState::kNoData: {
      if (page.stale) {
        page.sentence = "We cannot measure at the moment";
        break;
      }
      const auto& names = by_state[PublicState::kNoData];
      page.sentence = names.size() == total ? "We have no data yet, or none that is fresh"
                                            : fmt::format("No data about {}", name_list(names));
      break;
    }
    case PublicState::kMaintenance:
      page.sentence =
          fmt::format("Maintenance of {}", name_list(by_state[PublicState::kMaintenance]));
      break;
    case PublicState::kPaused:
      page.sentence = "Measuring is paused";
      break;
    case PublicState::kOperational:
      page.sentence = "All components are operational";
      break;
  }
  if (page.detail.empty() && page.state >= PublicState::kDegraded) {
    const std::size_t good = by_state[PublicState::kOperational].size();
    page.detail =
        fmt::format("{} of {} component{} operational.", good, total, total == 1 ? " is" : "s are");
  }
}

void add_incidents(PageView& page, const StatusPageSpec& spec, const EngineView& view,
                   const std::map<std::string, const MonitorView*>& monitors) {
  for (const IncidentRow& incident : view.open_incidents) {
    if (incident.kind != IncidentKind::kMonitor || incident.monitor_key.empty()) continue;
    if (incident.state == IncidentState::kResolved) continue;
    // A monitor may stand on the page more than once; its incident is told once.
    const ComponentView* component = nullptr;
    for (std::size_t g = 0; g < spec.groups.size() && component == nullptr; ++g) {
      for (std::size_t i = 0; i < spec.groups[g].components.size(); ++i) {
        if (spec.groups[g].components[i].monitor == incident.monitor_key) {
          component = &page.groups[g].components[i];
          break;
        }
      }
    }
    if (component == nullptr || !monitors.contains(incident.monitor_key)) continue;
    PublicIncident out;
    out.number = incident.number;
    out.component = component->name;
    out.state = std::max(component->state, PublicState::kPartialOutage);
    out.started_at = incident.started_at;
    out.acknowledged_at = incident.acknowledged_at;
    const RegionCount& c = component->regions;
    if (component->status == MonitorStatus::kDown) {
      out.text = fmt::format("{} is down: {} of {} region{} cannot reach it.", component->name,
                             c.fail, c.total, plural(c.total));
    } else if (component->status == MonitorStatus::kUnknown) {
      out.text = fmt::format("{} was down; at the moment we cannot tell.", component->name);
    } else {
      out.text = fmt::format("{} was down and answers again; we are making sure that it stays so.",
                             component->name);
    }
    if (incident.acknowledged_at) out.text += " Somebody is working on it.";
    page.incidents.push_back(std::move(out));
  }
  std::sort(page.incidents.begin(), page.incidents.end(),
            [](const PublicIncident& a, const PublicIncident& b) { return a.number > b.number; });
}

}  // namespace

const char* to_string(PublicState state) {
  switch (state) {
    case PublicState::kOperational:
      return "operational";
    case PublicState::kPaused:
      return "paused";
    case PublicState::kMaintenance:
      return "maintenance";
    case PublicState::kNoData:
      return "no_data";
    case PublicState::kDegraded:
      return "degraded";
    case PublicState::kPartialOutage:
      return "partial_outage";
    case PublicState::kMajorOutage:
      return "major_outage";
  }
  CHECK(false);
}

const char* label(PublicState state) {
  switch (state) {
    case PublicState::kOperational:
      return "Operational";
    case PublicState::kPaused:
      return "Paused";
    case PublicState::kMaintenance:
      return "Maintenance";
    case PublicState::kNoData:
      return "No data";
    case PublicState::kDegraded:
      return "Degraded";
    case PublicState::kPartialOutage:
      return "Partial outage";
    case PublicState::kMajorOutage:
      return "Major outage";
  }
  CHECK(false);
}

UptimeSummary summarise(const std::vector<DayUptime>& days) {
  UptimeSummary out;
  const std::size_t skip = days.size() > kUptimeDays ? days.size() - kUptimeDays : 0;
  out.bars.assign(days.begin() + static_cast<std::ptrdiff_t>(skip), days.end());
  out.days = static_cast<int>(out.bars.size());
  std::int64_t good = 0, known = 0, all = 0;
  for (const DayUptime& day : out.bars) {
    good += day.up_s + day.degraded_s;
    known += day.up_s + day.degraded_s + day.down_s;
    all += day.up_s + day.degraded_s + day.down_s + day.unknown_s;
  }
  if (known > 0) out.percent = percent(good, known);
  if (all > 0) out.coverage = percent(known, all);
  return out;
}

PageView make_page(const StatusPageSpec& spec, const EngineView& view, const UptimeTable* uptime,
                   WallTime now) {
  std::map<std::string, const MonitorView*> monitors;
  for (const MonitorView& m : view.monitors) monitors.emplace(m.entry.spec.key, &m);

  PageView page;
  page.slug = spec.slug;
  page.title = spec.title.empty() ? spec.slug : spec.title;
  page.generated_at = now;
  page.data_until = view.at;
  page.stale = now - view.at > kStaleAfter;

  bool any = false;
  PublicState worst = PublicState::kOperational;
  for (const PageGroup& group_spec : spec.groups) {
    GroupView group;
    group.name = group_spec.name;
    for (const PageComponent& component : group_spec.components) {
      const auto m = monitors.find(component.monitor);
      group.components.push_back(
          make_component(component, m == monitors.end() ? nullptr : m->second, uptime));
      const PublicState state = group.components.back().state;
      if (state == PublicState::kOperational) ++group.operational;
      group.state = std::max(group.state, state);
    }
    any = any || !group.components.empty();
    worst = std::max(worst, group.state);
    page.groups.push_back(std::move(group));
  }
  page.state = any ? worst : PublicState::kNoData;
  add_incidents(page, spec, view, monitors);
  if (!page.incidents.empty()) page.state = std::max(page.state, PublicState::kPartialOutage);
  if (page.stale) page.state = std::max(page.state, PublicState::kNoData);
  // One component out of several is a partial outage, however thorough that one is.
  if (page.state == PublicState::kMajorOutage) {
    for (const GroupView& group : page.groups) {
      for (const ComponentView& c : group.components) {
        if (c.state < PublicState::kPartialOutage && c.state != PublicState::kPaused) {
          page.state = PublicState::kPartialOutage;
        }
      }
    }
  }
  add_sentence(page);
  return page;
}

std::string format_day(std::int64_t day) {
  constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                               "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::string iso = format_rfc3339(WallTime{day * kSecondsPerDay * 1'000'000});
  const auto month = static_cast<std::size_t>((iso[5] - '0') * 10 + (iso[6] - '0'));
  const int date = (iso[8] - '0') * 10 + (iso[9] - '0');
  return fmt::format("{} {} {}", date, kMonths.at(month - 1), iso.substr(0, 4));
}

std::string format_for_people(WallTime t) {
  const std::int64_t seconds = std::max<std::int64_t>(t.us / 1'000'000, 0);
  return fmt::format("{}, {} UTC", format_day(seconds / kSecondsPerDay),
                     format_rfc3339(t).substr(11, 8));
}

std::string format_span(Duration d) {
  const std::int64_t s = std::max<std::int64_t>(d.count() / 1'000'000, 0);
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{} min {} s", s / 60, s % 60);
  if (s < kSecondsPerDay) return fmt::format("{} h {:02} min", s / 3600, s % 3600 / 60);
  return fmt::format("{} d {} h", s / kSecondsPerDay, s % kSecondsPerDay / 3600);
}

}  // namespace tocsin::collector::status
