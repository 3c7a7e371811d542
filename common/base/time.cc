#include "common/base/time.h"

#include <array>
#include <charconv>
#include <cstdio>

namespace tocsin {

namespace {

struct Unit {
  std::string_view name;
  std::int64_t us;
};

constexpr std::array<Unit, 6> kUnits{{
    {"d", 86'400'000'000},
    {"h", 3'600'000'000},
    {"m", 60'000'000},
    {"s", 1'000'000},
    {"ms", 1'000},
    {"us", 1},
}};

Unexpected bad_duration(std::string_view text) {
  return fail(
      Errc::kInvalid,
      "'{}' is not a duration: expected a number with a unit such as 30s, 5m, 1h30m or 250ms",
      text);
}

}  // namespace

Expected<Duration> parse_duration(std::string_view text) {
  std::int64_t total = 0;
  std::size_t next_unit = 0;
  std::string_view rest = text;
  if (rest.empty()) return bad_duration(text);
  while (!rest.empty()) {
    std::uint64_t value = 0;
    const auto [end, ec] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    if (ec != std::errc{} || rest.front() < '0' || rest.front() > '9') return bad_duration(text);
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    const std::size_t letters = std::min(rest.find_first_of("0123456789"), rest.size());
    const std::string_view name = rest.substr(0, letters);
    std::size_t i = next_unit;
    while (i < kUnits.size() && kUnits[i].name != name) ++i;
    if (i == kUnits.size()) return bad_duration(text);
    const auto limit = static_cast<std::uint64_t>((INT64_MAX / 4) / kUnits[i].us);
    if (value > limit) return fail(Errc::kInvalid, "'{}' is too long a duration", text);
    total += static_cast<std::int64_t>(value) * kUnits[i].us;
    if (total > INT64_MAX / 4) return fail(Errc::kInvalid, "'{}' is too long a duration", text);
    next_unit = i + 1;
    rest.remove_prefix(letters);
  }
  return Duration{total};
}

std::string format_duration(Duration d) {
  std::int64_t left = d.count();
  if (left == 0) return "0s";
  std::string out;
  if (left < 0) {
    out = "-";
    left = -left;
  }
  for (const Unit& unit : kUnits) {
    if (left < unit.us) continue;
    out += fmt::format("{}{}", left / unit.us, unit.name);
    left %= unit.us;
  }
  return out;
}

std::string format_duration_short(Duration d) {
  const std::int64_t us = d.count();
  if (us < 0) return "-" + format_duration_short(-d);
  if (us < 1'000) return fmt::format("{}us", us);
  if (us < 10'000) return fmt::format("{:.2f}ms", static_cast<double>(us) / 1e3);
  if (us < 1'000'000) return fmt::format("{:.1f}ms", static_cast<double>(us) / 1e3);
  if (us < 60'000'000) return fmt::format("{:.2f}s", static_cast<double>(us) / 1e6);
  const std::int64_t s = us / 1'000'000;
  if (s < 3'600) return fmt::format("{}m {}s", s / 60, s % 60);
  if (s < 86'400) return fmt::format("{}h {}m", s / 3'600, s % 3'600 / 60);
  return fmt::format("{}d {}h", s / 86'400, s % 86'400 / 3'600);
}

std::string format_rfc3339(WallTime t) {
  using std::chrono::days;
  using std::chrono::floor;
  using std::chrono::sys_days;
  using std::chrono::year_month_day;
  const std::chrono::sys_time<std::chrono::microseconds> tp{std::chrono::microseconds{t.us}};
  const sys_days day = floor<days>(tp);
  const year_month_day ymd{day};
  const auto in_day = (tp - day).count() / 1000;
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(ymd.year()),
                     static_cast<unsigned>(ymd.month()), static_cast<unsigned>(ymd.day()),
                     in_day / 3'600'000, in_day / 60'000 % 60, in_day / 1'000 % 60, in_day % 1'000);
}

Expected<WallTime> parse_rfc3339(std::string_view text) {
  const auto bad = [&] {
    return fail(Errc::kInvalid,
                "'{}' is not a time: expected RFC 3339 such as 2026-11-21T03:14:07.250Z", text);
  };
  const auto digits = [&](std::size_t at, std::size_t n, int& out) {
    if (at + n > text.size()) return false;
    out = 0;
    for (std::size_t i = at; i < at + n; ++i) {
      if (text[i] < '0' || text[i] > '9') return false;
      out = out * 10 + (text[i] - '0');
    }
    return true;
  };
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  if (text.size() < 20 || !digits(0, 4, year) || text[4] != '-' || !digits(5, 2, month) ||
      text[7] != '-' || !digits(8, 2, day) ||
      (text[10] != 'T' && text[10] != 't' && text[10] != ' ') || !digits(11, 2, hour) ||
      text[13] != ':' || !digits(14, 2, minute) || text[16] != ':' || !digits(17, 2, second)) {
    return bad();
  }
  std::size_t at = 19;
  std::int64_t fraction_us = 0;
  if (text[at] == '.') {
    std::int64_t scale = 100'000;
    const std::size_t start = ++at;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
      fraction_us += (text[at] - '0') * scale;
      scale /= 10;
    }
    if (at == start) return bad();
  }
  std::int64_t offset_min = 0;
  if (at < text.size() && (text[at] == 'Z' || text[at] == 'z')) {
    ++at;
  } else {
    int oh = 0, om = 0;
    if (at + 6 != text.size() || (text[at] != '+' && text[at] != '-') || !digits(at + 1, 2, oh) ||
        text[at + 3] != ':' || !digits(at + 4, 2, om) || oh > 23 || om > 59) {
      return bad();
    }
    offset_min = (oh * 60 + om) * (text[at] == '-' ? -1 : 1);
    at += 6;
  }
  const std::chrono::year_month_day ymd{std::chrono::year{year},
                                        std::chrono::month{static_cast<unsigned>(month)},
                                        std::chrono::day{static_cast<unsigned>(day)}};
  if (at != text.size() || !ymd.ok() || hour > 23 || minute > 59 || second > 60) return bad();
  const std::int64_t days = std::chrono::sys_days{ymd}.time_since_epoch().count();
  const std::int64_t seconds =
      days * 86'400 + hour * 3'600 + minute * 60 + second - offset_min * 60;
  return WallTime{seconds * 1'000'000 + fraction_us};
}

}  // namespace tocsin
