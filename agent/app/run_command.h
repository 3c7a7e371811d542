#pragma once
// Question answered here: how does the agent run as a service?

#include <string>

namespace tocsin::agent {

/// `tocsin-agent run`: until SIGTERM or SIGINT. Returns the exit status.
int run_agent(const std::string& config_file);

/// `tocsin-agent check-config`.
int check_agent_config(const std::string& config_file);

}  // namespace tocsin::agent
