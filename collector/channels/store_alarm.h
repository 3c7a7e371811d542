#pragma once
// Question answered here: who hears that the store cannot be written, when no message of the outbox
// can say so?
//
//   kQuiet --failing for kPatience--> kFailing: tell the failure
//   kFailing --written again--> kBack: tell the end
//   kBack --taken by the receiver, or given up--> kQuiet
//   kBack --failing for kPatience--> kFailing: tell the failure
//
// One message per change, to the `fallback_channel` of collector.yaml (DEC-9), tried again like one
// of the outbox until it is taken or the next change makes it old. It is not durable: a collector
// that starts while its store does not work does not get this far, and says so to its supervisor.

#include "collector/core/catalog.h"
#include "collector/ports/channel.h"
#include "common/base/rng.h"
#include "common/io/event_loop.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace tocsin::collector {

/// The event's body: CloudEvents 1.0, as in docs/webhooks.md.
std::string store_alarm_body(bool failing, const std::string& id, WallTime since, WallTime now,
                             std::string_view source);

struct StoreAlarmStats {
  bool failing = false;
  std::uint64_t sent = 0;
  std::uint64_t retried = 0;
  std::uint64_t given_up = 0;  ///< Refused for good, or older than kGiveUpAfter.
};

/// One thread: `net`.
class StoreAlarm {
 public:
  /// As long as a commit is tried (StoreThread::Options::retry_for).
  static constexpr Duration kPatience = std::chrono::seconds{10};
  static constexpr Duration kSendDeadline = std::chrono::seconds{20};
  static constexpr Duration kGiveUpAfter = std::chrono::hours{24};

  /// Hands `body` to the receiver; `key` is the same on every try. Destroying the handle cancels.
  using Post = std::function<std::unique_ptr<SendHandle>(std::string body, const std::string& key,
                                                         Duration deadline, Channel::Done done)>;

  /// `loop` and `rng` outlive the alarm.
  StoreAlarm(io::EventLoop& loop, Rng& rng, std::string source, Post post);

  /// How long writing has been failing; nothing while it works. Called about once a second.
  void look(std::optional<Duration> failing_for);

  StoreAlarmStats stats() const;

 private:
  enum class State : std::uint8_t { kQuiet, kFailing, kBack };

  void tell(State state);
  void send();
  void on_result(const SendResult& result);

  io::EventLoop& loop_;
  Rng& rng_;
  std::string source_;
  Post post_;
  State state_ = State::kQuiet;
  WallTime since_;    ///< Of the failure.
  MonoTime told_at_;  ///< When the message was made.
  std::string id_, body_;
  std::uint32_t tries_ = 0;
  StoreAlarmStats stats_;
  std::unique_ptr<SendHandle> under_way_;
  io::TimerHandle again_;
};

}  // namespace tocsin::collector
