#pragma once
// Question answered here: what was tocsin-agent asked to do?

#include "common/base/expected.h"

#include <string>
#include <vector>

namespace tocsin::agent {

/// Exit statuses besides 0 and 1; `check` has its own (0 up, 1 degraded, 2 down, 3 could not).
inline constexpr int kExitUsage = 2;
inline constexpr int kExitTemporary = 75;      ///< EX_TEMPFAIL: trying again may work.
inline constexpr int kExitConfiguration = 78;  ///< EX_CONFIG: a person has to change something.

enum class Command { kRun, kEnroll, kCheckConfig, kCheck, kVersion, kHelp };

struct CommandLine {
  Command command = Command::kRun;
  std::string config;                        ///< --config; empty: not given.
  std::string state_dir;                     ///< --state-dir, of enroll.
  std::string bundle;                        ///< The argument of enroll; "-" is standard input.
  std::vector<std::string> check_arguments;  ///< Everything behind `check`, as given.
};

/// `arguments` without the program's name. Errors are one line for the user.
Expected<CommandLine> parse_command_line(const std::vector<std::string>& arguments);

/// --help.
const char* usage();

}  // namespace tocsin::agent
