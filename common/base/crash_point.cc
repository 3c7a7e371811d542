#include "common/base/crash_point.h"

#ifdef TOCSIN_TEST_HOOKS

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <string_view>

namespace tocsin {

namespace {

struct Plan {
  std::string_view name;
  long pass = 1;
};

Plan read_plan() {
  const char* value = std::getenv("TOCSIN_CRASH_AT");
  if (value == nullptr) return {};
  const std::string_view text{value};
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return {text, 1};
  return {text.substr(0, colon), std::strtol(value + colon + 1, nullptr, 10)};
}

}  // namespace

void crash_point(const char* name) {
  static const Plan plan = read_plan();
  static std::atomic<long> passes{0};
  if (plan.name.empty() || plan.name != name) return;
  if (passes.fetch_add(1) + 1 == plan.pass) std::raise(SIGKILL);
}

}  // namespace tocsin

#endif
