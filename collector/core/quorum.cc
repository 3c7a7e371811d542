#include "collector/core/quorum.h"

#include "common/base/check.h"

#include <algorithm>

namespace tocsin::collector {

namespace {

constexpr std::size_t kAbstainedNamed = 8;  // The rest are counted: the text stays one line.

std::string list(const std::vector<std::pair<std::string, Abstention>>& abstained) {
  std::string out;
  for (std::size_t i = 0; i < abstained.size() && i < kAbstainedNamed; ++i) {
    out += fmt::format("{}no vote from {}: {}", i == 0 ? "" : ", ", abstained[i].first,
                       to_string(abstained[i].second));
  }
  if (abstained.size() > kAbstainedNamed) {
    out += fmt::format(" and {} more", abstained.size() - kAbstainedNamed);
  }
  return out;
}

}  // namespace

MonitorStatus decide(const Tally& t, bool failing) {
  CHECK(t.n >= 1 && t.k >= 1 && t.k <= t.n);
  const int majority = t.n / 2 + 1;
  const int needed_up = t.n - t.k + 1;
  const auto passing = [&] {
    return t.degraded >= std::min(t.k, majority) ? MonitorStatus::kDegraded : MonitorStatus::kUp;
  };
  if (t.down >= t.k) return MonitorStatus::kDown;
  if (t.up >= (failing ? std::max(needed_up, majority) : needed_up)) return passing();
  if (!failing && t.down == 0 && t.up >= majority) return passing();
  return MonitorStatus::kUnknown;
}

std::string because(const Tally& t, MonitorStatus status,
                    const std::vector<std::pair<std::string, Abstention>>& abstained) {
  std::string out;
  if (status == MonitorStatus::kDown) {
    out = fmt::format("{} of {} regions down", t.down, t.n);
  } else if (t.down > 0) {
    out = fmt::format("failing from {} of {}", t.down, t.n);
  } else if (status == MonitorStatus::kDegraded) {
    out = fmt::format("degraded from {} of {}", t.degraded, t.n);
  } else if (t.up > 0) {
    out = fmt::format("{} of {} regions up", t.up, t.n);
  }
  if (!abstained.empty()) {
    if (!out.empty()) out += "; ";
    out += list(abstained);
  }
  return out;
}

}  // namespace tocsin::collector
