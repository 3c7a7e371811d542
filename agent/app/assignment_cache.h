#pragma once
// Question answered here: what does the agent check after a restart, before a collector answers?

#include "common/base/expected.h"
#include "common/model/link.h"

#include <string>

namespace tocsin::agent {

/// How much a cache file may hold: far above what max_in_flight can run.
inline constexpr std::size_t kAssignmentBytesMax = 64 << 20;

/// The file is "TCA1", the CRC-32C of the rest (little-endian), and the assignment as it goes on
/// the wire. Its secrets must be sealed. Durable on return.
Expected<void> store_assignment(const std::string& path, const Assignment& assignment);

/// kNotFound when there is none; kCorrupt when it is damaged (the collector will send it again).
Expected<Assignment> load_assignment(const std::string& path);

}  // namespace tocsin::agent
