#pragma once
// Question answered here: how do stored results get into the rollups of phases, each exactly once?
//
// Specification
//  RO1 `phase_rollups` sums the results up to phase_rollup_progress.last_result, by rowid, and no
//      other: rows and progress change in one transaction. A kill loses work, never counts twice.
//  RO2 Rowids of `results` grow with commits and are never given again.
//  RO3 A reader adds the results after last_result itself, so its answer is complete at any time
//      and does not show when this ran last.
// Rationale: nothing of it is on the way of a commit. What has to be decoded is read before the
// write lock is taken, which is held for the rows alone.

#include "common/base/expected.h"

#include <cstdint>
#include <memory>
#include <string>

namespace tocsin::collector {

class SqliteRollup {
 public:
  struct Options {
    std::string directory;
    std::int64_t results_max = 50'000;  ///< Of one call, which takes some 0.3 s for them.
  };

  struct Report {
    std::uint64_t results = 0;
    std::uint64_t unreadable = 0;  ///< Of them, left out.
    std::uint64_t hours = 0;       ///< Rows written.
    bool more = false;             ///< Results wait: call again soon.
  };

  /// Opened after the store and closed before it; a connection of its own, one thread.
  static Expected<std::unique_ptr<SqliteRollup>> open(const Options& options);
  ~SqliteRollup();

  /// There is one caller: nobody else writes these two tables. kUnavailable when commits left no
  /// place for a second: nothing has changed, call again.
  Expected<Report> roll_up();

 private:
  struct Impl;
  explicit SqliteRollup(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tocsin::collector
