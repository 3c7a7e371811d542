#pragma once
// Question answered here: what does a .walk file say, and does the engine do it?
//
// A walk is a story of the world as the regions see it, and of what people hear.
// tests/walks/README.md explains every word. The runner drives the real Engine through its one
// door; agents check at the real slots of their series, so `by` leaves room for one interval and
// the retries.

#include "common/base/expected.h"

#include <string>

namespace tocsin::test {

/// Runs the story; the error names file, line, expectation and what was there instead.
Expected<void> run_walk(const std::string& path, bool trace);

}  // namespace tocsin::test
