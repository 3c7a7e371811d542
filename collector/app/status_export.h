#pragma once
// Question answered here: how does a status page get to a web server that knows nothing of tocsin?
//
// `export-status` asks the running collector for a page as files (admin_commands.h) and publishes
// them as a directory (collector/status/publisher.h), once or every so often until SIGTERM.
//
// While the collector does not answer, what was published stands until it is no news any more
// (PageView::stale_after); then the copy is published that says so. When the exporter itself is
// gone, the page still says until when it was news.

#include "collector/app/collector.h"
#include "collector/app/collector_config.h"
#include "collector/app/command_line.h"

namespace tocsin::collector {

/// Errors go to stderr. With `line.every`, only what a wait cannot mend ends it: no such page, or a
/// directory that cannot be taken, at the first try.
Exit export_status(const CommandLine& line, const CollectorConfig& config);

}  // namespace tocsin::collector
