#pragma once
// Question answered here: how does an answer of the API look to a person at a terminal?
//
// Everything that comes from the collector passes `printable`: a target's words cannot move the
// cursor. Lines fit 80 columns as far as the values allow.

#include "common/codec/node.h"

#include <string>
#include <string_view>
#include <vector>

namespace tocsin::ctl {

/// Block-style YAML that io::parse_yaml reads as an equal tree.
std::string print_yaml(const codec::Node& node);

/// One line for each item of a list of that collection, under a line of titles.
std::string print_table(std::string_view collection, const std::vector<codec::Node>& items);

/// Items of /monitors/KEY/phases: a table of percentiles for each.
std::string print_phases(const std::vector<codec::Node>& items);

/// "+ monitor shop", "~ service web: policy", "- channel old", and a line that counts them.
std::string print_changes(const codec::Node& changes);

/// The text of a member; empty when it is not there or not a scalar.
std::string text_of(const codec::Node& node, std::string_view key);

}  // namespace tocsin::ctl
