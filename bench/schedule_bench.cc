// What does it cost to schedule a slot, and to arm a timer again, with a million of them?
//
//   schedule_bench [SERIES]
//
// Scheduler: SERIES series of 20 s in one queue, their slots spread as in service; simulated time
// goes on in steps of 1 ms, each due slot is taken and finished at once. CPU per slot, the wait for
// it included. Timers: SERIES timers of an event loop; one after the other, in no order, is put
// off, as a deadline that moves. Then their old moments come, and each has to go to its new place:
// once for each, however often it was put off. Prints one JSON object.

#include "agent/core/scheduler.h"
#include "bench/floor/report.h"
#include "common/base/clock.h"
#include "common/base/rng.h"
#include "common/io/event_loop.h"

#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

using namespace tocsin;

double cpu_ns() { return floor_bench::cpu_seconds() * 1e9; }

double slot_ns(std::uint32_t series) {
  constexpr std::int64_t kIntervalMs = 20'000;
  agent::Scheduler scheduler(series);
  const WallTime begin = WallTime::from_ms(1'700'000'000'000);
  Rng rng(1);
  for (std::uint32_t i = 0; i < series; ++i) {
    const auto phase = static_cast<std::int64_t>(rng.below(kIntervalMs));
    scheduler.put(SeriesId{i + 1}, SlotGrid{kIntervalMs, phase}, begin);
  }
  std::vector<agent::DueSlot> due;
  std::vector<agent::MissedRun> missed;
  std::uint64_t slots = 0;
  const double began = cpu_ns();
  WallTime now = begin;
  for (int ms = 0; ms < 2 * kIntervalMs; ++ms) {
    now = now + std::chrono::milliseconds{1};
    due.clear();
    scheduler.take_due(now, false, due, missed);
    for (const agent::DueSlot& slot : due) scheduler.finished(slot.series, slot.tick, now);
    slots += due.size();
  }
  if (slots < series || !missed.empty()) {
    std::fprintf(stderr, "schedule_bench: %llu slots, %zu missed\n",
                 static_cast<unsigned long long>(slots), missed.size());
    std::exit(1);
  }
  return (cpu_ns() - began) / static_cast<double>(slots);
}

struct SetClock final : Clock {
  Now now() override { return time; }

  Now time{MonoTime{1'000'000'000}, WallTime::from_ms(1'700'000'000'000)};
};

struct TimerCost {
  double set_ns = 0;   ///< A timer is put off.
  double move_ns = 0;  ///< Its old moment comes, and it goes where it belongs.
};

TimerCost timer_cost(std::uint32_t count) {
  SetClock clock;
  io::EventLoop loop(clock);
  Rng rng(2);
  const MonoTime base = loop.now().mono + std::chrono::hours{1};
  constexpr std::uint64_t kSpreadUs = 20'000'000;
  std::vector<io::TimerHandle> timers;
  timers.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    timers.push_back(loop.at(base + std::chrono::microseconds{rng.below(kSpreadUs)}, [] {}));
  }
  std::vector<std::uint32_t> order(count);
  for (std::uint32_t i = 0; i < count; ++i) order[i] = i;
  for (std::uint32_t i = count; i > 1; --i) std::swap(order[i - 1], order[rng.below(i)]);
  const MonoTime later = base + std::chrono::microseconds{kSpreadUs};
  TimerCost out;
  double began = cpu_ns();
  std::uint32_t n = 0;
  for (const std::uint32_t i : order) timers[i]->set(later + std::chrono::microseconds{n++});
  out.set_ns = (cpu_ns() - began) / count;
  clock.time.mono = later - std::chrono::microseconds{1};
  began = cpu_ns();
  loop.run_once(Duration{0});
  out.move_ns = (cpu_ns() - began) / count;
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  const auto count = static_cast<std::uint32_t>(argc > 1 ? std::atoi(argv[1]) : 1'000'000);
  if (count == 0) {
    std::fprintf(stderr, "usage: schedule_bench [SERIES]\n");
    return 2;
  }
  const TimerCost timers = timer_cost(count);
  const double slots = slot_ns(count);
  std::printf("{\"count\": %u, \"slot_ns\": %.0f, \"timer_ns\": %.0f, \"timer_move_ns\": %.0f}\n",
              count, slots, timers.set_ns, timers.move_ns);
  return 0;
}
