#include "agent/core/scheduler.h"

#include "common/base/check.h"

#include <algorithm>

namespace tocsin::agent {

Duration Scheduler::lateness_bound(Duration interval) {
  return std::min<Duration>(interval / 2, std::chrono::seconds{30});
}

void Scheduler::wait_for(SeriesId series, Entry& entry, std::uint32_t tick) {
  entry.tick = tick;
  entry.in_flight = false;
  entry.deferred = false;
  queues_[entry.grid.interval_ms].waiting.emplace(entry.grid.slot(tick).ms(), series);
}

void Scheduler::reshare() {
  double need = 0;
  for (const auto& [interval, queue] : queues_) {
    need += static_cast<double>(queue.series) / static_cast<double>(interval);
  }
  for (auto& [interval, queue] : queues_) {
    const double part = static_cast<double>(queue.series) / static_cast<double>(interval) / need;
    const auto share = static_cast<std::uint32_t>(part * max_in_flight_ / 2);
    queue.share = std::max(share, 1U);
  }
}

std::uint32_t Scheduler::reserved_for_others(const Queue& queue) const {
  std::uint32_t sum = 0;
  for (const auto& [interval, other] : queues_) {
    if (&other != &queue && other.in_flight < other.share) sum += other.share - other.in_flight;
  }
  return sum;
}

bool Scheduler::put(SeriesId series, const SlotGrid& grid, WallTime now) {
  const auto at = series_.find(series);
  if (at != series_.end()) {
    if (at->second.grid == grid) return true;
    drop(series);
  }
  if (!queues_.contains(grid.interval_ms) && queues_.size() >= kQueuesMax) return false;
  Entry& entry = series_[series];
  entry.grid = grid;
  Queue& queue = queues_[grid.interval_ms];
  queue.stats.interval = std::chrono::milliseconds{grid.interval_ms};
  ++queue.series;
  wait_for(series, entry, grid.tick_at_or_after(now));
  reshare();
  return true;
}

void Scheduler::drop(SeriesId series) {
  const auto at = series_.find(series);
  if (at == series_.end()) return;
  const Entry& entry = at->second;
  const auto q = queues_.find(entry.grid.interval_ms);
  CHECK(q != queues_.end());
  q->second.waiting.erase({entry.grid.slot(entry.tick).ms(), series});
  if (entry.in_flight) {
    --q->second.in_flight;
    --in_flight_;
  }
  if (--q->second.series == 0) queues_.erase(q);
  series_.erase(at);
  if (!queues_.empty()) reshare();
}

void Scheduler::take_due(WallTime now, bool resumed, std::vector<DueSlot>& due,
                         std::vector<MissedRun>& missed) {
  // Q3 first: what is too late gives its place to what is not.
  for (auto& [interval, queue] : queues_) {
    const Duration bound = lateness_bound(std::chrono::milliseconds{interval});
    while (!queue.waiting.empty()) {
      const auto [slot_ms, series] = *queue.waiting.begin();
      if (now - WallTime::from_ms(slot_ms) <= bound) break;
      Entry& entry = series_.at(series);
      queue.waiting.erase(queue.waiting.begin());
      // Every tick up to the first that is still in time is given up at once.
      const std::uint32_t next = entry.grid.tick_at_or_after(now - bound);
      CHECK(next > entry.tick);
      const MissedCause cause = entry.deferred ? MissedCause::kPolicy
                                : resumed      ? MissedCause::kBlackout
                                               : MissedCause::kOverload;
      missed.push_back({series, entry.tick, next - 1, cause});
      queue.stats.missed += next - entry.tick;
      wait_for(series, entry, next);
    }
  }
  // Then the earliest due of the queues that have a place, guaranteed or free.
  while (in_flight_ < max_in_flight_) {
    Queue* best = nullptr;
    for (auto& [interval, queue] : queues_) {
      auto first = queue.waiting.begin();
      if (first == queue.waiting.end() || first->first > now.ms()) continue;
      const bool place =
          queue.in_flight < queue.share || in_flight_ + reserved_for_others(queue) < max_in_flight_;
      if (!place) continue;
      if (best == nullptr || first->first < best->waiting.begin()->first) best = &queue;
    }
    if (best == nullptr) break;
    const auto [slot_ms, series] = *best->waiting.begin();
    best->waiting.erase(best->waiting.begin());
    Entry& entry = series_.at(series);
    entry.in_flight = true;
    ++best->in_flight;
    ++best->stats.started;
    ++in_flight_;
    const WallTime slot = entry.grid.slot(entry.tick);
    const Duration late = std::max(now - slot, Duration{0});
    best->stats.lateness_max = std::max(best->stats.lateness_max, late);
    best->stats.lateness.add(late);
    due.push_back({series, entry.tick, slot, late});
  }
}

void Scheduler::finished(SeriesId series, std::uint32_t slot_tick, WallTime now) {
  const auto at = series_.find(series);
  if (at == series_.end() || !at->second.in_flight || at->second.tick != slot_tick) return;
  Entry& entry = at->second;
  --queues_.at(entry.grid.interval_ms).in_flight;
  --in_flight_;
  // A step back of the clock must not make the same tick due again (INV-23), and one forward leaves
  // the skipped ticks to take_due, which reports them.
  wait_for(series, entry, next_tick(entry.grid, slot_tick + 1, now));
}

std::uint32_t Scheduler::next_tick(const SlotGrid& grid, std::uint32_t tick, WallTime now) {
  const Duration ahead = kAheadMax + 2 * std::chrono::milliseconds{grid.interval_ms};
  return grid.slot(tick) - now > ahead ? grid.tick_at_or_after(now) : tick;
}

void Scheduler::clock_set_back(WallTime now) {
  for (auto& [series, entry] : series_) {
    if (entry.in_flight) continue;  // When it ends.
    const std::uint32_t tick = next_tick(entry.grid, entry.tick, now);
    if (tick == entry.tick) continue;
    queues_.at(entry.grid.interval_ms).waiting.erase({entry.grid.slot(entry.tick).ms(), series});
    wait_for(series, entry, tick);
  }
}

void Scheduler::deferred(const DueSlot& slot) {
  const auto at = series_.find(slot.series);
  CHECK(at != series_.end() && at->second.in_flight && at->second.tick == slot.tick);
  Entry& entry = at->second;
  Queue& queue = queues_.at(entry.grid.interval_ms);
  --queue.in_flight;
  --queue.stats.started;
  queue.stats.lateness.remove(slot.late);
  --in_flight_;
  wait_for(slot.series, entry, slot.tick);
  entry.deferred = true;
}

bool Scheduler::has_due(WallTime now) const {
  return std::any_of(queues_.begin(), queues_.end(), [&](const auto& entry) {
    const auto& waiting = entry.second.waiting;
    return !waiting.empty() && waiting.begin()->first <= now.ms();
  });
}

WallTime Scheduler::next_due(WallTime now) const {
  WallTime next = WallTime::never();
  for (const auto& [interval, queue] : queues_) {
    if (queue.waiting.empty()) continue;
    const WallTime slot = WallTime::from_ms(queue.waiting.begin()->first);
    // What is due but has no place waits for a check to end (an event of its own) or for its bound.
    const WallTime at =
        slot > now ? slot
                   : slot + lateness_bound(std::chrono::milliseconds{interval}) + Duration{1};
    next = std::min(next, at);
    if (slot > now) continue;
    const auto later = queue.waiting.upper_bound({now.ms(), SeriesId{UINT32_MAX}});
    if (later != queue.waiting.end()) next = std::min(next, WallTime::from_ms(later->first));
  }
  return next;
}

std::vector<Scheduler::QueueStats> Scheduler::stats() {
  std::vector<QueueStats> out;
  for (auto& [interval, queue] : queues_) {
    queue.stats.series = queue.series;
    queue.stats.in_flight = queue.in_flight;
    out.push_back(queue.stats);
    queue.stats.lateness_max = Duration{0};
  }
  return out;
}

}  // namespace tocsin::agent
