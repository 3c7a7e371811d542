#pragma once
// Question answered here: which value of a JSON document does "$.a.b[0]" name?
//
// A subset of RFC 9535: `$`, then any number of .name (letters, digits, _ and -), ["name"] or
// ['name'] (the quote and \\ are escaped by \) and [index]. No wildcards, slices, filters,
// descendants or negative indexes: a path names one value.

#include "common/base/expected.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tocsin::assertion {

struct JsonPath {
  static constexpr std::size_t kStepsMax = 32;
  using Step = std::variant<std::string, std::uint32_t>;  ///< A member's name, or an index.

  std::vector<Step> steps;

  friend bool operator==(const JsonPath&, const JsonPath&) = default;
};

/// The text says what was expected at which byte of the path.
Expected<JsonPath> parse_json_path(std::string_view text);

}  // namespace tocsin::assertion
