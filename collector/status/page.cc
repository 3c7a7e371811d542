#include "collector/status/page.h"

#include "collector/status/public_id.h"
#include "common/base/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace tocsin::collector::status {

namespace {

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

/// What people's reports say of one component.
struct Reported {
  PublicState state = PublicState::kOperational;
  bool in_maintenance = false;
  const Post* post = nullptr;  ///< The newest of those that say the worst.
};

Reported find_reported(const std::vector<Post>& posts, const std::string& key) {
  Reported out;
  for (const Post& post : posts) {
    if (post.phase != PostPhase::kCurrent) continue;
    if (std::find(post.components.begin(), post.components.end(), key) == post.components.end()) {
      continue;
    }
    out.in_maintenance |= post.kind == PostKind::kMaintenance;
    if (out.post == nullptr || post.state > out.state) {
      out.post = &post;
      out.state = post.state;
    }
  }
  return out;
}

/// SP1: a report makes it worse, a maintenance is said in place of what is measured.
void apply_report(ComponentView& c, const std::vector<Post>& posts) {
  const Reported reported = find_reported(posts, c.key);
  if (reported.post == nullptr) return;
  c.reported = reported.post->id;
  if (reported.in_maintenance && c.state != PublicState::kPaused) {
    c.state = PublicState::kMaintenance;
  }
  if (reported.state > PublicState::kMaintenance) c.state = std::max(c.state, reported.state);
  if (!c.measured) c.since = reported.post->began;
}

ComponentView make_component(const StatusPageSpec& page, const PageComponent& spec,
                             const MonitorView* m, const PageSources& sources) {
  ComponentView c;
  c.key = spec.key();
  c.id = public_id(page.id, "component", c.key);
  c.name = spec.name;
  c.description = spec.description;
  if (spec.monitor.empty()) {
    c.measured = false;
    c.state = PublicState::kOperational;
    return c;
  }
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
  if (c.status == MonitorStatus::kUp || c.status == MonitorStatus::kDegraded ||
      c.status == MonitorStatus::kDown) {
    c.last_known = c.status;
  } else if (sources.history != nullptr) {
    const auto last = sources.history->last_known.find(m->entry.spec.id);
    if (last != sources.history->last_known.end()) c.last_known = last->second;
  }
  if (sources.uptime != nullptr) {
    const auto days = sources.uptime->find(m->entry.spec.id);
    if (days != sources.uptime->end() && !days->second.empty()) {
      c.uptime = summarise(days->second);
    }
  }
  return c;
}

using NamesByState = std::map<PublicState, std::vector<std::string>>;

std::string are(const std::vector<std::string>& names, std::string_view what) {
  return fmt::format("{} {} {}", name_list(names), names.size() == 1 ? "is" : "are", what);
}

std::string outage_sentence(const PageView& page, NamesByState& by_state, std::size_t total) {
  const auto& down = by_state[PublicState::kMajorOutage];
  const auto& partly = by_state[PublicState::kPartialOutage];
  if (down.size() == total) return total == 1 ? are(down, "down") : "Everything is down";
  std::string partial;
  if (!partly.empty()) {
    partial = fmt::format("{} {} a partial outage", name_list(partly),
                          partly.size() == 1 ? "has" : "have");
  }
  if (down.empty() && partly.empty()) {
    const auto open = std::count_if(page.posts.begin(), page.posts.end(), [](const Post& p) {
      return p.phase == PostPhase::kCurrent && p.kind != PostKind::kMaintenance;
    });
    return open > 1 ? fmt::format("{} incidents are open", open) : "An incident is open";
  }
  if (down.empty()) return partial;
  return are(down, "down") + (partial.empty() ? "" : ", " + partial);
}

std::string sentence_of(const PageView& page, NamesByState& by_state, std::size_t total) {
  const std::vector<std::string>& named = by_state[page.state];
  switch (page.state) {
    case PublicState::kMajorOutage:
    case PublicState::kPartialOutage:
      return outage_sentence(page, by_state, total);
    case PublicState::kDegraded:
      return named.empty() ? "An incident is open" : are(named, "degraded");
    case PublicState::kNoData:
      if (page.stale) return "We cannot measure at the moment";
      return named.size() == total ? "We have no data yet, or none that is fresh"
                                   : fmt::format("No data about {}", name_list(named));
    case PublicState::kMaintenance:
      return named.empty() ? "Maintenance is in progress"
                           : fmt::format("Maintenance of {}", name_list(named));
    case PublicState::kPaused:
      return "Measuring is paused";
    case PublicState::kOperational:
      break;
  }
  const std::size_t paused = by_state[PublicState::kPaused].size();
  return paused == 0 ? "All components are operational"
                     : "All components that are measured are operational";
}

void add_sentence(PageView& page) {
  NamesByState by_state;
  std::size_t total = 0;
  for (const GroupView& group : page.groups) {
    for (const ComponentView& c : group.components) {
      by_state[c.state].push_back(c.name);
      ++total;
    }
  }
  if (total == 0 && page.state == PublicState::kNoData && !page.stale) {
    page.sentence = "Nothing is shown on this page yet";
    page.detail = "Its owner has not added any component.";
    return;
  }
  page.sentence = sentence_of(page, by_state, total);
  if (page.stale) {
    if (page.state > PublicState::kNoData) page.sentence = "Last known: " + page.sentence;
    page.detail = fmt::format("No new data since {}. What follows is as of then.",
                              format_for_people(page.data_until));
  } else if (page.state >= PublicState::kDegraded && total > 0) {
    const std::size_t good = by_state[PublicState::kOperational].size();
    page.detail =
        fmt::format("{} of {} component{} operational.", good, total, total == 1 ? " is" : "s are");
  } else if (const auto paused = by_state[PublicState::kPaused];
             !paused.empty() && paused.size() < total) {
    page.detail = fmt::format("Paused: {}.", name_list(paused));
  }
}

/// How an open incident's component is now, in words of our own.
std::string describe(const ComponentView& c, bool acknowledged) {
  std::string out;
  if (c.status == MonitorStatus::kDown) {
    out = fmt::format("{} is down: {} of {} region{} cannot reach it.", c.name, c.regions.fail,
                      c.regions.total, plural(c.regions.total));
  } else if (c.status == MonitorStatus::kUnknown) {
    out = fmt::format("{} was down; at the moment we cannot tell.", c.name);
  } else {
    out =
        fmt::format("{} was down and answers again; we are making sure that it stays so.", c.name);
  }
  if (acknowledged) out += " Somebody is working on it.";
  return out;
}

/// A monitor that is on the page has its incidents there. It may stand there more than once; they
/// are told once.
void add_incidents(PageView& page, const StatusPageSpec& spec, const PageSources& sources) {
  for (const IncidentRow& incident : sources.view.open_incidents) {
    if (incident.kind != IncidentKind::kMonitor || incident.monitor_key.empty()) continue;
    if (incident.state == IncidentState::kResolved) continue;
    const ComponentView* c = page.find(incident.monitor_key);
    if (c == nullptr || !c->measured) continue;
    Post post = measured_post(spec, incident, c->name);
    post.text = describe(*c, incident.acknowledged_at.has_value());
    page.posts.push_back(std::move(post));
    if (c->state != PublicState::kMaintenance) {
      page.state = std::max(page.state, PublicState::kPartialOutage);
    }
  }
  if (sources.history == nullptr) return;
  for (const PastIncident& incident : sources.history->incidents) {
    const ComponentView* c = page.find(incident.monitor_key);
    if (c == nullptr || !c->measured) continue;
    page.posts.push_back(measured_post(spec, incident, c->name));
  }
}

/// The worst of them; paused ones have no vote unless there is nothing else.
PublicState worst_of(const std::vector<PublicState>& states) {
  if (states.empty()) return PublicState::kNoData;
  PublicState worst = PublicState::kOperational;
  bool all_paused = true;
  for (const PublicState state : states) {
    if (state == PublicState::kPaused) continue;
    all_paused = false;
    worst = std::max(worst, state);
  }
  return all_paused ? PublicState::kPaused : worst;
}

void add_groups(PageView& page, const StatusPageSpec& spec, const PageSources& sources) {
  std::map<std::string, const MonitorView*, std::less<>> monitors;
  for (const PageGroup& group : spec.groups) {
    for (const PageComponent& c : group.components) monitors.emplace(c.monitor, nullptr);
  }
  for (const MonitorView& m : sources.view.monitors) {
    const auto wanted = monitors.find(m.entry.spec.key);
    if (wanted != monitors.end()) wanted->second = &m;
  }
  std::map<std::string, int> of_that_name;
  for (const PageGroup& group_spec : spec.groups) {
    GroupView group;
    group.name = group_spec.name;
    const int before = of_that_name[group.name]++;
    group.id = public_id(spec.id, "group",
                         before == 0 ? group.name : fmt::format("{}\n{}", group.name, before));
    std::vector<PublicState> states;
    for (const PageComponent& component : group_spec.components) {
      ComponentView c =
          make_component(spec, component, monitors.find(component.monitor)->second, sources);
      apply_report(c, page.posts);
      states.push_back(c.state);
      if (c.state == PublicState::kOperational) ++group.operational;
      if (c.since) page.changed_at = std::max(page.changed_at, *c.since);
      group.components.push_back(std::move(c));
    }
    group.state = worst_of(states);
    page.groups.push_back(std::move(group));
  }
}

PublicState state_of_components(const PageView& page) {
  std::vector<PublicState> states;
  bool any_better = false;
  for (const GroupView& group : page.groups) {
    for (const ComponentView& c : group.components) {
      states.push_back(c.state);
      any_better |= c.state < PublicState::kPartialOutage && c.state != PublicState::kPaused;
    }
  }
  const PublicState worst = worst_of(states);
  // One component out of several is a partial outage, however thorough that one is.
  return worst == PublicState::kMajorOutage && any_better ? PublicState::kPartialOutage : worst;
}

}  // namespace

