#pragma once
// Question answered here: who sends what waits in the outbox, and when is it tried again?
//
// Specification
//  OR1 Claim, send, record. A send that was not recorded is made again when its claim lapses: at
//      least once always, at most one extra per crash (DEC-15).
//  OR2 A send ends before its claim does (kSendDeadline < kLease), so nobody else holds the same
//      message while it is under way. A claimed message whose turn does not come in time is let go
//      unsent: its claim lapses and it is claimed again.
//  OR3 Transient failures are tried again after 5 s, 15 s, 45 s, 2 min, then every 5 min, each
//      +-20 %; a longer Retry-After wins, up to 10 min. kGiveUpAfter after its due moment a
//      message is dead. A permanent refusal is dead at once.
//  OR4 A destination that failed five times in a row is left alone for a while (CircuitBreaker).
//      This stands outside the tries: a held message is recorded as "held" and comes back, and who
//      listens to outcomes hears that it waits.
//  OR5 At most kInFlightMax messages are under way and kPerDestinationMax of them to one
//      destination, where kWaitingMax more may wait; what comes beyond is handed back for a while
//      that grows with the line. So one slow receiver cannot hold the others up.
//  OR6 No destination is written to more often than its rate allows (SendPace). What has to wait is
//      held; nothing is dropped for it.
//  OR7 Where people read (Channel::digest_max), what waits together goes together: more than
//      kDigestAbove messages to one destination become one digest that lists each. The messages are
//      claimed, recorded and tried again each by itself; the digest is only how they travel. One
//      that is refused for good refuses nobody: for kDigestPause they go singly. Test messages
//      always go singly.

#include "collector/channels/circuit_breaker.h"
#include "collector/channels/send_pace.h"
#include "collector/ports/channel.h"
#include "collector/ports/outbox_port.h"
#include "common/base/rng.h"
#include "common/io/event_loop.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace tocsin::collector {

/// After how long the try after `attempts` (1 or more) tries is made, without a Retry-After.
Duration outbox_backoff(std::uint32_t attempts, Rng& rng);

struct OutboxStats {
  std::uint64_t sent = 0;
  std::uint64_t retried = 0;
  std::uint64_t dead = 0;
  std::uint64_t held = 0;     ///< Put off by a breaker.
  std::uint64_t paced = 0;    ///< Put off by a rate.
  std::uint64_t digests = 0;  ///< Accepted; their messages count as sent.
  std::uint64_t lapsed = 0;   ///< Let go unsent: OR2.
  std::uint64_t store_errors = 0;
  std::uint64_t in_flight = 0;
  std::uint64_t lag_us_last = 0;  ///< Due moment to acceptance of the last message sent.
  std::uint64_t lag_us_max = 0;
};

/// One thread: `net`.
class OutboxRunner {
 public:
  static constexpr Duration kLease = std::chrono::seconds{30};
  static constexpr Duration kSendDeadline = std::chrono::seconds{20};
  static constexpr std::size_t kInFlightMax = 128;
  static constexpr std::size_t kPerDestinationMax = 4;
  static constexpr std::size_t kWaitingMax = 32;
  /// What has no place there comes back after this, and once more for each kPerDestinationMax
  /// before it in the line.
  static constexpr Duration kHandBack = std::chrono::seconds{1};
  static constexpr std::size_t kDigestAbove = 5;
  static constexpr Duration kDigestPause = std::chrono::minutes{10};
  /// Places in the lines of rates that are remembered; beyond it the oldest message stands in line
  /// anew.
  static constexpr std::size_t kPlacesMax = 10'000;
  static constexpr Duration kGiveUpAfter = std::chrono::hours{24};
  /// The outbox is looked at this often even when nobody wakes us.
  static constexpr Duration kLookEvery = std::chrono::seconds{30};
  /// And not more often, whatever the store says is due.
  static constexpr Duration kLookAtMost = std::chrono::milliseconds{250};

  /// Everything outlives the runner. A type without a channel is a permanent refusal.
  OutboxRunner(io::EventLoop& loop, Rng& rng, OutboxPort& outbox,
               std::map<ChannelType, Channel*> channels);
  /// Cancels what is under way: it is sent again later.
  ~OutboxRunner();
  OutboxRunner(const OutboxRunner&) = delete;
  OutboxRunner& operator=(const OutboxRunner&) = delete;

  /// How a send ended, or kHeld by a breaker; called for each message, on the loop.
  using OnOutcome =
      std::function<void(const OutboxRow& row, DeliveryOutcome outcome, const std::string& why)>;

  void on_outcome(OnOutcome callback) { on_outcome_ = std::move(callback); }

  /// Looks for work now: at start, and when the engine says WakeOutbox.
  void wake();

  /// Claims nothing more; what is under way ends and is recorded. Then `idle()` becomes true.
  void drain();

  bool idle() const;

  OutboxStats stats() const;

 private:
  struct Send;

  struct Destination {
    CircuitBreaker breaker;
    SendPace pace;
    MonoTime singly_until;  ///< A digest was refused.
    std::deque<std::unique_ptr<Send>> waiting;
    std::size_t in_flight = 0;
    MonoTime used;
  };

  void claim();
  void on_claimed(Expected<std::vector<OutboxItem>> items, MonoTime asked_at, std::size_t limit);
  void ask_next();
  void look_after(Duration delay);
  void advance(const std::string& name);
  /// Sends the oldest of what waits as a digest, or holds all of it; false when it is too little.
  bool advance_digest(const std::string& name, Channel& channel);
  /// Whether it may go now by its destination's rate; if not, it was held.
  bool in_turn(Destination& destination, const Send& send, bool gather);
  void hand_back_surplus(Destination& destination);
  void hold(const Send& send, Duration retry_in, const std::string& why);
  bool too_late(const Send& send) const;
  void begin(const std::string& name, std::unique_ptr<Send> send);
  void on_result(const NotificationId& id, const SendResult& result);
  /// What became of one message of an ended send; says its outcome.
  DeliveryOutcome settle(const Send& send, const OutboxItem& item, const SendResult& result,
                         Duration backoff);
  void record(const Send& send, const OutboxItem& item, DeliveryOutcome outcome, Duration retry_in,
              int status, std::string detail);
  void forget_idle_destinations();
  std::size_t room() const;

  io::EventLoop& loop_;
  Rng& rng_;
  OutboxPort& outbox_;
  std::map<ChannelType, Channel*> channels_;
  std::map<std::string, Destination> destinations_;
  std::map<NotificationId, std::unique_ptr<Send>> in_flight_;  ///< By the first message of each.
  std::map<NotificationId, NotificationId> carried_;           ///< Every message to that one.
  /// Messages whose rate gave them a place: when.
  std::map<NotificationId, MonoTime> places_;
  OnOutcome on_outcome_;
  OutboxStats stats_;
  std::size_t waiting_ = 0;
  std::size_t recording_ = 0;
  bool claiming_ = false;
  bool again_ = false;
  bool draining_ = false;
  io::TimerHandle look_;
  /// Answers of the port that arrive after us find this gone.
  std::shared_ptr<OutboxRunner*> self_ = std::make_shared<OutboxRunner*>(this);
};

}  // namespace tocsin::collector
