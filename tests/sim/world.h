#pragma once
// Question answered here: what is the world that agents and a collector live in?
//
// Several Conductors with their spools over simulated disks, one Engine over a memory store, a
// network that delays, drops, duplicates, reorders and cuts, clocks that drift and step, targets
// that fail by a script only the oracle knows, a provider of notifications that loses answers, and
// people who edit and acknowledge. Everything follows from the seed; the same seed gives the same
// trace (INV-29).

#include "agent/core/conductor.h"
#include "agent/spool/frame_writer.h"
#include "collector/core/engine.h"
#include "collector/store/memory_store.h"
#include "common/base/rng.h"
#include "tests/sim/timeline.h"
#include "tests/support/sim_disk.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace tocsin::sim {

/// How much goes wrong.
enum class Weather : std::uint8_t { kQuiet, kModerate, kBrutal };

const char* to_string(Weather weather);

struct Plan {
  std::uint64_t seed = 1;
  Duration length = std::chrono::hours{2};
  bool trace = false;  ///< Print what happens.
};

struct Violation {
  std::string invariant;  ///< "INV-1".
  std::string text;
  Duration at{0};
};

struct Report {
  std::vector<Violation> violations;
  std::uint64_t trace_digest = 0;
  std::uint64_t steps = 0;
  std::map<std::string, std::uint64_t> counts;  ///< Faults and facts, by name.
};

struct Slice {
  Duration from{0}, to{0};
};

/// The truth about one monitor's target.
struct TargetTruth {
  std::vector<Slice> down;
  Reason reason = Reason::kConnectRefused;

  bool fails(Duration t) const {
    for (const Slice& s : down) {
      if (t >= s.from && t < s.to) return true;
    }
    return false;
  }
};

class Oracle;
class World;

/// One connection between an agent process and the collector's process.
struct Connection {
  std::uint64_t id = 0;
  bool up = true;
  std::uint64_t session = 0;                        ///< 0 until Hello.
  Duration last_to_collector{0}, last_to_agent{0};  ///< Order within the connection.
};

/// An agent's host: what survives its process, and the process while it lives.
class AgentNode {
 public:
  AgentNode(World& world, std::size_t index, AgentId id, std::string region);
  ~AgentNode();

  void start();
  /// `power`: what was not synced is gone as well.
  void stop(bool power);

  bool running() const { return process_ != nullptr; }

  Now now() const;
  void step_clock(Duration by);

  void deliver(std::uint64_t connection, const CollectorMessage& message);
  /// Of its running process.
  Assignment assignment() const;
  void link_lost(std::uint64_t connection, const std::string& why);

  // --- what survives ---
  AgentId id;
  std::string region;
  testing::SimDiskState disk;
  Assignment cache;
  Duration clock_offset{0};
  double clock_drift = 0;  ///< Seconds per second.
  Duration boot_offset{0};
  Duration stepped_at{-3'600'000'000}, stepped_by{0};  ///< The last step forward of the clock.
  bool network_cut = false;                            ///< Everything: targets and collector.
  bool link_cut = false;                               ///< Only the collector.
  bool slow_disk = false;
  bool clone = false;
  std::shared_ptr<Connection> connection;

 private:
  friend class Oracle;
  struct Process;

  void step(agent::AgentEvent event);
  void carry_out(std::vector<agent::AgentCommand>& commands);
  void attempt(const agent::StartAttempt& start);
  void connect_later(Duration delay);
  void arm();
  void pump_disk();

  World& world_;
  std::size_t index_;
  std::unique_ptr<Process> process_;
  std::uint64_t life_ = 0;
};

class CollectorNode {
 public:
  explicit CollectorNode(World& world);

  void start();
  void stop();

  bool running() const { return engine_ != nullptr; }

  Now now() const;
  /// From an agent's process over its connection.
  void receive(AgentNode& from, std::shared_ptr<Connection> connection, Bytes bytes, bool frame);
  void left(AgentNode& agent, std::uint64_t session);
  void post(collector::Event event);

  collector::Engine* engine() { return engine_.get(); }

  collector::MemoryStore store{{}};
  Duration clock_offset{0};
  Duration started{0};
  std::uint64_t crashes = 0;
  bool crash_after_commit = false;   ///< Die between the next commit and its effects.
  bool crash_before_commit = false;  ///< Die with the next group not committed.

 private:
  friend class Oracle;

  void turn();
  void commit(collector::CommitGroup group, std::vector<collector::Decision> decisions);
  void effects(const collector::Decision& decision);
  void arm();
  void pump_outbox();

  World& world_;
  std::unique_ptr<collector::Engine> engine_;
  std::vector<collector::Event> inbox_;
  std::map<std::uint64_t, std::pair<AgentNode*, std::shared_ptr<Connection>>> sessions_;
  std::uint64_t next_session_ = 1;
  std::uint64_t commit_seq_ = 0;
  bool turn_armed_ = false;
  bool committing_ = false;
  bool outbox_busy_ = false;
  Duration last_checkpoint_{0};
  std::uint64_t life_ = 0;
};

class World {
 public:
  explicit World(Plan plan);
  ~World();

  Report run();

  // --- what nodes use ---
  WallTime truth() const { return WallTime{kEpochUs + timeline.now().count()}; }

  bool fails(const AgentNode& agent, const MonitorId& monitor) const;
  Reason reason_of(const MonitorId& monitor) const;
  void note(std::string_view what, std::uint64_t value = 0);
  void note_bytes(ByteSpan bytes);

  void count(const std::string& name) { ++report.counts[name]; }

  void violate(std::string invariant, std::string text);

  /// As people left it.
  const collector::CatalogEdit& catalog() const { return edit_; }

  static constexpr std::int64_t kEpochUs = 1'790'000'000'000'000;

  Plan plan;
  Rng rng;
  Timeline timeline;
  Weather weather = Weather::kModerate;
  std::vector<std::unique_ptr<AgentNode>> agents;
  CollectorNode collector;
  std::unique_ptr<Oracle> oracle;
  std::map<MonitorId, TargetTruth> targets;
  std::map<NotificationId, int> accepted;  ///< By the provider.
  Slice provider_down;
  bool healed = false;
  bool state_lost = false;  ///< A state directory went back in time: what it held since is excused.
  Duration last_fault{0};
  Report report;

 private:
  void set_up();
  void plan_targets();
  void plan_faults();
  void fault();
  void people();
  void heal();

  collector::CatalogEdit edit_;
};

}  // namespace tocsin::sim
