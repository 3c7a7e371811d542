#pragma once
// Question answered here: how is everything the collector knows kept elsewhere and brought back?
//
// A backup is a directory: the database as one file, the keys and whatever else lies in the state
// directory, and manifest.json, which is written last and holds size and SHA-256 of each. It
// appears whole or not at all. Secrets of the configuration are not in it.
//
// Backup and verify read the database as one more reader (ADR 13): the collector may run, may have
// stopped, may hang. Restore takes the lock of the state directory.

#include "collector/store/sqlite_backup.h"
#include "common/base/expected.h"
#include "common/base/time.h"

#include <string>
#include <vector>

namespace tocsin::collector {

/// A directory of this name in the state directory: a restore that did not finish. Nothing may
/// serve from it.
inline constexpr const char* kRestoreUnderWay = "restore.partial";

/// kCorrupt when a restore did not finish.
Expected<void> expect_no_restore(const std::string& state_dir);

struct BackupFile {
  std::string name;  ///< Without directories.
  std::uint64_t bytes = 0;
  std::string sha256;  ///< 64 hexadecimal digits.
};

struct BackupInfo {
  std::string version;  ///< Of the program that made it.
  WallTime created{};
  std::vector<BackupFile> files;
  DatabaseFacts database;
};

/// Writes `target` by way of TARGET.partial, of which an earlier one that did not finish is
/// removed. kExists when there is `target`, kNotFound when there is nothing to back up.
Expected<BackupInfo> make_backup(const std::string& state_dir, std::string target, WallTime now);

/// Reads all of it. kCorrupt names the file that is not what the manifest says.
Expected<BackupInfo> verify_backup(const std::string& directory);

struct Restored {
  BackupInfo backup;
  std::string kept;  ///< Where what was there before lies now; empty: nothing was there.
};

/// Verifies the backup, then puts it in place. kExists: the state directory is in use for something
/// and `replace` is not set; with it, what was there is moved aside, never deleted. kUnavailable: a
/// collector runs. Killed at any moment, it is carried out by running it again.
Expected<Restored> restore_backup(const std::string& directory, const std::string& state_dir,
                                  bool replace, WallTime now);

}  // namespace tocsin::collector
