#pragma once
// Question answered here: which options of `tocsin-agent check` are about HTTP, and what do they
// mean?

#include "agent/probe/proxy_settings.h"
#include "common/base/expected.h"
#include "common/model/monitor_spec.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::agent {

struct CheckHttpOptions {
  HttpTarget target;                   ///< The URL is empty, the method too unless it was given.
  std::optional<ProxySettings> proxy;  ///< Of --proxy; the target names it.
};

/// With a value, in the order of the help.
const std::vector<std::string_view>& http_options();
/// Without a value.
const std::vector<std::string_view>& http_flags();

/// `name` is one of http_options(). Errors are one line for the user.
Expected<void> take_http_option(std::string_view name, const std::string& value,
                                CheckHttpOptions& out);
/// `name` is one of http_flags().
void take_http_flag(std::string_view name, CheckHttpOptions& out);

}  // namespace tocsin::agent
