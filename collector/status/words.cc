#include "collector/status/words.h"

#include "common/base/check.h"
#include "common/base/strings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace tocsin::collector::status {

const char* to_string(PublicState state) {
  switch (state) {
    case PublicState::kOperational:
      return "operational";
    case PublicState::kPaused:
      return "paused";
    case PublicState::kMaintenance:
      return "maintenance";
    case PublicState::kNoData:
      return "no_data";
    case PublicState::kDegraded:
      return "degraded";
    case PublicState::kPartialOutage:
      return "partial_outage";
    case PublicState::kMajorOutage:
      return "major_outage";
  }
  CHECK(false);
}

const char* label(PublicState state) {
  switch (state) {
    case PublicState::kOperational:
      return "Operational";
    case PublicState::kPaused:
      return "Paused";
    case PublicState::kMaintenance:
      return "Maintenance";
    case PublicState::kNoData:
      return "No data";
    case PublicState::kDegraded:
      return "Degraded";
    case PublicState::kPartialOutage:
      return "Partial outage";
    case PublicState::kMajorOutage:
      return "Major outage";
  }
  CHECK(false);
}

std::string format_day(std::int64_t day) {
  constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                               "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::string iso = format_rfc3339(WallTime{day * kSecondsPerDay * 1'000'000});
  const auto digit = [&iso](std::size_t at) { return static_cast<std::size_t>(iso[at] - '0'); };
  const std::size_t month = digit(5) * 10 + digit(6);
  const std::size_t date = digit(8) * 10 + digit(9);
  return fmt::format("{} {} {}", date, kMonths.at(month - 1), iso.substr(0, 4));
}

std::string format_for_people(WallTime t) {
  const std::int64_t seconds = std::max<std::int64_t>(t.us / 1'000'000, 0);
  return fmt::format("{}, {} UTC", format_day(seconds / kSecondsPerDay),
                     format_rfc3339(t).substr(11, 8));
}

std::string format_span(Duration d) {
  const std::int64_t s = std::max<std::int64_t>(d.count() / 1'000'000, 0);
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{} min {} s", s / 60, s % 60);
  if (s < kSecondsPerDay) return fmt::format("{} h {:02} min", s / 3600, s % 3600 / 60);
  return fmt::format("{} d {} h", s / kSecondsPerDay, s % kSecondsPerDay / 3600);
}

const char* label(ReportState state) {
  switch (state) {
    case ReportState::kInvestigating:
      return "Investigating";
    case ReportState::kIdentified:
      return "Identified";
    case ReportState::kMonitoring:
      return "Monitoring";
    case ReportState::kResolved:
      return "Resolved";
    case ReportState::kScheduled:
      return "Scheduled";
    case ReportState::kInProgress:
      return "In progress";
    case ReportState::kCompleted:
      return "Completed";
  }
  CHECK(false);
}

PublicState state_of(Impact impact) {
  switch (impact) {
    case Impact::kNone:
      return PublicState::kOperational;
    case Impact::kMinor:
      return PublicState::kDegraded;
    case Impact::kMajor:
      return PublicState::kPartialOutage;
    case Impact::kCritical:
      return PublicState::kMajorOutage;
  }
  CHECK(false);
}

std::int64_t day_of(WallTime t) {
  return std::max<std::int64_t>(t.us, 0) / 1'000'000 / kSecondsPerDay;
}

std::string format_rfc5322(WallTime t) {
  constexpr std::array kDays{"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};  // Day 0 first.
  return fmt::format("{}, {} {} +0000", kDays.at(static_cast<std::size_t>(day_of(t) % 7)),
                     format_day(day_of(t)), format_rfc3339(t).substr(11, 8));
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> out;
  for (std::string_view line : split(text, '\n')) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    std::string one{trim(line)};
    std::replace(one.begin(), one.end(), '\t', ' ');
    out.push_back(printable(one, kReportTextMax));
  }
  while (!out.empty() && out.back().empty()) out.pop_back();
  const auto first =
      std::find_if(out.begin(), out.end(), [](const std::string& line) { return !line.empty(); });
  out.erase(out.begin(), first);
  return out;
}

std::string name_list(const std::vector<std::string>& names) {
  if (names.size() > 3) return fmt::format("{} components", names.size());
  std::string out;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) out += i + 1 == names.size() ? " and " : ", ";
    out += names[i];
  }
  return out;
}

}  // namespace tocsin::collector::status