UptimeSummary summarise(const std::vector<DayUptime>& days) {
  UptimeSummary out;
  const std::size_t skip = days.size() > kUptimeDays ? days.size() - kUptimeDays : 0;
  out.bars.assign(days.begin() + static_cast<std::ptrdiff_t>(skip), days.end());
  const auto sum = [](const DayUptime& d) {
    return d.up_s + d.degraded_s + d.down_s + d.unknown_s;
  };
  const auto first = std::find_if(out.bars.begin(), out.bars.end(),
                                  [&](const DayUptime& d) { return sum(d) > 0; });
  out.days = static_cast<int>(
      (first == out.bars.end() ? out.bars.end() - out.bars.begin() : out.bars.end() - first));
  std::int64_t good = 0, known = 0, all = 0;
  for (auto day = first; day != out.bars.end(); ++day) {
    good += day->up_s + day->degraded_s;
    known += day->up_s + day->degraded_s + day->down_s;
    all += std::max(sum(*day), day->elapsed_s);
  }
  if (known > 0) out.percent = percent(good, known);
  if (all > 0) out.coverage = percent(known, all);
  return out;
}

std::size_t PageView::count(PostPhase phase) const {
  return static_cast<std::size_t>(std::count_if(
      posts.begin(), posts.end(), [phase](const Post& post) { return post.phase == phase; }));
}

