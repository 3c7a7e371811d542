#pragma once
// Question answered here: what does each command of tocsinctl do?

#include "collector/ctl/command_line.h"
#include "common/base/clock.h"

namespace tocsin::ctl {

/// The exit codes of docs: 0 ok, 1 failure, 2 usage, 75 try again later.
enum class Exit : int { kOk = 0, kFailure = 1, kUsage = 2, kTemporary = 75 };

/// Prints to standard output, complains to standard error.
Exit run(const CommandLine& line, Clock& clock);

}  // namespace tocsin::ctl
