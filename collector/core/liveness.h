#pragma once
// Question answered here: which agents are there, and which regions cannot see?
//
//   kAbsent --hello--> kLive --closed--> kClosing --3 s--> kAbsent
//      ^                | \--goodbye--> kAbsent
//      |                +--9 s without a message--> kAbsent
//   kPresumed: had work when the collector started and has the settling time to say hello; it keeps
//   its work meanwhile, and does not count as live.
//
// A region goes blind when for 30 s it has had no live agent that sees (one that reports itself
// blind does not); after a goodbye it has 90 s; never before the collector has settled. All on the
// monotonic clock.

#include "common/base/time.h"

#include <cstdint>
#include <optional>

namespace tocsin::collector {

inline constexpr Duration kHeartbeatEvery = 3s;
inline constexpr Duration kSilenceMax = 9s;
inline constexpr Duration kCloseGrace = 3s;
inline constexpr Duration kBlindAfter = 30s;
inline constexpr Duration kGoodbyeGrace = 90s;
/// A message on a session that another process took over this long ago proves two processes.
inline constexpr Duration kTakeoverGrace = 3s;

enum class Presence : std::uint8_t { kAbsent, kPresumed, kLive, kClosing };

struct Liveness {
  Presence presence = Presence::kAbsent;
  MonoTime heard;   ///< kLive.
  MonoTime closed;  ///< kClosing.

  bool live() const { return presence == Presence::kLive || presence == Presence::kClosing; }

  /// Live, or presumed to be: its work stays with it.
  bool holds_work() const { return presence != Presence::kAbsent; }
};

/// When the agent counts as gone if nothing else happens; never for kAbsent.
MonoTime gone_at(const Liveness& agent, MonoTime settled);

/// When a region without a seeing agent goes blind.
struct Sight {
  std::uint32_t seeing = 0;      ///< Live agents that are not blind themselves.
  MonoTime dark_since;           ///< Of seeing == 0.
  Duration grace = kBlindAfter;  ///< kGoodbyeGrace when the last one said goodbye.
};

std::optional<MonoTime> blind_at(const Sight& sight, MonoTime settled);

}  // namespace tocsin::collector
