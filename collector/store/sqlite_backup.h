#pragma once
// Question answered here: how is the database copied while the collector writes it, and is a copy
// whole?
//
// Both read as one more reader of the file, from any process: a write-ahead log lets them see one
// moment and lets the writer go on. While a copy is made the log cannot be shortened.

#include "common/base/expected.h"
#include "common/base/time.h"

#include <cstdint>
#include <string>

namespace tocsin::collector {

/// What a database says of itself.
struct DatabaseFacts {
  int schema = 0;  ///< The newest migration that was applied.
  std::uint64_t commit_seq = 0;
  WallTime last_commit{};
  std::int64_t monitors = 0;
  std::int64_t incidents = 0;
  std::int64_t results = 0;
};

/// Everything that is committed now, as a new file (0600) without a log, synced. kExists when there
/// is `target` already.
Expected<void> copy_database(const std::string& path, const std::string& target);

/// Reads every page and every index. kCorrupt: what is damaged. kUnsupported: made by a newer
/// version.
Expected<DatabaseFacts> verify_database(const std::string& path);

}  // namespace tocsin::collector
