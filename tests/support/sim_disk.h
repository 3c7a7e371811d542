#pragma once
// Question answered here: what does a disk do to a program that dies?
//
// A Disk that keeps, per file, what is durable and what is not. A power cut loses what was not
// synced (a seeded part of the tail may survive, torn anywhere); a kill keeps everything that was
// appended. Syncs complete when the owner says so, so that a simulator decides when. Copyable: a
// copy is a snapshot of the state directory.

#include "agent/ports/disk.h"
#include "common/base/rng.h"

#include <deque>
#include <map>
#include <string>
#include <vector>

namespace tocsin::testing {

/// The bytes; a value that outlives the process which wrote them.
struct SimDiskState {
  struct File {
    Bytes bytes;
    std::size_t durable = 0;  ///< Prefix that survives a power cut.
    bool created_durable = false;
  };

  std::map<std::string, File> files;

  /// What is left after the power went: the durable prefix, and by chance a torn part of the rest.
  void power_cut(Rng& rng);
};

class SimDisk final : public agent::Disk {
 public:
  explicit SimDisk(SimDiskState& state)
      : state_(state) {}

  Expected<std::vector<File>> list() override;
  Expected<void> append(const std::string& name, ByteSpan bytes) override;
  void sync(std::vector<std::string> names, Synced done) override;
  Expected<Bytes> read(const std::string& name, std::uint64_t offset, std::size_t size) override;
  Expected<void> unlink(const std::string& name) override;
  Expected<void> replace(const std::string& name, ByteSpan bytes) override;
  Expected<void> quarantine(const std::string& name) override;
  std::uint64_t free_bytes() override;

  /// Completes the oldest sync under way; false when there is none.
  bool complete_sync();

  std::size_t syncs_pending() const { return pending_.size(); }

  // --- faults ---
  int fail_appends = 0;  ///< The next N appends fail, after writing half.
  int fail_syncs = 0;    ///< The next N syncs fail; the pages are lost as after fsyncgate,
  bool failed_syncs_keep = false;       ///< or reach the disk all the same.
  std::uint64_t capacity = UINT64_MAX;  ///< append fails with kNoSpace beyond.

 private:
  struct Pending {
    std::vector<std::pair<std::string, std::size_t>> upto;
    Synced done;
  };

  std::uint64_t used() const;

  SimDiskState& state_;
  std::deque<Pending> pending_;
};

}  // namespace tocsin::testing