const ComponentView* PageView::find(const std::string& key) const {
  for (const GroupView& group : groups) {
    for (const ComponentView& c : group.components) {
      if (c.key == key) return &c;
    }
  }
  return nullptr;
}

PageView make_page(const StatusPageSpec& spec, const PageSources& sources,
                   const PageMoment& moment) {
  PageView page;
  page.id = spec.id;
  page.slug = spec.slug;
  page.title = spec.title.empty() ? spec.slug : spec.title;
  page.description = spec.description;
  page.homepage = spec.homepage;
  page.contact = spec.contact;
  page.noindex = spec.noindex;
  page.generated_at = moment.now;
  page.data_until = sources.view.at;
  page.stale_after = page.data_until + kStaleAfter + moment.every;
  page.stale = moment.silent || moment.now - page.data_until > kStaleAfter;
  page.history_known = sources.history != nullptr;
  if (sources.view.catalog) {
    if (const ObjectMeta* meta = sources.view.catalog->find_meta(ObjectKind::kPage, spec.slug)) {
      page.created_at = meta->created;
      page.changed_at = meta->updated;
    }
  }
  if (sources.view.reports) page.posts = report_posts(spec, *sources.view.reports, moment.now);
  add_groups(page, spec, sources);
  page.state = state_of_components(page);
  for (const Post& post : page.posts) {
    if (post.phase != PostPhase::kCurrent || !post.components.empty()) continue;
    // It is about everything, so the page is as it says; with no component there is nothing else.
    page.state = page.groups.empty() ? post.state : std::max(page.state, post.state);
  }
  add_incidents(page, spec, sources);
  if (page.stale) page.state = std::max(page.state, PublicState::kNoData);
  for (const Post& post : page.posts) page.changed_at = std::max(page.changed_at, post.changed);
  bound_posts(page.posts);
  add_sentence(page);
  return page;
}

}  // namespace tocsin::collector::status
