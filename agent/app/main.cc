#include "agent/app/check_command.h"
#include "agent/app/command_line.h"
#include "agent/app/enroll_command.h"
#include "agent/app/run_command.h"
#include "common/io/build_info.h"

#include <cstdio>

namespace tocsin::agent {

namespace {

int run(const std::vector<std::string>& arguments) {
  const auto line = parse_command_line(arguments);
  if (!line) {
    std::fprintf(stderr, "tocsin-agent: %s\ntocsin-agent --help says more\n",
                 line.error().text.c_str());
    return kExitUsage;
  }
  switch (line->command) {
    case Command::kRun:
      return run_agent(line->config);
    case Command::kEnroll:
      return enroll_agent(*line);
    case Command::kCheckConfig:
      return check_agent_config(line->config);
    case Command::kCheck:
      return run_check_command(line->check_arguments);
    case Command::kVersion:
      std::fputs(io::describe_build("tocsin-agent").c_str(), stdout);
      return 0;
    case Command::kHelp:
      std::fputs(usage(), stdout);
      return 0;
  }
  return kExitUsage;
}

}  // namespace

}  // namespace tocsin::agent

int main(int argc, char** argv) {
  return tocsin::agent::run(std::vector<std::string>(argv + 1, argv + argc));
}
