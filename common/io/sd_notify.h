#pragma once
// Question answered here: how does systemd learn that we are ready, alive or stopping?
//
// The protocol of sd_notify(3) without its library: datagrams to $NOTIFY_SOCKET.

#include "common/base/expected.h"
#include "common/base/time.h"

#include <optional>
#include <string_view>

namespace tocsin::io {

/// "READY=1", "STOPPING=1", "RELOADING=1", "WATCHDOG=1", "STATUS=...", several with line feeds.
/// False when nobody wants to know.
Expected<bool> sd_notify(std::string_view state);

/// How often the service manager wants "WATCHDOG=1" at the latest; nothing when it does not watch
/// this process. Send it at half of that.
std::optional<Duration> sd_watchdog();

}  // namespace tocsin::io
