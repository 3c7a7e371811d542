#pragma once
// Question answered here: which schema does this version expect, and how does a file get there?
//
// Specification
//  M1 Forward only, in order, each in a transaction of its own together with its row in
//     `schema_versions`: killed at any moment, the next start goes on where this one stopped.
//  M2 What has been applied is never edited: its SHA-256 stands in `schema_versions`, and another
//     text under the same number is refused.
//  M3 A file that a newer version has migrated is refused, not touched.

#include "common/base/expected.h"

#include <string_view>
#include <vector>

namespace tocsin::collector {

class SqliteDb;

struct Migration {
  int version = 0;
  std::string_view name;
  std::string_view sql;
};

/// Of migrations/NNNN_name.sql, oldest first.
const std::vector<Migration>& migrations();

/// The caller holds the lock of the state directory. Takes `steps` so that a test can have more
/// than there are.
Expected<void> migrate(SqliteDb& db, const std::vector<Migration>& steps);

}  // namespace tocsin::collector
