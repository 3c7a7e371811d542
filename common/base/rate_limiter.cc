#include "common/base/rate_limiter.h"

#include "common/base/check.h"

#include <algorithm>

namespace tocsin {

namespace {

/// More than one for each key that may come in between, so that forgetting keeps up.
constexpr int kForgottenPerTake = 2;

}  // namespace

std::int64_t RateLimiter::Verdict::retry_after_seconds() const {
  return (retry_after.count() + 999'999) / 1'000'000;
}

RateLimiter::RateLimiter(Options options)
    : options_(options) {
  CHECK(options.per_token > Duration::zero());
  CHECK(options.burst >= 1 && options.keys_max >= 1);
}

RateLimiter::Verdict RateLimiter::take_from(MonoTime& full_at, MonoTime now,
                                            std::uint32_t cost) const {
  const MonoTime after = std::max(full_at, now) + options_.per_token * cost;
  const Duration over = after - now - options_.per_token * options_.burst;
  if (over > Duration::zero()) return {.allowed = false, .retry_after = over};
  full_at = after;
  return {};
}

RateLimiter::Verdict RateLimiter::take(std::string_view key, MonoTime now, std::uint32_t cost) {
  CHECK(cost >= 1 && cost <= options_.burst);
  forget_full(now);
  if (const auto it = buckets_.find(key); it != buckets_.end()) {
    const Order::iterator bucket = it->second;
    order_.splice(order_.end(), order_, bucket);
    return take_from(bucket->full_at, now, cost);
  }
  if (buckets_.size() >= options_.keys_max) {
    ++shared_;
    return take_from(common_, now, cost);
  }
  order_.push_back({std::string{key}, now});
  buckets_.emplace(order_.back().key, std::prev(order_.end()));
  return take_from(order_.back().full_at, now, cost);
}

void RateLimiter::forgive(std::string_view key) {
  const auto it = buckets_.find(key);
  if (it == buckets_.end()) return;
  const Order::iterator bucket = it->second;
  buckets_.erase(it);
  order_.erase(bucket);
}

void RateLimiter::forget_full(MonoTime now) {
  for (int i = 0; i < kForgottenPerTake && !order_.empty(); ++i) {
    if (order_.front().full_at > now) {
      // Still in debt: looked at again after the others. A bucket pays within burst x per_token.
      order_.splice(order_.end(), order_, order_.begin());
      continue;
    }
    buckets_.erase(order_.front().key);
    order_.pop_front();
  }
}

}  // namespace tocsin
