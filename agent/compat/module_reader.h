#pragma once
// Question answered here: what does one module of a blackbox.yml ask for?
//
// For blackbox_modules.cc alone.

#include "agent/compat/blackbox_modules.h"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace tocsin::agent {

struct ReadModule {
  BlackboxModule module;  ///< Without `source`; `unsupported` begins with "line N, column N: ".
  std::optional<ProxySettings> proxy;  ///< By the module's name.
};

/// Appends what is wrong to `errors`. Relative paths are below `base`.
ReadModule read_module(const std::string& name, const codec::Node& node,
                       const std::filesystem::path& base, std::vector<FieldError>& errors);

}  // namespace tocsin::agent
