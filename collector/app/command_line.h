#pragma once
// Question answered here: what was typed after `tocsin-collector`?

#include "common/base/expected.h"

#include <string>
#include <vector>

namespace tocsin::collector {

struct CommandLine {
  std::string command = "serve";
  std::string config = "/etc/tocsin/collector.yaml";
  std::vector<std::string> operands;   ///< After the command.
  std::string region;                  ///< enroll
  std::string expires = "24h";         ///< enroll
  std::vector<std::string> endpoints;  ///< enroll
  std::string user;                    ///< admin-token
  bool replace = false;                ///< restore
  bool help = false;
  bool version = false;
};

/// kInvalid with what is wrong: exit code 2.
Expected<CommandLine> parse_command_line(std::vector<std::string> arguments);

const char* usage();

}  // namespace tocsin::collector
