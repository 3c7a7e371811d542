#pragma once
// Question answered here: what did this thread and this process use?
//
// For benches and floors; needs nothing of the project.

#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <sys/resource.h>

namespace tocsin::bench {

struct Cost {
  double cpu_us = 0;  ///< Of this thread, user and system.
  double wall_us = 0;

  static Cost now() {
    rusage used{};
    ::getrusage(RUSAGE_THREAD, &used);
    const auto us = [](const timeval& t) {
      return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_usec);
    };
    const auto wall = std::chrono::steady_clock::now().time_since_epoch();
    return {us(used.ru_utime) + us(used.ru_stime),
            std::chrono::duration<double, std::micro>(wall).count()};
  }

  friend Cost operator-(const Cost& a, const Cost& b) {
    return {a.cpu_us - b.cpu_us, a.wall_us - b.wall_us};
  }
};

inline std::size_t resident_bytes() {
  std::size_t total = 0;
  std::size_t resident = 0;
  std::FILE* const file = std::fopen("/proc/self/statm", "r");
  if (file != nullptr) {
    if (std::fscanf(file, "%zu %zu", &total, &resident) != 2) resident = 0;
    std::fclose(file);
  }
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

inline void raise_descriptors() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
}

}  // namespace tocsin::bench
