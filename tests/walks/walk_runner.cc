// walk_runner FILE.walk... [--trace]: plays each story against the real engine.

#include "tests/walks/walk.h"

#include <fmt/core.h>

#include <cstring>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  bool trace = false;
  std::vector<std::string> files;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--trace") == 0) {
      trace = true;
    } else {
      files.emplace_back(argv[i]);
    }
  }
  if (files.empty()) {
    fmt::print(stderr, "usage: walk_runner FILE.walk... [--trace]\n");
    return 2;
  }
  int failed = 0;
  for (const std::string& file : files) {
    const auto done = tocsin::test::run_walk(file, trace);
    if (done) {
      fmt::print("{}: as told\n", file);
    } else {
      fmt::print("{}\n", done.error().text);
      ++failed;
    }
  }
  return failed == 0 ? 0 : 1;
}
