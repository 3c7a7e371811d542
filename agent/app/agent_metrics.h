#pragma once
// Question answered here: which numbers does an agent publish, and where do they come from?

#include "agent/core/conductor.h"
#include "agent/spool/frame_writer.h"
#include "agent/uplink/uplink.h"
#include "common/io/metrics.h"

#include <set>
#include <string>

namespace tocsin::agent {

/// One thread: the loop's. Totals that the parts count themselves are copied when somebody asks.
class AgentMetrics {
 public:
  explicit AgentMetrics(const std::string& region);

  /// An attempt ended; counts what only the shell sees.
  void attempt(const Observation& observation);
  void notice(const Notice& notice);
  void link_trouble(LinkTrouble trouble);
  void unreadable(bool unsupported);

  struct Snapshot {
    const AgentStats& stats;
    const FrameWriter& spool;
    std::uint64_t spool_bytes_max = 0;
    const Uplink& uplink;
    std::uint64_t runs_held = 0;  ///< Probe handles alive.
    bool draining = false;
  };

  /// The text of /metrics.
  std::string text(const Snapshot& now);

 private:
  void publish(const AgentStats& stats);

  io::Metrics metrics_;
  std::set<Reason> shown_faults_;
};

}  // namespace tocsin::agent
