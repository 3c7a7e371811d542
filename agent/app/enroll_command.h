#pragma once
// Question answered here: what does `tocsin-agent enroll` do for its caller?

#include "agent/app/command_line.h"

namespace tocsin::agent {

/// Reads the bundle, enrols, and prints what to do next: the start of a configuration file when
/// there is none yet. Returns the exit status.
int enroll_agent(const CommandLine& line);

}  // namespace tocsin::agent
