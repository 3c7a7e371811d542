#pragma once
// Question answered here: under which names are the engine's and the server's counts published?

#include "collector/core/engine.h"
#include "common/io/http_server.h"
#include "common/io/metrics.h"

namespace tocsin::collector {

/// Brings the registry up to these totals. Call before each text(); cheap.
void publish_engine_stats(io::Metrics& metrics, const EngineStats& stats);
void publish_http_stats(io::Metrics& metrics, const io::HttpServerStats& stats);

}  // namespace tocsin::collector
