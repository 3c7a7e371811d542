#pragma once
// Question answered here: when does the engine hear that messages do not arrive?
//
// Stands beside the outbox runner, which tells it how each send ended. What follows (the next
// contact method, the next step, an incident about a dead channel) is the engine's to decide.
//
// Specification
//  TR1 DeliveryTrouble for a trigger: once at its kTellAfter-th failed send in this life, or when
//  it
//      is held because its destination fails, and when it is given up.
//  TR2 ChannelHealth not ok: once a channel has failed for kDeadAfter without an acceptance, or
//  when
//      a message to it was given up (a test message does not count). ok: at the first acceptance in
//      this life, and after each not ok; a life before may have left an incident open.
//  TR3 What the engine is too busy to take is offered again every kTryEvery, oldest first; beyond
//      kWaitingMax the newest is dropped and logged.
//  TR4 What was not told when the process dies is not told again for a message that was given up:
//      the other contact methods still come after their own delays, and the ladder goes on.

#include "collector/ports/event_sink.h"
#include "collector/ports/store.h"
#include "common/io/event_loop.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>

namespace tocsin::collector {

/// One thread: `net`.
class TroubleReporter {
 public:
  static constexpr std::uint32_t kTellAfter = 3;
  static constexpr Duration kDeadAfter = std::chrono::minutes{5};
  static constexpr Duration kTryEvery = std::chrono::milliseconds{200};
  static constexpr std::size_t kWaitingMax = 1024;
  /// Messages and channels that are remembered; beyond it the oldest message, or some channel, is
  /// forgotten and begins anew.
  static constexpr std::size_t kKnownMax = 10'000;

  /// Both outlive this.
  TroubleReporter(io::EventLoop& loop, EventSink& engine);

  void on_outcome(const OutboxRow& row, DeliveryOutcome outcome, const std::string& why);

 private:
  struct Health {
    bool known = false;  ///< Told in this life.
    bool ok = true;
    std::optional<WallTime> failing_since;
  };

  void health(const OutboxRow& row, bool ok, const std::string& why);
  void tell(Event event);
  void offer();

  io::EventLoop& loop_;
  EventSink& engine_;
  std::map<NotificationId, std::uint32_t> failures_;
  std::map<std::string, Health> channels_;
  std::deque<EngineInput> waiting_;
  io::TimerHandle again_;
};

}  // namespace tocsin::collector
