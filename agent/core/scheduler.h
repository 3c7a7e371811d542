#pragma once
// Question answered here: which slots are due, and which are given up?
//
// Specification (DEC-5)
//  Q1 One queue per distinct interval, at most kQueuesMax. A queue's guaranteed share of the
//  in-flight
//     budget is proportional to the starts per second it needs, at least 1; rest that other queues
//     leave idle may be used by any queue.
//  Q2 Earliest due first, over all queues that may start. Each series has one slot outstanding; the
//     next one is computed from the grid, never by adding up.
//  Q3 A slot later than min(interval/2, 30 s) is not started: it becomes missed(overload), or
//     missed(blackout) when the machine or the clock stood still (`resumed`), or missed(policy)
//     when the place at its target was what it waited for. A run of missed ticks of a series is one
//     report.
//  Q4 A series that is loaded again with the same grid keeps its slot; a changed grid starts at the
//     first slot after now. Nothing is ever caught up: at most one run per series is due at a time.
//  Q5 The grid runs on the anchored wall clock. Due moments are kept as wall time; a step of the
//  clock
//     changes what is due, never a running timeout. After a step back a series waits for its next
//     tick, so that none is run twice; but when that is more than kAheadMax and two intervals
//     away, the collector has refused those slots as future ones, and it goes on at once.

#include "common/base/latencies.h"
#include "common/base/time.h"
#include "common/model/link.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

namespace tocsin::agent {

/// Take this one now.
struct DueSlot {
  SeriesId series{};
  std::uint32_t tick = 0;
  WallTime slot;
  Duration late{0};
};

/// These ticks are given up.
struct MissedRun {
  SeriesId series{};
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  MissedCause cause = MissedCause::kOverload;
};

class Scheduler {
 public:
  static constexpr std::size_t kQueuesMax = 64;
  static constexpr Duration kAheadMax = std::chrono::hours{1};

  explicit Scheduler(std::uint32_t max_in_flight)
      : max_in_flight_(max_in_flight) {}

  /// Adds a series or changes its grid (Q4). False when its interval would need a 65th queue.
  bool put(SeriesId series, const SlotGrid& grid, WallTime now);
  void drop(SeriesId series);

  bool has(SeriesId series) const { return series_.contains(series); }

  std::size_t size() const { return series_.size(); }

  /// What may start now, earliest due first, within the budget (Q1, Q2), and what is given up (Q3).
  /// `resumed` says that time stood still before this call. Every DueSlot counts as in flight until
  /// `finished` or `deferred` is called for it; its series has no further slot until then.
  void take_due(WallTime now, bool resumed, std::vector<DueSlot>& due,
                std::vector<MissedRun>& missed);

  /// The check of that slot ended; the series waits for its next slot after `slot_tick`.
  void finished(SeriesId series, std::uint32_t slot_tick, WallTime now);

  /// The slot could not start because its target has no place: it stays due, is not in flight, and
  /// is offered again by the next take_due; at the lateness bound it becomes missed(policy).
  void deferred(const DueSlot& slot);

  /// The wall clock was set back (Q5).
  void clock_set_back(WallTime now);

  /// The earliest due moment, or the next lateness bound of what waits for budget; never() if
  /// nothing.
  WallTime next_due(WallTime now) const;

  /// Something waits that is due: for take_due, or for a place.
  bool has_due(WallTime now) const;

  std::uint32_t in_flight() const { return in_flight_; }

  struct QueueStats {
    Duration interval{0};
    std::uint64_t series = 0;
    std::uint64_t in_flight = 0;
    std::uint64_t started = 0;
    std::uint64_t missed = 0;
    Duration lateness_max{0};
    Latencies lateness;  ///< Slot to start, since the start of the agent.
  };

  /// One entry per queue; lateness_max starts again.
  std::vector<QueueStats> stats();

  static Duration lateness_bound(Duration interval);

 private:
  struct Entry {
    SlotGrid grid;
    std::uint32_t tick = 0;  ///< The outstanding slot's.
    bool in_flight = false;
    bool deferred = false;
  };

  struct Queue {
    std::set<std::pair<std::int64_t, SeriesId>> waiting;  ///< (slot ms, series).
    std::uint64_t series = 0;
    std::uint32_t in_flight = 0;
    std::uint32_t share = 1;
    QueueStats stats;
  };

  static std::uint32_t next_tick(const SlotGrid& grid, std::uint32_t tick, WallTime now);
  void reshare();
  /// Places that queues other than `queue` are guaranteed and do not use.
  std::uint32_t reserved_for_others(const Queue& queue) const;
  void wait_for(SeriesId series, Entry& entry, std::uint32_t tick);

  std::uint32_t max_in_flight_;
  std::uint32_t in_flight_ = 0;
  std::unordered_map<SeriesId, Entry> series_;
  std::map<std::int64_t, Queue> queues_;  ///< By interval in ms.
};

}  // namespace tocsin::agent
