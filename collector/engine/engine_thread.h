#pragma once
// Question answered here: how do events become durable, and when does anybody hear of it?
//
// The thread `engine`: takes events in groups, steps the Engine under one Now per group, hands the
// merged rows and journal to the store thread, and only after the commit lets the effects, replies
// and the new view out. It steps group g + 1 while g commits, at most kGroupsAhead ahead.
//
// Specification
//  ET1 Effects, replies and views leave in the order of their groups, each after its commit. A
//  group
//      that changes nothing waits for those before it.
//  ET2 A frame with ticks outside the engine's windows is stepped only when no group is under way,
//      with the store's answer; more such frames join its group as long as no tick repeats.
//  ET3 When a commit fails for good, what was stepped is forgotten: waiting commands are answered
//      kUnavailable, every session ends, and the engine is restored from the store. Agents still
//      hold all that was not acknowledged. Until that works nothing is taken, so the inbox fills
//      and ingest stops reading.
//  ET4 A checkpoint goes with the first group after 10 s or 64 MiB of journal, and with the last.

#include "collector/core/engine.h"
#include "collector/engine/store_thread.h"
#include "collector/ports/event_sink.h"
#include "common/base/clock.h"
#include "common/base/latencies.h"
#include "common/io/mailbox.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace tocsin::collector {

/// Counters of the thread itself, for metrics and /readyz.
struct EngineThreadStats {
  bool storing = true;  ///< False while a commit is failing and the engine is not restored.
  std::uint64_t groups = 0;
  std::uint64_t events = 0;
  std::uint64_t commits = 0;
  std::uint64_t commit_tries_failed = 0;
  std::uint64_t commits_failed = 0;
  std::uint64_t restores = 0;
  std::uint64_t dropped = 0;  ///< Events forgotten by ET3; agents send them again.
  Latencies commits_took;
  std::uint64_t commit_us_max = 0;
  std::uint64_t inbox = 0;
  std::uint64_t inbox_max = 0;
};

class EngineThread final : public EventSink {
 public:
  static constexpr std::size_t kGroupsAhead = 2;

  struct Options {
    Engine::Options engine;
    std::size_t inbox_events = 2048;  ///< Full: `push` says false.
    std::size_t group_events = 4096;
    std::size_t group_frames = 1024;
    Duration checkpoint_every = std::chrono::seconds{10};
    std::size_t checkpoint_bytes = 64U << 20;
    Duration view_every = std::chrono::milliseconds{100};  ///< At most this often, unless an
                                                           ///< incident or the catalogue changed.
    Duration view_at_least = std::chrono::seconds{5};
    Duration restore_every = std::chrono::seconds{1};  ///< Between two tries to restore.
  };

  using Publish = std::function<void(std::shared_ptr<const EngineView>, const EngineStats&)>;

  /// All outlive the thread. `clock` is used by it alone. `wake_outbox` and `publish` are called on
  /// `engine` (the first `publish` inside `start`) and must not block.
  struct Ports {
    StoreThread& store;
    LinkSink& link;
    Clock& clock;
    std::function<void()> wake_outbox;
    Publish publish;
  };

  /// Restores from the store, then starts the thread.
  static Expected<std::unique_ptr<EngineThread>> start(Options options, Ports ports);

  /// Takes no more, commits what is inside, ends.
  ~EngineThread() override;
  EngineThread(const EngineThread&) = delete;
  EngineThread& operator=(const EngineThread&) = delete;

  [[nodiscard]] bool push(EngineInput&& input) override;

  /// Takes no more, commits and lets out what is inside, and waits for that. Once, by the owner.
  void stop();

  EngineThreadStats stats() const;

 private:
  struct Answer {
    std::function<void(Reply)> function;
    Reply reply;
  };

  /// A stepped group on its way to the world.
  struct Pending {
    std::uint64_t commit_seq = 0;  ///< 0: nothing to commit.
    bool done = false;
    std::vector<Effect> effects;
    std::vector<EngineNotice> notices;
    std::vector<Answer> answers;
    std::shared_ptr<const EngineView> view;  ///< Shared with all who look; nobody changes it.
    EngineStats stats;                       ///< With `view`.
  };

  EngineThread(Options options, Ports ports);

  Expected<void> restore();
  void loop();
  void wait();
  bool may_step() const;
  bool step_group();
  bool join_frame(FrameArrived& frame, bool group_empty, std::set<KnownTick>& ticks, bool& asking);
  void take_commits();
  void let_out();
  void deliver();
  void recover();
  bool checkpoint_due(MonoTime now) const;

  const Options options_;
  Ports ports_;
  std::unique_ptr<Engine> engine_;
  io::Mailbox<EngineInput> inbox_;
  io::Mailbox<StoreThread::CommitResult> committed_;
  std::optional<EngineInput> held_;  ///< Taken from the inbox, to be stepped first.
  std::deque<Pending> under_way_;
  std::vector<LinkOrder> orders_;  ///< Let out and not yet taken by the link.
  std::optional<MonoTime> refused_since_;
  std::uint64_t next_commit_seq_ = 1;
  bool failed_ = false;
  bool abandoned_ = false;  ///< Stopped while the store did not work.
  bool tick_now_ = true;
  MonoTime last_tick_;
  MonoTime last_checkpoint_;
  std::size_t journal_bytes_ = 0;  ///< Since the last checkpoint.
  MonoTime last_view_;
  bool view_stale_ = true;

  struct Counters {
    std::atomic<bool> storing{true};
    std::atomic<std::uint64_t> groups{0}, events{0}, commits{0}, commit_tries_failed{0},
        commits_failed{0}, restores{0}, dropped{0}, commit_us_max{0};
    std::array<std::atomic<std::uint64_t>, Latencies::kBounds.size() + 1> commits_took{};
    std::atomic<std::int64_t> commit_us{0};
  } counters_;

  std::thread thread_;
};

}  // namespace tocsin::collector
