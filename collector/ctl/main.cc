// Question answered here: which command of tocsinctl was asked for, and how does it end?

#include "collector/ctl/command_line.h"
#include "collector/ctl/commands.h"
#include "common/io/build_info.h"
#include "common/io/log.h"
#include "common/io/signals.h"

#include <fmt/format.h>

#include <cstdio>

int main(int argc, char** argv) {
  using namespace tocsin;
  const auto line = ctl::parse_command_line({argv + 1, argv + argc});
  if (!line) {
    fmt::print(stderr, "tocsinctl: {}\n\n{}", line.error().text, ctl::usage());
    return static_cast<int>(ctl::Exit::kUsage);
  }
  if (line->help) {
    fmt::print("{}", ctl::usage());
    return 0;
  }
  if (line->version) {
    fmt::print("{}", io::describe_build("tocsinctl"));
    return 0;
  }
  log::configure({log::Level::kWarning, log::Format::kText});
  io::ignore_sigpipe();
  SystemClock clock;
  return static_cast<int>(ctl::run(*line, clock));
}
