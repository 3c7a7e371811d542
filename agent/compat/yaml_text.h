#pragma once
// Question answered here: how is a tree shown as YAML?

#include "common/codec/node.h"

#include <string>

namespace tocsin::agent {

/// Block style, two blanks a level; io::parse_yaml reads it as an equal tree.
std::string yaml_text(const codec::Node& node);

}  // namespace tocsin::agent
