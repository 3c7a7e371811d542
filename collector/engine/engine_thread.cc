#include "collector/engine/engine_thread.h"

#include "collector/engine/replay.h"
#include "common/base/check.h"
#include "common/base/crash_point.h"
#include "common/io/log.h"

#include <poll.h>
#include <pthread.h>

#include <algorithm>
#include <array>

namespace tocsin::collector {
namespace {

/// Ticks asked for by the engine are not taken more often than this, whatever it asks.
constexpr Duration kTickEvery = std::chrono::milliseconds{10};
/// While the link does not take our orders we look again this often.
constexpr Duration kRetryLink = std::chrono::milliseconds{1};
/// Once told to stop, orders that the link does not take for that long are dropped: whoever should
/// have got them connects again.
constexpr Duration kLinkPatience = std::chrono::seconds{5};
constexpr Duration kWaitMax = std::chrono::seconds{1};

/// What people look at has changed, so the view should not wait for its period.
/// What people do is seen by whoever looks after the answer: the view goes out with the group.
bool changes_view(const std::vector<Row>& rows) {
  return std::any_of(rows.begin(), rows.end(), [](const Row& row) {
    return std::holds_alternative<IncidentRow>(row) || std::holds_alternative<CatalogRow>(row) ||
           std::holds_alternative<AuditRow>(row) || std::holds_alternative<SessionRow>(row);
  });
}

std::size_t bytes_of(const std::vector<JournalEntry>& journal) {
  std::size_t out = 0;
  for (const JournalEntry& entry : journal) out += entry.bytes->size();
  return out;
}

template <class T>
void append(std::vector<T>& to, std::vector<T>&& from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

void log_notice(const EngineNotice& notice) {
  const log::Field fields[] = {{"code", notice.code}, {"text", notice.text}};
  log::write(notice.warning ? log::Level::kWarning : log::Level::kInfo, "engine", fields);
}

}  // namespace

Expected<std::unique_ptr<EngineThread>> EngineThread::start(Options options, Ports ports) {
  auto self = std::unique_ptr<EngineThread>(new EngineThread(options, std::move(ports)));
  TRY(self->restore());
  self->thread_ = std::thread([raw = self.get()] { raw->loop(); });
  return self;
}

EngineThread::EngineThread(Options options, Ports ports)
    : options_(options),
      ports_(std::move(ports)),
      inbox_(options.inbox_events),
      committed_(kGroupsAhead) {}

EngineThread::~EngineThread() { stop(); }

bool EngineThread::push(EngineInput&& input) { return inbox_.push(std::move(input)); }

void EngineThread::stop() {
  inbox_.close();
  if (thread_.joinable()) thread_.join();
}

EngineThreadStats EngineThread::stats() const {
  EngineThreadStats out;
  out.storing = counters_.storing;
  out.groups = counters_.groups;
  out.events = counters_.events;
  out.commits = counters_.commits;
  out.commit_tries_failed = counters_.commit_tries_failed;
  out.commits_failed = counters_.commits_failed;
  out.restores = counters_.restores;
  out.dropped = counters_.dropped;
  for (std::size_t i = 0; i < out.commits_took.counts.size(); ++i) {
    out.commits_took.counts[i] = counters_.commits_took[i];
  }
  out.commits_took.sum = Duration{counters_.commit_us};
  out.commit_us_max = counters_.commit_us_max;
  out.inbox = inbox_.size();
  out.inbox_max = inbox_.capacity();
  return out;
}

Expected<void> EngineThread::restore() {
  const MonoTime start = latency_clock();
  auto snapshot = ports_.store.call<Expected<Snapshot>>([](Store& store) { return store.load(); });
  if (!snapshot) return Unexpected{snapshot.error()};
  const std::uint64_t checkpoint = snapshot->checkpoint_commit_seq;
  auto raw = ports_.store.call<Expected<std::vector<Store::RawGroup>>>(
      [checkpoint](Store& store) { return store.journal_after(checkpoint); });
  if (!raw) return Unexpected{raw.error()};
  TRY_ASSIGN(const std::vector<ReplayGroup> journal, decode_journal(*raw));

  const Now now = ports_.clock.now();
  auto engine = std::make_unique<Engine>(options_.engine);
  engine->restore(*snapshot, journal, now);
  engine_ = std::move(engine);
  next_commit_seq_ = snapshot->commit_seq + 1;
  failed_ = false;
  tick_now_ = true;
  last_checkpoint_ = now.mono;
  journal_bytes_ = 0;
  for (const Store::RawGroup& group : *raw) journal_bytes_ += bytes_of(group.entries);
  for (Effect& effect : keys_of(*snapshot)) orders_.emplace_back(std::move(effect));
  if (ports_.publish) {
    ports_.publish(std::make_shared<const EngineView>(engine_->view(now.wall)), engine_->stats());
  }
  last_view_ = now.mono;
  ++counters_.restores;
  counters_.storing = true;
  log::info("engine restored", {{"commit_seq", snapshot->commit_seq},
                                {"checkpoint", checkpoint},
                                {"groups_replayed", journal.size()},
                                {"took", latency_clock() - start}});
  return {};
}

void EngineThread::loop() {
  ::pthread_setname_np(::pthread_self(), "engine");
  bool final_checkpoint = false;
  while (true) {
    take_commits();
    if (failed_) recover();
    if (abandoned_) return;
    let_out();
    deliver();
    if (may_step()) {
      if (step_group()) continue;
      if (inbox_.closed() && inbox_.size() == 0 && !held_ && under_way_.empty()) {
        if (final_checkpoint) break;
        // So that the next start has nothing to replay.
        final_checkpoint = true;
        journal_bytes_ = std::max<std::size_t>(journal_bytes_, 1);
        last_checkpoint_ = MonoTime{INT64_MIN / 2};
        continue;
      }
    }
    wait();
  }
  deliver();
}

bool EngineThread::may_step() const {
  return !failed_ && orders_.empty() && under_way_.size() < kGroupsAhead;
}

void EngineThread::wait() {
  const Now now = ports_.clock.now();
  MonoTime until = now.mono + kWaitMax;
  if (!orders_.empty()) {
    until = now.mono + kRetryLink;
  } else if (may_step()) {
    until = std::min(until, std::max(engine_->next_wakeup(now), last_tick_ + kTickEvery));
    if (journal_bytes_ > 0) until = std::min(until, last_checkpoint_ + options_.checkpoint_every);
    until =
        std::min(until, last_view_ + (view_stale_ ? options_.view_every : options_.view_at_least));
  }
  // A held frame waits for the groups under way, a closed and empty inbox for nothing.
  const bool listen =
      may_step() && !(held_ && !under_way_.empty()) && !(inbox_.closed() && inbox_.size() == 0);
  std::array<pollfd, 2> fds{{{committed_.fd(), POLLIN, 0}, {inbox_.fd(), POLLIN, 0}}};
  const auto ms = std::max<std::int64_t>(0, ((until - now.mono).count() + 999) / 1000);
  ::poll(fds.data(), listen ? 2 : 1, static_cast<int>(ms));
}

bool EngineThread::checkpoint_due(MonoTime now) const {
  return journal_bytes_ > 0 && (now - last_checkpoint_ >= options_.checkpoint_every ||
                                journal_bytes_ >= options_.checkpoint_bytes);
}

/// Whether the frame may be stepped in the group under construction (ET2). `ticks` holds the ticks
/// stepped in this group once `asking` is set.
bool EngineThread::join_frame(FrameArrived& frame, bool group_empty, std::set<KnownTick>& ticks,
                              bool& asking) {
  const std::vector<KnownTick> unknown = engine_->unknown_ticks(frame);
  if (!unknown.empty()) {
    const bool fresh = asking ? std::none_of(unknown.begin(), unknown.end(),
                                             [&](const KnownTick& t) { return ticks.contains(t); })
                              : group_empty;
    if (!fresh || !under_way_.empty()) return false;
    auto known = ports_.store.call<Expected<std::vector<KnownTick>>>(
        [&unknown](Store& store) { return store.find_ticks(unknown); });
    if (!known) {
      log::error("the store cannot be read, so frames wait", {{"error", known.error()}});
      failed_ = true;
      return false;
    }
    frame.known = *std::move(known);
    asking = true;
  }
  if (asking) {
    for (const CheckResult& result : frame.results) {
      if (result.kind == ResultKind::kScheduled) ticks.insert({result.series, result.tick});
    }
  }
  return true;
}

bool EngineThread::step_group() {
  const Now now = ports_.clock.now();
  const bool tick =
      tick_now_ || (now.mono >= engine_->next_wakeup(now) && now.mono - last_tick_ >= kTickEvery);
  const bool checkpoint = checkpoint_due(now.mono);
  const bool view_due =
      now.mono - last_view_ >= (view_stale_ ? options_.view_every : options_.view_at_least);
  const bool input_ready = held_ ? under_way_.empty() : inbox_.size() > 0;
  if (!tick && !checkpoint && !view_due && !input_ready) return false;

  const Group group{options_.engine.shard, next_commit_seq_, now};
  Pending pending;
  auto commit = std::make_unique<CommitGroup>();
  commit->group = group;
  const auto step = [&](const Event& event, std::function<void(Reply)> answer) {
    Decision decision = engine_->step(event, group);
    append(commit->rows, std::move(decision.rows));
    append(commit->journal, std::move(decision.journal));
    append(pending.effects, std::move(decision.effects));
    append(pending.notices, std::move(decision.notices));
    if (answer) {
      pending.answers.push_back({std::move(answer), decision.reply.value_or(Reply{})});
    }
    ++counters_.events;
  };

  if (tick) {
    tick_now_ = false;
    last_tick_ = now.mono;
    step(Tick{}, {});
  }
  std::size_t events = 0;
  std::size_t frames = 0;
  std::set<KnownTick> ticks;
  bool asking = false;
  while (events < options_.group_events && frames < options_.group_frames) {
    std::optional<EngineInput> input =
        held_ ? std::exchange(held_, std::nullopt) : inbox_.try_pop();
    if (!input) break;
    if (auto* frame = std::get_if<FrameArrived>(&input->event)) {
      if (!join_frame(*frame, frames == 0, ticks, asking)) {
        held_ = std::move(input);
        break;
      }
      ++frames;
    }
    ++events;
    step(input->event, std::move(input->answer));
  }
  TOCSIN_CRASH_POINT("engine.step.after");

  if (events > 0 || tick) view_stale_ = true;
  if (view_due || changes_view(commit->rows)) {
    pending.view = std::make_shared<const EngineView>(engine_->view(now.wall));
    pending.stats = engine_->stats();
    last_view_ = now.mono;
    view_stale_ = false;
  }
  journal_bytes_ += bytes_of(commit->journal);
  if (checkpoint) {
    commit->checkpoint = engine_->checkpoint();
    last_checkpoint_ = now.mono;
    journal_bytes_ = 0;
  }
  ++counters_.groups;

  // Also effects alone are committed: the ids that they carry are minted from commit_seq, which
  // must not repeat.
  if (commit->rows.empty() && commit->journal.empty() && pending.effects.empty() &&
      !commit->checkpoint) {
    if (pending.answers.empty() && pending.notices.empty() && !pending.view) return true;
    pending.done = true;
  } else {
    pending.commit_seq = next_commit_seq_++;
    const bool trim = commit->checkpoint.has_value();
    ports_.store.commit(std::move(commit), [this](StoreThread::CommitResult result) {
      CHECK(committed_.push(std::move(result)));  // Never more than kGroupsAhead.
    });
    if (trim) {
      ports_.store.run([](Store& store) {
        if (auto done = store.trim_journal(); !done) {
          log::warning("the journal was not trimmed", {{"error", done.error()}});
        }
      });
    }
  }
  under_way_.push_back(std::move(pending));
  return true;
}

void EngineThread::take_commits() {
  while (auto result = committed_.try_pop()) {
    counters_.commit_tries_failed += result->tries - (result->outcome ? 1 : 0);
    if (!result->outcome) {
      ++counters_.commits_failed;
      failed_ = true;
      counters_.storing = false;  // Before anybody hears of it.
    } else {
      ++counters_.commits;
      const auto took = static_cast<std::uint64_t>(result->took.count());
      ++counters_.commits_took[Latencies::bucket_of(result->took)];
      counters_.commit_us += result->took.count();
      counters_.commit_us_max = std::max<std::uint64_t>(counters_.commit_us_max, took);
    }
    const auto at = std::find_if(under_way_.begin(), under_way_.end(), [&](const Pending& pending) {
      return pending.commit_seq == result->commit_seq;
    });
    CHECK(at != under_way_.end());
    at->done = true;
    if (!result->outcome) {
      // Nothing of it and of what rests on it gets out; their waiting commands hear of it.
      for (auto lost = at; lost != under_way_.end(); ++lost) {
        for (Answer& answer : lost->answers) {
          answer.function(Reply{
              Error{Errc::kUnavailable, "it could not be stored: " + result->outcome.error().text},
              {},
              {}});
        }
        lost->answers.clear();
        lost->effects.clear();
        lost->notices.clear();
        lost->view.reset();
      }
    }
  }
}

void EngineThread::let_out() {
  while (!under_way_.empty() && under_way_.front().done) {
    Pending pending = std::move(under_way_.front());
    under_way_.pop_front();
    for (const EngineNotice& notice : pending.notices) log_notice(notice);
    bool wake = false;
    for (Effect& effect : pending.effects) {
      if (std::holds_alternative<WakeOutbox>(effect)) {
        wake = true;
      } else {
        orders_.emplace_back(std::move(effect));
      }
    }
    if (pending.view && ports_.publish) ports_.publish(std::move(pending.view), pending.stats);
    if (wake && ports_.wake_outbox) ports_.wake_outbox();
    for (Answer& answer : pending.answers) answer.function(std::move(answer.reply));
  }
}

void EngineThread::deliver() {
  if (orders_.empty()) return;
  if (ports_.link.push(std::move(orders_))) {
    orders_.clear();
    refused_since_.reset();
    return;
  }
  const MonoTime now = ports_.clock.now().mono;
  if (!refused_since_) refused_since_ = now;
  if (inbox_.closed() && now - *refused_since_ >= kLinkPatience) orders_.clear();
}

void EngineThread::recover() {
  counters_.storing = false;
  log::error(
      "the store does not take what is decided: nothing is acknowledged until it does",
      {{"do", "look at the disk of state_dir: space, permissions, errors in the kernel log"}});
  while (std::any_of(under_way_.begin(), under_way_.end(),
                     [](const Pending& pending) { return !pending.done; })) {
    pollfd p{committed_.fd(), POLLIN, 0};
    ::poll(&p, 1, 1000);
    take_commits();
  }
  let_out();
  orders_.emplace_back(SessionsForgotten{});
  const auto drop = [this](const EngineInput& input) {
    ++counters_.dropped;
    if (input.answer) {
      input.answer(Reply{Error{Errc::kUnavailable, "the store does not work now"}, {}, {}});
    }
  };
  if (held_) drop(*std::exchange(held_, std::nullopt));
  while (auto input = inbox_.try_pop()) drop(*input);

  ports_.store.accept_commits();
  io::Mailbox<int> pause(1);
  while (true) {
    const auto restored = restore();
    if (restored) return;
    log::error("the engine cannot be restored", {{"error", restored.error()}});
    if (inbox_.closed()) {
      // Told to stop: what is stored is safe, what is not stays with the agents.
      while (auto input = inbox_.try_pop()) drop(*input);
      abandoned_ = true;
      return;
    }
    deliver();
    pause.pop(options_.restore_every);
  }
}

}  // namespace tocsin::collector
