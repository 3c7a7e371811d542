#pragma once
// What the floor programs print when they are done: one line of JSON for bench/run.py.

#include <cstdio>
#include <sys/resource.h>

namespace floor_bench {

/// User and system time of this process so far.
inline double cpu_seconds() {
  rusage use{};
  ::getrusage(RUSAGE_SELF, &use);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(use.ru_utime) + seconds(use.ru_stime);
}

inline void report(long done, long failed, double seconds, double cpu) {
  std::printf("{\"done\": %ld, \"failed\": %ld, \"seconds\": %.6f, \"cpu_s\": %.6f}\n", done,
              failed, seconds, cpu);
  std::fflush(stdout);
}

}  // namespace floor_bench
