#pragma once
// Question answered here: what did a person write in this YAML file, and is it unambiguous?
//
// A strict subset of YAML 1.1, read with libyaml's events into a codec::Node with marks:
//  - one document, at most kSizeMax bytes of UTF-8, kDepthMax levels, kNodesMax nodes;
//  - a duplicate key is an error that names both lines; keys are scalars;
//  - no anchors, aliases, merge keys, tags or %TAG: what a line means is what it says;
//  - plain `null`, `~` and nothing are null; plain `true` and `false` are truth values; plain JSON
//    numbers are numbers; everything else is text, so `no`, `on`, `0x10`, `1_000`, `010` and
//    `12:30` mean themselves. Quoted scalars are always text.

#include "common/base/expected.h"
#include "common/codec/node.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace tocsin::io {

inline constexpr std::size_t kYamlSizeMax = 8 << 20;
inline constexpr int kYamlDepthMax = 64;
inline constexpr std::size_t kYamlNodesMax = 500'000;

/// An error's text begins "NAME:LINE:COLUMN: ". An empty document is a null node.
Expected<codec::Node> parse_yaml(std::string_view text, std::string_view name);

/// parse_yaml of a file.
Expected<codec::Node> load_yaml(const std::string& path);

/// One line for one error of a reader of such a tree: "agent.yaml:4:7: spool.max_bytes: ...".
std::string locate(std::string_view file, const FieldError& error);

}  // namespace tocsin::io
