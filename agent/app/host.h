#pragma once
// Question answered here: what is this machine called, for people?

#include <string>

namespace tocsin::agent {

/// Printable; "unknown" when the system does not say.
std::string host_name();

}  // namespace tocsin::agent
