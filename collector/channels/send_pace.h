#pragma once
// Question answered here: when may the next message to this destination go?
//
// A token bucket kept as the one moment at which it would be full again (GCRA), by the rate of each
// message. A value without a clock.

#include "collector/core/catalog.h"
#include "common/base/time.h"

#include <algorithm>

namespace tocsin::collector {

/// What a destination of that type gets when nothing is said. A mailbox is read by a person, and
/// mail providers are strict; a receiver of webhooks is a program.
inline SendRate usual_rate(ChannelType type) {
  switch (type) {
    case ChannelType::kEmail:
      return {6, std::chrono::minutes{1}};
    case ChannelType::kWebhook:
      return {50, std::chrono::seconds{1}};
  }
  return {1, std::chrono::seconds{1}};
}

inline SendRate rate_of(const ChannelSpec& destination) {
  return destination.rate.count == 0 ? usual_rate(destination.type) : destination.rate;
}

class SendPace {
 public:
  /// How long until there is a place; zero: now.
  Duration wait(const SendRate& rate, MonoTime now) const {
    const Duration full_in = std::max(full_at_ - now, Duration{0});
    return std::max(full_in - (rate.per - each(rate)), Duration{0});
  }

  /// Takes the next place and says how long until it.
  Duration take(const SendRate& rate, MonoTime now) {
    const Duration out = wait(rate, now);
    full_at_ = std::max(full_at_, now) + each(rate);
    return out;
  }

 private:
  static Duration each(const SendRate& rate) { return rate.per / rate.count; }

  MonoTime full_at_{};
};

}  // namespace tocsin::collector
