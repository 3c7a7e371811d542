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
//      (paused and planned ones aside) and at least a partial outage while an incident is open.
//  SP2 Unknown is said as "no data", in its own shape, and never counted as up.
//  SP3 Data older than kStaleAfter is not news: the overall state is then at best "no data".
//  SP4 Uptime is truncated, never rounded up; 100 % only without one second of downtime; time
//      without data is left out and the coverage is said beside it.

#include "collector/core/engine.h"
#include "collector/ports/view_source.h"
#include "common/base/time.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tocsin::collector::status {

/// In the order of a reader's concern, worst last.
enum class PublicState : std::uint8_t {
  kOperational,
  kPaused,
  kMaintenance,
  kNoData,
  kDegraded,
  kPartialOutage,  ///< Down by quorum, though some regions still get through.
  kMajorOutage,
};

/// "operational", "partial_outage" ...: in the JSON and in class names.
const char* to_string(PublicState state);
/// "Operational", "Partial outage" ...: beside the shape.
const char* label(PublicState state);

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
  std::vector<DayUptime> bars;  ///< In order, one per day of the window, at most kUptimeDays.

  friend bool operator==(const UptimeSummary&, const UptimeSummary&) = default;
};

struct ComponentView {
  std::string name;
  PublicState state = PublicState::kNoData;
  MonitorStatus status = MonitorStatus::kUnknown;
  std::optional<WallTime> since;
  std::optional<WallTime> measured_at;
  RegionCount regions;
  std::string sure;  ///< "2 of 2 regions reach it."
  std::optional<UptimeSummary> uptime;
};

struct GroupView {
  std::string name;
  PublicState state = PublicState::kOperational;  ///< Worst of its components.
  int operational = 0;
  std::vector<ComponentView> components;
};

struct PublicIncident {
  std::uint64_t number = 0;
  std::string component;
  PublicState state = PublicState::kPartialOutage;
  WallTime started_at;
  std::optional<WallTime> acknowledged_at;
  std::string text;  ///< Made here; the internal title and reason stay inside.
};

struct PageView {
  std::string slug;
  std::string title;
  PublicState state = PublicState::kNoData;
  std::string sentence;
  std::string detail;  ///< A second line; may be empty.
  WallTime generated_at;
  WallTime data_until;
  bool stale = false;
  std::vector<PublicIncident> incidents;
  std::vector<GroupView> groups;
};

/// Pure. `uptime` may be null.
PageView make_page(const StatusPageSpec& page, const EngineView& view, const UptimeTable* uptime,
                   WallTime now);

/// Up and degraded count as up; nothing is measured in unknown seconds. Windows end with the last
/// day.
UptimeSummary summarise(const std::vector<DayUptime>& days);

/// "21 Nov 2026, 02:58:30 UTC".
std::string format_for_people(WallTime t);
/// "21 Nov 2026", of a day since the epoch.
std::string format_day(std::int64_t day);
/// "41 s", "4 min 12 s", "3 h 05 min", "2 d 4 h"; negative spans are "0 s".
std::string format_span(Duration d);

}  // namespace tocsin::collector::status
