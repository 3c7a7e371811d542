#pragma once
// Question answered here: an attempt has finished; is there another one, and when?

#include "common/base/time.h"
#include "common/model/check_result.h"
#include "common/model/monitor_spec.h"

#include <span>
#include <variant>

namespace tocsin::agent {

/// Why the slot ended. Logged, counted and shown, so every value is something a human would say.
enum class SlotEnd {
  kPassed,
  kRecovered,  ///< Passed after a failure: the failed attempts stay as evidence.
  kRetriesExhausted,
  kNotRetryable,  ///< Our own policy or fault, or an assertion with retry_assertions off.
  kNoTimeLeft,    ///< Another attempt would run into the next slot.
};

const char* to_string(SlotEnd end);

struct RetryAt {
  MonoTime at;
};

/// Decides after each attempt of one slot. Pure; allocates nothing.
///
/// `attempts` holds the slot's attempts so far, oldest first, at least one. A retry is planned only
/// if it can start and still use the spec's whole timeout before `slot_end`: a slot never runs into
/// the next one. Passing after a failure is kRecovered, not kPassed.
std::variant<RetryAt, SlotEnd> plan_retry(const ProbeSpec& spec, std::span<const Attempt> attempts,
                                          MonoTime slot_end, MonoTime now);

}  // namespace tocsin::agent
