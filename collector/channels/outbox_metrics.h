#pragma once
// Question answered here: under which names are the outbox's counts published?

#include "collector/channels/outbox_runner.h"
#include "common/io/metrics.h"

namespace tocsin::collector {

/// Brings the registry up to these totals. Call before each text(); cheap.
void publish_outbox_stats(io::Metrics& metrics, const OutboxStats& stats);

}  // namespace tocsin::collector
