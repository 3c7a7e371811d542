#pragma once
// Question answered here: what may the public see, and in which words?
//
// Turns the engine's view into the values that render_html and render_json print. Only this file
// decides what leaves the house: names that the page's owner chose, states, times, how many regions
// agree. Never a target, an address, a failure's detail, a person, or a monitor that is not on the
// page.
//
// Specification
//  SP1 A page is never better than what it shows: the overall state is the worst of its components
//      (paused ones aside, unless all are) and at least a partial outage while an incident is open,
//      save one of a component that is in maintenance. What people report makes it worse, never
//      better, but for maintenance: that is said in place of what is measured.
//  SP2 Unknown is said as "no data", in its own shape, and never counted as up.
//  SP3 Data older than kStaleAfter is not news: the overall state is then at best "no data".
//  SP4 Uptime is truncated, never rounded up; 100 % only without one second of downtime; time
//      without data is left out and the coverage is said beside it: the share of the window that
//      was measured. The window begins with the first day that has data.

#include "collector/core/engine.h"
#include "collector/ports/view_source.h"
#include "collector/status/post.h"
#include "collector/status/words.h"
#include "common/base/time.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tocsin::collector::status {

/// How many regions say what; they sum up to `total`.
struct RegionCount {
  int total = 0;
  int reach = 0;
  int slow = 0;  ///< Reach it, but degraded.
  int fail = 0;
  int silent = 0;  ///< No counted measurement.

  friend bool operator==(const RegionCount&, const RegionCount&) = default;
};

struct UptimeSummary {
  int days = 0;                 ///< Length of the window.
  std::string percent;          ///< "99.981", or "100"; empty when nothing was measured.
  std::string coverage;         ///< Share of the window that was measured, same form.
  std::vector<DayUptime> bars;  ///< In order, one per day, at most kUptimeDays; may begin earlier
                                ///< than the window.
};

struct ComponentView {
  std::string id;   ///< public_id.
  std::string key;  ///< PageComponent::key; stays inside.
  std::string name;
  std::string description;
  PublicState state = PublicState::kNoData;
  bool measured = true;  ///< False for a static one: only people say how it is.
  MonitorStatus status = MonitorStatus::kUnknown;  ///< Of what is measured.
  MonitorStatus last_known = MonitorStatus::kNew;  ///< Up, degraded or down; kNew: never.
  std::optional<WallTime> since;
  std::optional<WallTime> measured_at;
  RegionCount regions;
  std::string sure;      ///< "2 of 2 regions reach it."
  std::string reported;  ///< Post::id of the report that says so; may be empty.
  std::optional<UptimeSummary> uptime;
};

struct GroupView {
  std::string id;
  std::string name;                               ///< May be empty.
  PublicState state = PublicState::kOperational;  ///< Worst of its components.
  int operational = 0;
  std::vector<ComponentView> components;
};

struct PageView {
  StatusPageId id;
  std::string slug;
  std::string title;
  std::string description;
  std::string homepage;
  std::string contact;
  bool noindex = false;
  PublicState state = PublicState::kNoData;
  std::string sentence;
  std::string detail;  ///< A second line; may be empty.
  WallTime created_at;
  WallTime changed_at;  ///< Of the newest thing that is said, unlike the three below.
  WallTime generated_at;
  WallTime data_until;
  WallTime stale_after;  ///< Read later than that, all of it is old.
  bool stale = false;
  bool history_known = false;  ///< False: `posts` lacks what was measured earlier.
  std::vector<Post> posts;     ///< Newest first.
  std::vector<GroupView> groups;

  std::size_t count(PostPhase phase) const;
  const ComponentView* find(const std::string& key) const;
};

struct PageSources {
  const EngineView& view;
  const UptimeTable* uptime = nullptr;   ///< May be null.
  const PageHistory* history = nullptr;  ///< May be null.
};

struct PageMoment {
  WallTime now;
  /// How much later the next one is made: a published copy is news for that much longer.
  Duration every{0};
  /// Made to be shown when nothing newer came: stale whatever the clock says.
  bool silent = false;
};

/// Pure.
PageView make_page(const StatusPageSpec& page, const PageSources& sources,
                   const PageMoment& moment);

/// Up and degraded count as up; nothing is measured in unknown seconds. Windows end with the last
/// day.
UptimeSummary summarise(const std::vector<DayUptime>& days);

}  // namespace tocsin::collector::status
