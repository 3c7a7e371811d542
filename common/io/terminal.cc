#include "common/io/terminal.h"

#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <string>
#include <utility>

namespace tocsin::io {

namespace {

termios g_before{};  // Of the terminal; for the signal's handler, which knows nothing else.

/// Shown again, and then what the signal is for. Calls only what a handler may.
void show_and_end(int number) {
  ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &g_before);
  ::signal(number, SIG_DFL);
  ::raise(number);
}

/// While it lives, what is typed is not shown.
class Unshown {
 public:
  Unshown() {
    struct sigaction action {};

    action.sa_handler = show_and_end;
    for (std::size_t i = 0; i < kEnding.size(); ++i) ::sigaction(kEnding[i], &action, &before_[i]);
    termios silent = g_before;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  }

  ~Unshown() {
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &g_before);
    for (std::size_t i = 0; i < kEnding.size(); ++i) ::sigaction(kEnding[i], &before_[i], nullptr);
  }

  Unshown(const Unshown&) = delete;
  Unshown& operator=(const Unshown&) = delete;

 private:
  static constexpr std::array<int, 4> kEnding{SIGINT, SIGTERM, SIGQUIT, SIGHUP};
  std::array<struct sigaction, kEnding.size()> before_{};
};

}  // namespace

bool at_terminal() { return ::isatty(STDIN_FILENO) == 1; }

Expected<Secret> ask_secret(std::string_view prompt) {
  std::string line;
  if (!at_terminal()) {
    std::getline(std::cin, line);
    return Secret{std::move(line)};
  }
  if (::tcgetattr(STDIN_FILENO, &g_before) != 0) return fail_errno("look at the terminal", errno);
  fmt::print(stderr, "{}", prompt);
  {
    const Unshown unshown;
    std::getline(std::cin, line);
  }
  fmt::print(stderr, "\n");
  return Secret{std::move(line)};
}

}  // namespace tocsin::io
