#pragma once
// Question answered here: under which names are the numbers of the collector's threads published?

#include "collector/channels/outbox_runner.h"
#include "collector/channels/store_alarm.h"
#include "collector/core/engine.h"
#include "collector/engine/engine_thread.h"
#include "collector/ingest/ingest.h"
#include "common/io/event_loop.h"
#include "common/io/metrics.h"

namespace tocsin::collector {

/// Each brings the registry up to these totals; cheap.
void publish_ingest_stats(io::Metrics& metrics, const IngestStats& stats);
void publish_thread_stats(io::Metrics& metrics, const EngineThreadStats& stats);
void publish_outbox_stats(io::Metrics& metrics, const OutboxStats& stats);
void publish_store_alarm_stats(io::Metrics& metrics, const StoreAlarmStats& stats);
/// Of `net`; `stall`: the longest turn since the last call.
void publish_loop_stats(io::Metrics& metrics, const io::LoopStats& stats, Duration stall);
/// Live agents, and the accounting of DEC-8 per agent.
void publish_agents(io::Metrics& metrics, const EngineView& view);

}  // namespace tocsin::collector
