#pragma once
// Question answered here: what was typed after `tocsin-collector`?

#include "common/base/expected.h"
#include "common/base/time.h"

#include <string>
#include <vector>

namespace tocsin::collector {

/// Of --every. The lower one keeps a disk from being worn out by syncs.
inline constexpr Duration kExportEveryMin = std::chrono::seconds{1};
inline constexpr Duration kExportEveryMax = std::chrono::hours{1};

struct CommandLine {
  std::string command = "serve";
  std::string config = "/etc/tocsin/collector.yaml";
  std::vector<std::string> operands;   ///< After the command.
  std::string region;                  ///< enroll
  std::string agent;                   ///< enroll: whose key is renewed
  std::string expires = "24h";         ///< enroll
  std::vector<std::string> endpoints;  ///< enroll
  std::string user;                    ///< admin-token, set-password
  bool replace = false;                ///< restore
  std::string page;                    ///< export-status
  std::string out;                     ///< export-status
  std::string url;                     ///< export-status; may be empty
  Duration every{0};                   ///< export-status; 0: once
  bool help = false;
  bool version = false;
};

/// kInvalid with what is wrong: exit code 2.
Expected<CommandLine> parse_command_line(std::vector<std::string> arguments);

const char* usage();

}  // namespace tocsin::collector
