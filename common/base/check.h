#pragma once
// Question answered here: what happens when our own code is wrong?
//
// CHECK stops the process in every build: a supervisor restarts us, and the spool and the store
// make that safe. ASSUME stops in builds with assertions, and elsewhere counts and goes on.

#include <cstdint>

namespace tocsin {

[[noreturn]] void check_failed(const char* file, int line, const char* what);

/// Counts, and writes one line to stderr the first time each place fails.
void assume_failed(const char* file, int line, const char* what);

/// How many ASSUMEs have failed in this process; a metric.
std::uint64_t assumptions_failed();

}  // namespace tocsin

#define CHECK(cond)                                      \
  do {                                                   \
    if (!(cond)) [[unlikely]] {                          \
      ::tocsin::check_failed(__FILE__, __LINE__, #cond); \
    }                                                    \
  } while (false)

#define ASSUME(cond)                                      \
  do {                                                    \
    if (!(cond)) [[unlikely]] {                           \
      ::tocsin::assume_failed(__FILE__, __LINE__, #cond); \
    }                                                     \
  } while (false)
