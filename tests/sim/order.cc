#include "tests/sim/order.h"

#include "collector/core/evaluator.h"
#include "common/base/hash.h"
#include "tests/support/engine_rig.h"

#include <algorithm>

namespace tocsin::sim {

using namespace std::chrono_literals;
using test::EngineRig;

namespace {

constexpr Duration kPiece = 30min;
/// Grids of the world's intervals repeat after this: a shift by a multiple keeps every slot a slot.
constexpr std::int64_t kCommonMs = 60'000;

struct Told {
  Duration after{0};  ///< After the piece began.
  std::string monitor, region;
  std::uint32_t tick = 0, tick_last = 0;
  ResultKind kind = ResultKind::kScheduled;
  Outcome outcome = Outcome::kUp;
  MissedCause missed = MissedCause::kNone;
};

/// The piece's results of series that are still valid, in slot order.
std::vector<Told> stored_in(const World& world, WallTime from, WallTime to) {
  std::vector<Told> out;
  const auto& state = world.collector.store.state();
  for (const auto& [id, results] : state.results) {
    const auto series = state.series.find(id);
    if (series == state.series.end() || series->second.to != WallTime::never()) continue;
    for (const auto& [key, row] : *results) {
      const CheckResult& r = row.result;
      // A run of missed ticks can be told when its last one is over.
      const WallTime slot = series->second.grid.slot(r.tick_last);
      if (series->second.grid.slot(r.tick) < from || slot >= to) continue;
      out.push_back({slot - from, series->second.monitor_key, series->second.region, r.tick,
                     r.tick_last, r.kind, r.outcome, r.missed});
    }
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const Told& a, const Told& b) { return a.after < b.after; });
  return out;
}

/// Tells `told` in the order of its times and answers the history of each monitor, one line per
/// row.
std::vector<std::string> history_after(const collector::CatalogEdit& catalog, WallTime from,
                                       const std::vector<Told>& told, World& world) {
  EngineRig rig;
  rig.define(catalog);
  for (const collector::RegionSpec& region : catalog.regions) rig.add_agent(region.key);
  rig.advance(2min);
  const std::int64_t shift_ms =
      (rig.now().wall.ms() - from.ms() + kCommonMs - 1) / kCommonMs * kCommonMs;
  const WallTime start = from + Duration{shift_ms * 1000};
  rig.advance(start - rig.now().wall);
  for (const Told& t : told) {
    const WallTime at = start + t.after;
    if (at > rig.now().wall) rig.advance(at - rig.now().wall);
    const SeriesId series = rig.series_of(t.monitor, t.region);
    const auto by = static_cast<std::uint32_t>(shift_ms / rig.grid_of(series).interval_ms);
    CheckResult result = rig.result_at(series, t.tick + by, t.outcome);
    if (t.kind == ResultKind::kMissed) {
      result.kind = t.kind;
      result.tick_last = t.tick_last + by;
      result.missed = t.missed;
      result.attempts.clear();
    }
    rig.send(rig.agent_in(t.region), {result});
  }
  rig.advance(start + kPiece + 10min - rig.now().wall);
  std::vector<std::string> out;
  for (const MonitorSpec& monitor : catalog.monitors) {
    for (const collector::VerdictRow& v : rig.history_of(monitor.key)) {
      out.push_back(fmt::format("{} {} {} {}/{}/{} of {}", monitor.key,
                                format_duration(v.at - start), to_string(v.status), v.down, v.up,
                                v.degraded, v.n));
    }
  }
  for (const std::string& text : rig.trouble) world.violate("STATE", text);
  return out;
}

}  // namespace

void check_order(World& world) {
  Rng rng{splitmix64(world.plan.seed)};
  const Duration before = world.plan.length - kPiece;
  if (before < 0s) return;
  const std::int64_t from_ms =
      (World::kEpochUs + rng.between(Duration{0}, before).count()) / 1000 / kCommonMs * kCommonMs;
  const WallTime from{from_ms * 1000};
  std::vector<Told> told = stored_in(world, from, from + kPiece);
  const std::vector<std::string> one = history_after(world.catalog(), from, told, world);

  for (Told& t : told) {
    for (const MonitorSpec& spec : world.catalog().monitors) {
      // Less than the bound: what is late there is late for the engine too, and pages nobody.
      if (spec.key == t.monitor) {
        t.after += rng.between(Duration{0}, collector::late_after(spec.probe) - 5s);
      }
    }
  }
  std::stable_sort(told.begin(), told.end(),
                   [](const Told& a, const Told& b) { return a.after < b.after; });
  const std::vector<std::string> other = history_after(world.catalog(), from, told, world);
  world.report.counts["told_twice"] += told.size();
  if (one == other) return;
  if (world.plan.trace) {
    for (const std::string& line : one) fmt::print("ORDER one   {}\n", line);
    for (const std::string& line : other) fmt::print("ORDER other {}\n", line);
  }
  const auto [a, b] = std::mismatch(one.begin(), one.end(), other.begin(), other.end());
  world.violate("INV-6",
                fmt::format("{} results told in another order: {} instead of {}", told.size(),
                            b == other.end() ? "nothing" : *b, a == one.end() ? "nothing" : *a));
}

}  // namespace tocsin::sim
