#pragma once
// Question answered here: where is one check between its slot and its result?
//
//   attempting --AttemptDone, pass or no retry--> proving or done
//   attempting --AttemptDone, plan_retry-------> waiting
//   waiting ----time---------------------------> attempting
//   proving ----proof or deadline--------------> done        (see self_health.h, H1)

#include "agent/core/conductor.h"
#include "agent/core/retry.h"
#include "agent/core/scheduler.h"
#include "common/assert/evaluator.h"
#include "common/model/check_result.h"
#include "common/model/link.h"

#include <cstdint>
#include <memory>
#include <optional>

namespace tocsin::agent {

/// What an execution needs of its series; replaced as a whole when the assignment changes, so that
/// a check under way ends with the spec it began with.
struct RunnableSeries {
  AssignedSeries assigned;
  std::optional<assertion::Evaluator> evaluator;  ///< Nothing: this agent cannot evaluate the spec.
  std::string cannot;                             ///< Why not.
  std::uint64_t target = 0;                       ///< Hash of host and port.
  bool asks_resolver = false;                     ///< See asks_own_resolver.
  std::uint64_t config_version = 0;

  const ProbeSpec& spec() const { return assigned.spec; }
};

struct Execution {
  enum class State : std::uint8_t { kAttempting, kWaiting, kProving };

  RunId id{};
  std::shared_ptr<const RunnableSeries> series;  ///< Shared with the assignment in force.
  ResultKind kind = ResultKind::kScheduled;
  std::uint32_t tick = 0;
  WallTime slot;
  Duration late{0};
  Uuid request{};
  State state = State::kAttempting;
  MonoTime began;
  MonoTime slot_end;  ///< No attempt may run past this.
  MonoTime attempt_began;
  MonoTime wake;         ///< kWaiting: next attempt. kProving: give up.
  MonoTime proof_since;  ///< Of the last attempt, once it ended: SelfHealth::Failed.
  std::vector<Attempt> attempts;
  bool suspicion_sent = false;

  /// Records what the probe saw, judged, as the newest attempt. `wall` is what certificates are
  /// held against.
  void record(const Observation& observation, WallTime wall);

  /// The result so far, as if the last attempt were the end.
  CheckResult result(const ClockTrust& clock, MonoTime now) const;
};

/// Hash of what politeness and self-health call one target: host and port, or the resolver.
std::uint64_t target_key(const Target& target);

/// Whether names of this target are looked up by the agent's own resolver: not by one that the
/// monitor names.
bool asks_own_resolver(const Target& target);

}  // namespace tocsin::agent
