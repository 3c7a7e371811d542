#pragma once
// Question answered here: how does JSON text become a Node, and a Node JSON text?
//
// The only door to nlohmann json. Strict: RFC 8259 and nothing more (no comments, no trailing
// commas, no NaN), every bound has a name, duplicate keys are refused because two readers would
// disagree about them, and so is text that is not UTF-8. Printing never fails: what is not UTF-8
// becomes U+FFFD.

#include "common/base/expected.h"
#include "common/codec/node.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace tocsin::codec {

/// Each bound refuses the whole text with kLimit.
struct JsonLimits {
  std::size_t bytes_max = std::size_t{1} << 20;
  int depth_max = 32;               ///< Lists and maps inside each other.
  std::size_t nodes_max = 200'000;  ///< A node takes some 150 bytes of memory.
};

/// Every node carries its mark: line and column (in bytes) of its first character; a map's value
/// has its own, not its key's. kInvalid texts begin with "line L, column C: ".
Expected<Node> parse_json(std::string_view text, const JsonLimits& limits = {});

/// `indent` 0: one line without spaces. Integers are printed as written; a number that JSON cannot
/// say (infinite, or spelled in a way only YAML knows) is printed by its value, or as null.
std::string print_json(const Node& node, int indent = 0);

}  // namespace tocsin::codec
