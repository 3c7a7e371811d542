#include "collector/api/phase_report.h"

#include "collector/api/answers.h"

#include <map>
#include <string>
#include <utility>

namespace tocsin::collector {

using codec::Node;

namespace {

constexpr Duration kDay = std::chrono::hours{24};

WallTime day_of(WallTime t) { return WallTime{t.us - t.us % kDay.count()}; }

Node quantiles_node(const PhaseSketches& sketches) {
  if (sketches.back().empty()) return {};
  Node out = Node::map();
  for (std::size_t i = 0; i < sketches.size(); ++i) {
    out.set(kPhaseNames[i], Node::map({{"p50_us", Node::integer(sketches[i].quantile(0.5))},
                                       {"p95_us", Node::integer(sketches[i].quantile(0.95))},
                                       {"p99_us", Node::integer(sketches[i].quantile(0.99))}}));
  }
  return out;
}

Node item_node(WallTime from, const std::string& region, const PhaseRollup& rollup) {
  Node out = Node::map({{"from", time_node(from)},
                        {"region", Node::string(region)},
                        {"checks", Node::integer(static_cast<std::int64_t>(rollup.checks))},
                        {"passed", Node::integer(static_cast<std::int64_t>(rollup.passed))},
                        {"phases", quantiles_node(rollup.whole)}});
  if (rollup.hops.empty()) return out;
  Node& hops = out.set("hops", Node::list());
  for (const PhaseSketches& hop : rollup.hops) {
    hops.items.push_back(
        Node::map({{"passed", Node::integer(static_cast<std::int64_t>(hop.back().count()))},
                   {"phases", quantiles_node(hop)}}));
  }
  return out;
}

}  // namespace

Expected<PhaseQuery> read_phase_query(const codec::Fields& query, WallTime now) {
  TRY(query.only({"from", "to", "step"}));
  PhaseQuery out;
  out.to = now;
  TRY_ASSIGN(const auto to, query.one("to"));
  if (to) {
    const auto parsed = parse_rfc3339(*to);
    if (!parsed) return fail(Errc::kInvalid, "to: {}", parsed.error().text);
    out.to = *parsed;
  }
  out.from = out.to - kDay;
  TRY_ASSIGN(const auto from, query.one("from"));
  if (from) {
    const auto parsed = parse_rfc3339(*from);
    if (!parsed) return fail(Errc::kInvalid, "from: {}", parsed.error().text);
    out.from = *parsed;
  }
  TRY_ASSIGN(const auto step, query.one("step"));
  if (step && *step != "hour" && *step != "day" && *step != "all") {
    return fail(Errc::kInvalid, "step: expected hour, day or all");
  }
  if (step && *step == "hour") out.step = PhaseStep::kHour;
  if (step && *step == "day") out.step = PhaseStep::kDay;
  if (out.from.us < 0) return fail(Errc::kInvalid, "from: expected a time from 1970 on");
  if (out.to <= out.from) return fail(Errc::kInvalid, "to: expected a time after from");
  const Duration most =
      out.step == PhaseStep::kHour ? PhaseQuery::kHoursMax : PhaseQuery::kRangeMax;
  if (out.to - out.from > most) {
    return fail(Errc::kInvalid, "from: expected at most {} before to{}", format_duration(most),
                out.step == PhaseStep::kHour ? " with step=hour" : "");
  }
  return out;
}

std::vector<Node> phase_nodes(const std::vector<PhaseHour>& hours, const PhaseQuery& query) {
  std::map<std::pair<WallTime, std::string>, PhaseRollup> items;
  for (const PhaseHour& one : hours) {
    WallTime from = one.hour;
    if (query.step == PhaseStep::kDay) from = day_of(one.hour);
    if (query.step == PhaseStep::kAll) from = hour_of(query.from);
    items[{from, one.region}] += one.rollup;
  }
  std::vector<Node> out;
  for (const auto& [key, rollup] : items) out.push_back(item_node(key.first, key.second, rollup));
  return out;
}

}  // namespace tocsin::collector
