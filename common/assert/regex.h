#pragma once
// Question answered here: does a text match a pattern, in time linear in the text and in bounded
// memory?

#include "common/base/expected.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::assertion {

/// What one match found. Views into the text it was looked for in.
struct RegexMatch {
  std::vector<std::string_view> groups;                        ///< The whole match is the first.
  std::map<std::string, std::string_view, std::less<>> named;  ///< Of (?P<name>...).
};

/// RE2 syntax, unanchored. Copies share the compiled program, which never changes. Thread-safe.
class Regex {
 public:
  /// kInvalid with RE2's words; kLimit for a pattern over kPatternSizeMax bytes or one whose
  /// program would need more than 1 MiB.
  static Expected<Regex> compile(std::string_view pattern);

  bool matches(std::string_view text) const;

  /// The leftmost match, if there is one.
  std::optional<RegexMatch> find(std::string_view text) const;

 private:
  struct Program;
  explicit Regex(std::shared_ptr<const Program> program);
  std::shared_ptr<const Program> program_;
};

}  // namespace tocsin::assertion
