#pragma once
// Question answered here: how is a person asked for a secret at a terminal?

#include "common/base/expected.h"
#include "common/io/secret.h"

#include <string_view>

namespace tocsin::io {

/// Whether standard input is a terminal.
bool at_terminal();

/// Prints the prompt to standard error and reads one line of standard input. At a terminal what is
/// typed is not shown, and whatever ends the program meanwhile (Ctrl-C) leaves the terminal as it
/// was. One thread, and no other that reads standard input.
Expected<Secret> ask_secret(std::string_view prompt);

}  // namespace tocsin::io
