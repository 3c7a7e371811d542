#include "collector/core/phase_rollup.h"

#include <algorithm>

namespace tocsin::collector {

namespace {

constexpr std::uint8_t kVersion = 1;

void add_phases(PhaseSketches& to, const Phases& p) {
  const std::array<std::uint32_t, kPhaseNames.size()> us = {
      p.dns_us, p.connect_us, p.tls_us, p.send_us, p.wait_us, p.receive_us, p.total_us};
  for (std::size_t i = 0; i < us.size(); ++i) to[i].add(us[i]);
}

void merge(PhaseSketches& to, const PhaseSketches& from) {
  for (std::size_t i = 0; i < from.size(); ++i) to[i] += from[i];
}

}  // namespace

void PhaseRollup::add(const CheckResult& result) {
  if (result.kind != ResultKind::kScheduled || result.attempts.empty()) return;
  const bool passes = result.outcome == Outcome::kUp || result.outcome == Outcome::kDegraded;
  if (!passes && result.outcome != Outcome::kDown) return;
  ++checks;
  if (!passes) return;
  ++passed;
  const Attempt& attempt = result.attempts.back();
  add_phases(whole, attempt.phases);
  const std::size_t kept = std::min(attempt.hops.size(), HttpHop::kHopsMax);
  if (hops.size() < kept) hops.resize(kept);
  for (std::size_t i = 0; i < kept; ++i) add_phases(hops[i], attempt.hops[i].phases);
}

PhaseRollup& PhaseRollup::operator+=(const PhaseRollup& other) {
  checks += other.checks;
  passed += other.passed;
  merge(whole, other.whole);
  if (hops.size() < other.hops.size()) hops.resize(other.hops.size());
  for (std::size_t i = 0; i < other.hops.size(); ++i) merge(hops[i], other.hops[i]);
  return *this;
}

Bytes PhaseRollup::encode() const {
  Bytes out;
  ByteWriter writer{out};
  writer.u8(kVersion);
  writer.u64(checks);
  writer.u64(passed);
  writer.u8(static_cast<std::uint8_t>(hops.size()));
  for (const LatencySketch& sketch : whole) sketch.encode(out);
  for (const PhaseSketches& hop : hops) {
    for (const LatencySketch& sketch : hop) sketch.encode(out);
  }
  return out;
}

Expected<PhaseRollup> PhaseRollup::decode(ByteSpan bytes) {
  ByteReader in{bytes};
  if (const std::uint8_t version = in.u8(); version != kVersion) {
    return fail(Errc::kCorrupt, "rollup of phases: version {} is unknown", version);
  }
  PhaseRollup out;
  out.checks = in.u64();
  out.passed = in.u64();
  const std::uint8_t hops = in.u8();
  if (!in.ok() || hops > HttpHop::kHopsMax) {
    return fail(Errc::kCorrupt, "rollup of phases: the head is damaged");
  }
  out.hops.resize(hops);
  const auto read = [&in](PhaseSketches& into) -> Expected<void> {
    for (LatencySketch& sketch : into) {
      TRY_ASSIGN(sketch, LatencySketch::decode(in));
    }
    return {};
  };
  TRY(read(out.whole));
  for (PhaseSketches& hop : out.hops) {
    TRY(read(hop));
  }
  if (!in.rest().empty()) return fail(Errc::kCorrupt, "rollup of phases: bytes follow its end");
  return out;
}

WallTime hour_of(WallTime t) {
  const std::int64_t hour = kRollupHour.count();
  std::int64_t within = t.us % hour;
  if (within < 0) within += hour;
  return WallTime{t.us - within};
}

}  // namespace tocsin::collector
