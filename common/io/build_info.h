#pragma once
// Question answered here: which build is this?

#include "common/io/metrics.h"

#include <string>
#include <string_view>

namespace tocsin::io {

/// "0.1.0"
std::string_view version();

/// For --version: the program, its version, and the libraries whose versions matter in a bug
/// report.
std::string describe_build(std::string_view program);

/// tocsin_build_info{version, compiler} 1
void publish_build_info(Metrics& metrics);

}  // namespace tocsin::io
