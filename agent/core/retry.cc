#include "agent/core/retry.h"

#include "common/base/check.h"

namespace tocsin::agent {

const char* to_string(SlotEnd end) {
  switch (end) {
    case SlotEnd::kPassed:
      return "passed";
    case SlotEnd::kRecovered:
      return "recovered";
    case SlotEnd::kRetriesExhausted:
      return "retries_exhausted";
    case SlotEnd::kNotRetryable:
      return "not_retryable";
    case SlotEnd::kNoTimeLeft:
      return "no_time_left";
  }
  return "?";
}

std::variant<RetryAt, SlotEnd> plan_retry(const ProbeSpec& spec, std::span<const Attempt> attempts,
                                          MonoTime slot_end, MonoTime now) {
  CHECK(!attempts.empty());
  const Finding& last = attempts.back().finding;
  if (last.outcome == Outcome::kUp || last.outcome == Outcome::kDegraded) {
    return attempts.size() == 1 ? SlotEnd::kPassed : SlotEnd::kRecovered;
  }
  const auto layer = static_cast<std::uint16_t>(last.reason) / 100;
  const bool assertion = layer == 5;
  const bool policy = layer == 6;
  if (policy || (assertion && !spec.retry.retry_assertions)) return SlotEnd::kNotRetryable;
  if (attempts.size() > static_cast<std::size_t>(spec.retry.retries)) {
    return SlotEnd::kRetriesExhausted;
  }
  const MonoTime start = now + spec.retry.delay;
  if (start + spec.timeout > slot_end) return SlotEnd::kNoTimeLeft;
  return RetryAt{start};
}

}  // namespace tocsin::agent
