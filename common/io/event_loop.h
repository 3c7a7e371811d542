#pragma once
// Question answered here: what is ready, what is due, and what did other threads ask for?
//
// libevent's epoll backend behind handles. One thread owns the loop and everything on it; only
// `post` and `stop` may be called from other threads. Time stands still within one turn. Every
// handle must be destroyed before its loop, and before its descriptor is closed (the changelist of
// libevent would otherwise act on a descriptor that is somebody else's by then; for the same reason
// never watch two dup()s of one file).

#include "common/base/clock.h"
#include "common/base/time.h"
#include "common/io/mailbox.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

struct event;
struct event_base;

namespace tocsin::io {

/// What a watcher waits for, or what is ready: bits.
enum class Interest : std::uint8_t { kNone = 0, kRead = 1, kWrite = 2, kBoth = 3 };

inline Interest operator|(Interest a, Interest b) {
  return static_cast<Interest>(static_cast<std::uint8_t>(a) | static_cast<std::uint8_t>(b));
}

inline bool has(Interest set, Interest bit) {
  return (static_cast<std::uint8_t>(set) & static_cast<std::uint8_t>(bit)) != 0;
}

class EventLoop;

/// One watched descriptor (not owned), level-triggered. Destroying it stops the watching; its
/// callback will not run after that, and may itself destroy it.
class Watch {
 public:
  using Callback = std::function<void(Interest ready)>;

  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  /// Changes what is waited for. Within one turn any number of changes costs at most one system
  /// call, and setting what is set already costs nothing.
  void set(Interest interest);

  Interest interest() const { return interest_; }

  int fd() const { return fd_; }

 private:
  friend class EventLoop;
  Watch(EventLoop& loop, int fd, Interest interest, Callback callback);
  void on_ready(Interest ready);
  static void trampoline(int fd, short what, void* self);

  EventLoop& loop_;
  event* event_;
  Callback callback_;
  bool* destroyed_ = nullptr;  ///< Set while the callback runs.
  int fd_;
  Interest interest_ = Interest::kNone;
};

using WatchHandle = std::unique_ptr<Watch>;

/// One timer that fires once for each time it is set. Destroying it cancels; the callback may
/// destroy it or set it again.
class Timer {
 public:
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  /// False once it has fired.
  bool armed() const { return index_ != kIdle; }

  MonoTime due() const { return due_; }

  /// Fires then instead of at due(), or once more when it has fired. Putting off is O(1): a
  /// deadline that moves with every answer costs nothing until it comes.
  void set(MonoTime due);

 private:
  friend class EventLoop;
  static constexpr std::size_t kIdle = SIZE_MAX;
  Timer(EventLoop& loop, MonoTime due, std::uint64_t order, std::function<void()> callback);

  void fire();

  EventLoop& loop_;
  MonoTime due_;
  MonoTime key_;  ///< Its place in the heap is for this; before due_ when it was put off since.
  std::uint64_t order_;  ///< Timers due at the same moment fire in the order they were made.
  std::size_t index_ = kIdle;
  bool* destroyed_ = nullptr;  ///< Set while the callback runs.
  std::function<void()> callback_;
};

using TimerHandle = std::unique_ptr<Timer>;

/// How long the turns kept the loop from looking at its sockets again: from the first callback of a
/// turn to its end, by CLOCK_MONOTONIC, the time that the thread waited for a processor included.
struct LoopStats {
  /// Upper ends of `buckets`; the last bucket has none.
  static constexpr std::array<Duration, 8> kBounds{
      Duration{100},    Duration{1'000},  Duration{5'000},   Duration{10'000},
      Duration{25'000}, Duration{50'000}, Duration{100'000}, Duration{1'000'000}};

  std::uint64_t turns = 0;  ///< In which anything was called.
  Duration busy_sum{0};
  Duration busy_max{0};  ///< The loop's longest stall since it was made.
  std::array<std::uint64_t, kBounds.size() + 1> buckets{};  ///< Turns of that length each.
};

class EventLoop {
 public:
  /// Functions posted and not yet run. Whoever posts has a bounded number of things under way, so
  /// reaching this is a bug and a CHECK.
  static constexpr std::size_t kPostedMax = 65'536;
  /// The loop looks at the clock at least this often, because a machine that was suspended wakes up
  /// with timers due that the kernel's monotonic clock does not know of.
  static constexpr Duration kSleepMax = std::chrono::seconds{1};

  /// `clock` outlives the loop.
  explicit EventLoop(Clock& clock);
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// Read once per turn. Outside `run` it is read anew each time.
  Now now();

  Clock& clock() { return clock_; }

  /// `fd` is not owned and must be open (and pollable) as long as the handle lives.
  [[nodiscard]] WatchHandle watch(int fd, Interest interest, Watch::Callback callback);

  /// Fires in the first turn at or after that moment, never inside this call. O(log timers).
  [[nodiscard]] TimerHandle at(MonoTime due, std::function<void()> callback);
  [[nodiscard]] TimerHandle after(Duration delay, std::function<void()> callback);

  /// From any thread: runs on the loop in a later turn, in the order posted. Functions still
  /// waiting when the loop is destroyed are destroyed unrun.
  void post(std::function<void()> function);

  /// Runs until `stop`.
  void run();
  /// Runs one turn that waits at most `at_most`; for tests and for programs that wait for one
  /// thing.
  void run_once(Duration at_most = kSleepMax);
  /// From any thread: `run` returns after the turn under way. A stop before `run` makes it return
  /// at once; each stop ends one run.
  void stop();

  /// On the loop's thread. The turn under way is not in it.
  const LoopStats& stats() const { return stats_; }

  /// The longest turn since the last call of this, for a gauge that is read now and then.
  Duration take_stall_max() { return std::exchange(stall_max_, Duration{0}); }

  /// Counts turns of run_once, for budgets that hold for one turn.
  std::uint64_t turn() const { return turn_; }

  /// For libraries that bring their own glue to libevent.
  event_base* native() { return base_; }

 private:
  friend class Watch;
  friend class Timer;
  struct PostedRunner;

  void add_timer(Timer& timer);
  void remove_timer(Timer& timer);
  void place(std::size_t index, Timer* timer);
  void sift_up(std::size_t index);
  void sift_down(std::size_t index);
  static bool earlier(const Timer& a, const Timer& b);
  /// The first one's key is its due moment after this.
  void settle_first();
  void fire_timers();
  void run_posted();
  /// The first callback of a turn is about to run.
  void note_busy();
  void end_turn();

  Clock& clock_;
  event_base* base_;
  event* sleep_timer_;
  std::vector<Timer*> heap_;  ///< Binary heap by (key, order); Timer::index_ points back.
  std::uint64_t next_order_ = 0;
  Mailbox<std::function<void()>> posted_;
  std::atomic<bool> stop_{false};
  std::size_t watches_ = 0;
  bool in_turn_ = false;
  bool now_fresh_ = false;
  std::uint64_t turn_ = 0;
  std::optional<MonoTime> busy_since_;  ///< By latency_clock(); set in a turn that called anything.
  Duration stall_max_{0};
  LoopStats stats_;
  Now now_;
  WatchHandle posted_watch_;
};

}  // namespace tocsin::io
