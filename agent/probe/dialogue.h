#pragma once
// Question answered here: what is said line by line on a TCP connection, and what must be heard?
//
// A value without I/O; dialogue_probe.h speaks it.

#include "common/assert/regex.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::agent {

/// One step. First `expect`, then `send`, then `starttls`; each may be missing.
struct DialogueStep {
  /// Lines are read until one matches. Without its line end.
  std::optional<assertion::Regex> expect;
  /// Sent with a line feed behind it; after an `expect` a template (expand_groups). Empty: nothing.
  std::string send;
  bool starttls = false;
};

struct Dialogue {
  static constexpr std::size_t kStepsMax = 100;
  static constexpr std::size_t kLineMax = 64 * 1024;     ///< A longer line ends the attempt.
  static constexpr std::size_t kHeardMax = 1024 * 1024;  ///< So does more than this in all.

  bool tls = false;  ///< From the first byte on.
  std::vector<DialogueStep> steps;
};

/// `$1`, `${1}`, `$name` and `${name}` in `text` become the groups of that match, `$$` a dollar
/// sign. A group that does not exist or did not match is empty; a dollar sign before anything else
/// stays.
std::string expand_groups(std::string_view text, const assertion::RegexMatch& match);

}  // namespace tocsin::agent
