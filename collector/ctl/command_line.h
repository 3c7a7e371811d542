#pragma once
// Question answered here: what was typed after `tocsinctl`?

#include "common/base/expected.h"
#include "common/base/time.h"

#include <string>
#include <vector>

namespace tocsin::ctl {

struct CommandLine {
  std::string command;
  std::vector<std::string> operands;
  std::string url;                          ///< --url
  std::string file;                         ///< --file: apply, diff; --out of export
  std::string note;                         ///< --note of resolve
  Duration since = std::chrono::hours{24};  ///< --since of phases
  bool json = false;
  bool yes = false;    ///< apply does not ask.
  bool prune = false;  ///< apply, diff
  bool help = false;
  bool version = false;
};

/// kInvalid with what is wrong: exit code 2.
Expected<CommandLine> parse_command_line(std::vector<std::string> arguments);

const char* usage();

/// For `source <(tocsinctl completion bash)`.
std::string bash_completion();

}  // namespace tocsin::ctl
