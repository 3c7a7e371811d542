#include "collector/api/login_guard.h"

#include <algorithm>

namespace tocsin::collector {

Duration LoginGuard::locked_for(std::string_view key, MonoTime now) const {
  const auto it = keys_.find(key);
  if (it == keys_.end() || it->second->until <= now) return Duration{0};
  return it->second->until - now;
}

bool LoginGuard::on_try(std::string_view key, MonoTime now) {
  auto it = keys_.find(key);
  if (it == keys_.end()) {
    if (keys_.size() >= kKnownMax) {
      keys_.erase(order_.front().key);
      order_.pop_front();
    }
    const auto at = order_.insert(order_.end(), Entry{std::string{key}, {}, 0, {}, now});
    it = keys_.emplace(at->key, at).first;
  } else {
    order_.splice(order_.end(), order_, it->second);
  }
  Entry& entry = *it->second;
  if (now - entry.last >= kForgotten) entry.locks = 0;
  entry.last = now;
  std::erase_if(entry.tries, [&](MonoTime t) { return now - t >= kWindow; });
  entry.tries.push_back(now);
  if (entry.tries.size() < failures_max_) return false;
  entry.tries.clear();
  entry.until = now + kLocks.at(std::min(entry.locks, kLocks.size() - 1));
  ++entry.locks;
  return true;
}

void LoginGuard::on_refund(std::string_view key) {
  const auto it = keys_.find(key);
  if (it == keys_.end()) return;
  Entry& entry = *it->second;
  if (!entry.tries.empty()) {
    entry.tries.pop_back();
  } else if (entry.locks > 0) {
    // It was the one that locked.
    --entry.locks;
    entry.until = MonoTime{};
    entry.tries.assign(failures_max_ - 1, entry.last);
  }
}

void LoginGuard::on_success(std::string_view key) {
  const auto it = keys_.find(key);
  if (it == keys_.end()) return;
  const auto at = it->second;
  keys_.erase(it);  // Its key lives in the entry.
  order_.erase(at);
}

}  // namespace tocsin::collector
