#include "collector/app/uptime.h"

#include <algorithm>

namespace tocsin::collector {
namespace {

constexpr std::int64_t kSecondUs = 1'000'000;
constexpr std::int64_t kDayS = 86'400;

/// Where seconds of this status are counted; nullptr: nowhere.
std::int64_t DayUptime::*counter_of(MonitorStatus status) {
  switch (status) {
    case MonitorStatus::kUp:
      return &DayUptime::up_s;
    case MonitorStatus::kDegraded:
      return &DayUptime::degraded_s;
    case MonitorStatus::kDown:
      return &DayUptime::down_s;
    case MonitorStatus::kUnknown:
      return &DayUptime::unknown_s;
    case MonitorStatus::kNew:
    case MonitorStatus::kMaintenance:
    case MonitorStatus::kPaused:
      return nullptr;
  }
  return nullptr;
}

}  // namespace

std::vector<DayUptime> fold_uptime(std::vector<VerdictRow> verdicts, WallTime now,
                                   std::size_t days) {
  std::erase_if(verdicts, [](const VerdictRow& row) { return row.replaced; });
  std::sort(verdicts.begin(), verdicts.end(), [](const VerdictRow& a, const VerdictRow& b) {
    return a.at != b.at ? a.at < b.at : a.seq < b.seq;
  });
  const std::int64_t now_s = now.us / kSecondUs;
  const std::int64_t today = now_s / kDayS;
  const std::int64_t first = today - static_cast<std::int64_t>(days) + 1;
  std::vector<DayUptime> out(days);
  for (std::size_t i = 0; i < days; ++i) {
    out[i].day = first + static_cast<std::int64_t>(i);
    out[i].elapsed_s = std::min(kDayS, now_s - out[i].day * kDayS);
  }

  for (std::size_t i = 0; i < verdicts.size(); ++i) {
    const auto counter = counter_of(verdicts[i].status);
    if (counter == nullptr) continue;
    std::int64_t from = std::max(verdicts[i].at.us / kSecondUs, first * kDayS);
    const std::int64_t to =
        std::min(i + 1 < verdicts.size() ? verdicts[i + 1].at.us / kSecondUs : now_s, now_s);
    while (from < to) {
      const std::int64_t day = from / kDayS;
      const std::int64_t end = std::min(to, (day + 1) * kDayS);
      out[static_cast<std::size_t>(day - first)].*counter += end - from;
      from = end;
    }
  }
  return out;
}

}  // namespace tocsin::collector
