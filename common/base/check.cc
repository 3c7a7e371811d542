#include "common/base/check.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace tocsin {

namespace {
std::atomic<std::uint64_t> failed_assumptions{0};
}

void check_failed(const char* file, int line, const char* what) {
  std::fprintf(stderr, "CHECK failed at %s:%d: %s\n", file, line, what);
  std::fflush(stderr);
  std::abort();
}

void assume_failed(const char* file, int line, const char* what) {
  const auto before = failed_assumptions.fetch_add(1);
#ifdef _GLIBCXX_ASSERTIONS
  (void)before;
  check_failed(file, line, what);
#else
  if (before < 100) std::fprintf(stderr, "assumption failed at %s:%d: %s\n", file, line, what);
#endif
}

std::uint64_t assumptions_failed() { return failed_assumptions.load(); }

}  // namespace tocsin
