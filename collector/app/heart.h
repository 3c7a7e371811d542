#pragma once
// Question answered here: what do `serve` and the commands without a daemon share?
//
// The store with its lock, its thread, and the engine restored over it.

#include "collector/app/collector.h"
#include "collector/app/collector_config.h"
#include "collector/app/monitors_file.h"
#include "collector/app/watched_clock.h"
#include "collector/engine/engine_thread.h"
#include "collector/engine/store_thread.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace tocsin::collector {

class Heart {
 public:
  struct Ports {
    LinkSink& link;  ///< Outlives the heart.
    EngineThread::Publish publish;
    std::function<void()> wake_outbox;
  };

  /// kTemporary when another process keeps the state directory for longer than `lock_patience`.
  static Started<std::unique_ptr<Heart>> open(const CollectorConfig& config, Ports ports,
                                              Duration lock_patience);

  /// Asks the engine and waits. Not from a thread that the engine's answers need.
  Reply ask(Event event);

  /// Reads the monitors file and applies it; every error with its line. Nothing to do without one.
  std::vector<std::string> apply_monitors(const CollectorConfig& config, WallTime now);

  /// Of the SQLite file; nothing for the memory store.
  Started<std::unique_ptr<StoreReader>> open_reader(const CollectorConfig& config) const;
  Started<std::function<void()>> open_maintenance(const CollectorConfig& config) const;
  /// True: call again soon.
  Started<std::function<bool()>> open_rollup(const CollectorConfig& config) const;

  StoreThread& store() { return *store_; }

  EngineThread& engine() { return *engine_; }

 private:
  Heart() = default;

  WatchedClock clock_{"engine"};
  std::unique_ptr<StoreThread> store_;
  std::unique_ptr<EngineThread> engine_;  ///< Ends before the store's thread does.
};

/// The event that applies a file, and what its reply says: errors with their lines, or what changed
/// as lines for the log.
ApplyCatalog apply_event(const MonitorsFile& file);
std::vector<std::string> reply_errors(const MonitorsFile& file, const Reply& reply);
void log_changes(const Reply& reply);

}  // namespace tocsin::collector
