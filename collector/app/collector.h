#pragma once
// Question answered here: which parts make up a running collector, and in which order do they come
// and go?
//
// The composition root. Threads: `net` (this loop: HTTP, channels, admin.sock, signals), `zmq`
// (ingest), `engine`, `store`, `query`. Values cross between them by bounded mailboxes and by
// functions posted to this loop.
//
// Start: keys, store (with its lock), engine restored, monitors file applied, agents' endpoint,
// HTTP, admin.sock, outbox. Drain: stop taking requests and messages, finish sends under way,
// commit what is inside, close.

#include "collector/app/collector_config.h"
#include "collector/core/engine.h"
#include "common/io/event_loop.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace tocsin::collector {

/// The exit codes of design and of sysexits.h.
enum class Exit : int { kOk = 0, kFailure = 1, kUsage = 2, kTemporary = 75, kConfig = 78 };

/// Why the collector does not start: lines for stderr and an exit code.
struct StartError {
  Exit code = Exit::kFailure;
  std::vector<std::string> lines;
};

template <class T>
using Started = tl::expected<T, StartError>;

StartError start_error(Error error);

class Collector {
 public:
  static Started<std::unique_ptr<Collector>> start(const CollectorConfig& config,
                                                   io::EventLoop& loop);
  ~Collector();
  Collector(const Collector&) = delete;
  Collector& operator=(const Collector&) = delete;

  /// Reads the monitors file again. A file with errors changes nothing; each error is logged.
  void reload();

  /// What it answers over HTTP: "GET /healthz" and so on.
  std::vector<std::string> routes() const;

  /// Ends gracefully, then calls `done` on the loop. At most once.
  void drain(std::function<void()> done);

 private:
  struct Impl;
  explicit Collector(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Carries out one admin request (admin_commands.h) on the state directory of a collector that does
/// not run: takes the store's lock, restores the engine, applies the monitors file, asks, commits.
Started<codec::Node> ask_offline(const CollectorConfig& config, const codec::Node& request);

/// Makes the state directory, the keys and the database; what exists stays. The lines say what was
/// done.
Started<std::vector<std::string>> initialise(const CollectorConfig& config);

}  // namespace tocsin::collector
