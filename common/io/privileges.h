#pragma once
// Question answered here: as whom does a command write into a daemon's state directory?
//
// People run `init` and `enroll` as root, the daemons run as users of their own: what root would
// leave behind there the daemon could not open.

#include "common/base/expected.h"

#include <string>

namespace tocsin::io {

/// When this process is root and `path`, or the nearest directory above it that exists, belongs to
/// somebody else, becomes that user for good: user, group, and no other groups. Otherwise nothing
/// happens. Call it before the first thread. The name of who it became, empty when nobody.
Expected<std::string> become_owner_of(const std::string& path);

}  // namespace tocsin::io
