#pragma once
// Question answered here: what can anybody ask the collector over HTTP without a login?
//
//   /healthz              the process lives and its loop turns
//   /readyz               what is missing before traffic makes sense; 200 or 503
//   /metrics              numbers about ourselves, text 0.0.4
//   /status/{slug}        a public page, also with .json, and the other files of kPageFiles below
//   it

#include "collector/api/router.h"
#include "collector/ports/page_source.h"
#include "collector/ports/view_source.h"

#include <functional>
#include <string>
#include <string_view>

namespace tocsin::collector {

struct PublicApiOptions {
  ViewSource& views;
  PageSource& pages;
  /// The text of the metrics registry, with the engine's numbers already in it.
  std::function<std::string()> metrics;
};

/// Adds the routes above. What `options` refers to outlives the router.
void add_public_routes(Router& router, const PublicApiOptions& options);

/// {"ready":true,"checks":[{"name":"store","ok":true,"detail":null}]}
std::string readiness_json(const std::vector<ReadyCheck>& checks);

/// Ready: at least one check, and all of them hold.
bool is_ready(const std::vector<ReadyCheck>& checks);

}  // namespace tocsin::collector
