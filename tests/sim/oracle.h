#pragma once
// Question answered here: was anything that happened against the rules?
//
// Knows the truth of the world and a slow, obvious copy of what must follow. Each check names its
// invariant (docs/testing.md lists them).

#include "tests/sim/world.h"

#include <map>
#include <set>

namespace tocsin::sim {

class Oracle {
 public:
  explicit Oracle(World& world)
      : world_(world) {}

  // --- agents ---
  void emitted(const AgentNode& agent, const CheckResult& result);
  void durable(const AgentNode& agent, const std::vector<CheckResult>& results);
  void assigned(const AgentNode& agent, const Assignment& assignment, WallTime now);
  void stopped(const AgentNode& agent, WallTime now);
  /// The agent is told how far the collector has committed.
  void acked(const StreamAck& ack);

  // --- collector ---
  void committed(const collector::CommitGroup& group);
  void claimed(const collector::OutboxItem& item);
  void sample();
  void finish();

 private:
  struct Watch {
    SlotGrid grid;
    WallTime from;
  };

  void close_watch(const AgentNode& agent, SeriesId series, const Watch& watch, WallTime now);
  void check_secrets();
  /// After a start nobody is judged silent for 90 s, so a status stays that long.
  bool settling() const;
  /// No region is counted twice: as many fail as the quorum wants.
  void check_quorum(const MonitorId& monitor, WallTime now, const std::string& what,
                    const std::string& because);
  int regions_possibly_down(const MonitorId& monitor, WallTime now) const;
  /// Its schedule is younger than a vote may be old.
  bool began_anew(const collector::MonitorView& view, WallTime now) const;
  int regions_fresh(const collector::MonitorView& view, WallTime now) const;

  World& world_;
  std::map<const AgentNode*, std::map<SeriesId, Watch>> watches_;
  std::map<const AgentNode*, std::map<SeriesId, std::set<std::uint32_t>>> emitted_;
  std::map<const AgentNode*, std::map<SeriesId, std::set<std::uint32_t>>> emitted_in_life_;
  std::map<SeriesId, std::set<std::uint32_t>> durable_;
  std::map<SeriesId, std::map<std::uint32_t, std::uint32_t>> durable_missed_;  ///< first -> last.
  std::map<std::pair<StreamId, std::uint64_t>, Digest16> frames_;
  std::map<StreamId, std::uint64_t> high_water_;
  std::map<IncidentId, collector::IncidentRow> incidents_;
  std::map<IncidentId, WallTime> timeline_;
  std::map<IncidentId, std::map<std::pair<int, int>, WallTime>>
      steps_;                      ///< (repeat, step) -> created.
  std::set<IncidentId> answered_;  ///< Acknowledged or resolved.
  std::map<MonitorId, IncidentId> open_;
  std::set<MonitorId> down_;  ///< Whose newest status is down.
};

}  // namespace tocsin::sim
