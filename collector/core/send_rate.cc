#include "collector/core/send_rate.h"

#include "common/base/strings.h"

#include <fmt/format.h>

#include <charconv>

namespace tocsin::collector {

std::string format_rate(const SendRate& rate) {
  if (rate.count == 0) return {};
  return fmt::format("{}/{}", rate.count, format_duration(rate.per));
}

Expected<SendRate> parse_rate(std::string_view text) {
  SendRate out;
  if (text.empty()) return out;
  const std::size_t slash = text.find('/');
  const std::string_view count = text.substr(0, slash);
  const auto [end, error] = std::from_chars(count.data(), count.data() + count.size(), out.count);
  const auto per = slash == std::string_view::npos ? fail(Errc::kInvalid, "no slash")
                                                   : parse_duration(text.substr(slash + 1));
  const bool good = error == std::errc{} && end == count.data() + count.size() && out.count >= 1 &&
                    out.count <= kRateCountMax && per && *per >= std::chrono::seconds{1} &&
                    *per <= kRatePerMax;
  if (!good) {
    return fail(Errc::kInvalid,
                "expected COUNT/DURATION such as 60/1m, of 1 to {} in 1s to {}, not '{}'",
                kRateCountMax, format_duration(kRatePerMax), printable(text, 40));
  }
  out.per = *per;
  return out;
}

}  // namespace tocsin::collector
