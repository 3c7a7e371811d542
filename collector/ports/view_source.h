#pragma once
// Question answered here: what does the `net` thread know of the engine, without asking it?
//
// Values. The engine's thread takes an EngineView between two steps, wraps it in a shared_ptr to
// const and posts it to the loop of `net`, where a ViewHolder keeps the newest. It is shared
// because an answer under way keeps its view while a newer one arrives; nobody ever changes one.
//
// Contract for the engine's shell: publish after every group that changed something, and at least
// every kPublishEvery; a page whose view is older than kStaleAfter says so instead of repeating old
// news as if they were fresh.

#include "collector/core/engine.h"
#include "collector/ports/store.h"
#include "common/base/time.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tocsin::collector {

inline constexpr Duration kPublishEvery = std::chrono::seconds{5};
inline constexpr Duration kStaleAfter = std::chrono::seconds{60};

/// Per monitor its days in order, at most kUptimeDays, the last of them today.
inline constexpr std::size_t kUptimeDays = 90;
using UptimeTable = std::map<MonitorId, std::vector<DayUptime>>;

/// More are not read: pages then show the newest ones.
inline constexpr std::size_t kPastIncidentsMax = 1'000;
inline constexpr int kPastDays = 14;

/// What pages tell of a resolved incident of a monitor.
struct PastIncident {
  IncidentId id;
  std::uint64_t number = 0;
  std::string monitor_key;
  WallTime started_at;
  std::optional<WallTime> acknowledged_at;
  WallTime resolved_at;
  int down = 0;   ///< Regions that said so when it opened, of
  int total = 0;  ///< those that said anything.

  friend bool operator==(const PastIncident&, const PastIncident&) = default;
};

/// What the present view does not know any more.
struct PageHistory {
  std::vector<PastIncident> incidents;  ///< Of the last kPastDays days, newest first.
  /// Up, degraded or down, whatever came after.
  std::map<MonitorId, MonitorStatus> last_known;
};

/// One thing that must be true before traffic makes sense: "store", "ingest", "engine".
struct ReadyCheck {
  std::string name;
  bool ok = false;
  std::string detail;  ///< What is missing, in words an operator can act on; empty when ok.

  friend bool operator==(const ReadyCheck&, const ReadyCheck&) = default;
};

/// One thread: `net`. Every call is cheap and never waits.
class ViewSource {
 public:
  virtual ~ViewSource() = default;

  /// The newest look at the engine; null until the first one.
  virtual std::shared_ptr<const EngineView> view() = 0;

  /// The history of status pages; null: none is kept yet, and pages then show no bars.
  virtual std::shared_ptr<const UptimeTable> uptime() = 0;

  /// Null until it was read.
  virtual std::shared_ptr<const PageHistory> history() = 0;

  /// Taken with the view.
  virtual EngineStats stats() = 0;

  /// Every check, also those that hold. Empty counts as not ready.
  virtual std::vector<ReadyCheck> readiness() = 0;
};

/// The one implementation outside tests: what was posted last.
class ViewHolder final : public ViewSource {
 public:
  void publish(std::shared_ptr<const EngineView> view, const EngineStats& stats) {
    view_ = std::move(view);
    stats_ = stats;
  }

  void publish_uptime(std::shared_ptr<const UptimeTable> uptime) { uptime_ = std::move(uptime); }

  void publish_history(std::shared_ptr<const PageHistory> history) {
    history_ = std::move(history);
  }

  /// Adds the check or replaces the one of that name; their order stays.
  void set_ready(ReadyCheck check) {
    for (ReadyCheck& old : checks_) {
      if (old.name == check.name) {
        old = std::move(check);
        return;
      }
    }
    checks_.push_back(std::move(check));
  }

  std::shared_ptr<const EngineView> view() override { return view_; }

  std::shared_ptr<const UptimeTable> uptime() override { return uptime_; }

  std::shared_ptr<const PageHistory> history() override { return history_; }

  EngineStats stats() override { return stats_; }

  std::vector<ReadyCheck> readiness() override { return checks_; }

 private:
  std::shared_ptr<const EngineView> view_;
  std::shared_ptr<const UptimeTable> uptime_;
  std::shared_ptr<const PageHistory> history_;
  EngineStats stats_;
  std::vector<ReadyCheck> checks_;
};

}  // namespace tocsin::collector
