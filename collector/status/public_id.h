#pragma once
// Question answered here: under which names do programs know what stands on a page?
//
// Derived from ids that are stored, by hashing, so that they are the same after a restart and on
// every collector, and say nothing about the inside.

#include "common/base/id.h"

#include <string>
#include <string_view>

namespace tocsin::collector::status {

/// Twelve characters of [a-z0-9], as Statuspage's ids are. `kind` keeps apart what would otherwise
/// be equal ("component", "report" ...).
std::string public_id(const StatusPageId& page, std::string_view kind, std::string_view what);

/// "urn:uuid:..." of the same, for Atom.
std::string public_urn(const StatusPageId& page, std::string_view kind, std::string_view what);

}  // namespace tocsin::collector::status
