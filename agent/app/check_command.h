#pragma once
// Question answered here: what happens when an operator runs `tocsin-agent check URL ...`?

#include <string>
#include <vector>

namespace tocsin::agent {

/// Exit statuses of `check`, instead of the usual ones.
inline constexpr int kCheckUp = 0;
inline constexpr int kCheckDegraded = 1;
inline constexpr int kCheckDown = 2;
inline constexpr int kCheckImpossible = 3;  ///< Bad arguments included: 2 is an answer.

/// Makes one attempt now, on a loop of its own, and prints the report to stdout; bad arguments are
/// explained on stderr. `words` stand behind the word `check`. The operator at the shell may reach
/// whatever this machine can, so no egress policy applies but the one on metadata addresses.
/// Makes the process ignore SIGPIPE.
int run_check_command(const std::vector<std::string>& words);

}  // namespace tocsin::agent
