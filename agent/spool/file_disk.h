#pragma once
// Question answered here: how does the spool lie in a real directory?
//
// The directory is 0700 and its files 0600. Syncs run on a worker thread, one after the other, and
// report through the loop; everything else is done where it is called, on the loop.

#include "agent/ports/disk.h"
#include "common/io/event_loop.h"
#include "common/io/fd.h"
#include "common/io/mailbox.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace tocsin::agent {

class FileDisk final : public Disk {
 public:
  /// Descriptors kept open for appending and reading; the one not used for longest goes first,
  /// unless it has bytes that are not synced yet.
  static constexpr std::size_t kOpenMax = 16;
  /// Syncs asked for and not done. The frame writer has one under way; reaching this is a bug.
  static constexpr std::size_t kSyncsMax = 64;
  /// Left of the file system for others: free_bytes() says this much less than there is.
  static constexpr std::uint64_t kFreeReserve = 16ULL << 20;

  /// Makes the directory if there is none and removes temporaries that a crash left. `loop`
  /// outlives the disk.
  static Expected<std::unique_ptr<FileDisk>> open(io::EventLoop& loop, std::string directory);

  /// Waits for the sync under way; callbacks of syncs that are not reported yet will not run.
  ~FileDisk() override;

  Expected<std::vector<File>> list() override;
  Expected<void> append(const std::string& name, ByteSpan bytes) override;
  void sync(std::vector<std::string> names, Synced done) override;
  Expected<Bytes> read(const std::string& name, std::uint64_t offset, std::size_t size) override;
  Expected<void> unlink(const std::string& name) override;
  Expected<void> replace(const std::string& name, ByteSpan bytes) override;
  Expected<void> quarantine(const std::string& name) override;
  std::uint64_t free_bytes() override;

  /// Asked for and not reported yet.
  std::size_t syncs_under_way() const { return waiting_.size(); }

 private:
  /// Shared between the loop and the worker: a file may be removed or its descriptor be given up
  /// while its sync is under way, and the sync needs a descriptor that was open when the bytes were
  /// written, or the kernel may report a lost write to somebody else.
  struct OpenFile {
    std::string name;
    io::Fd fd;
  };

  struct Entry {
    std::shared_ptr<const OpenFile> file;
    std::uint64_t used = 0;     ///< For choosing the oldest.
    std::uint64_t written = 0;  ///< Bytes appended through this descriptor.
    std::uint64_t synced = 0;   ///< Of those, how many a finished sync covers.
  };

  struct Job {
    std::uint64_t number = 0;
    std::vector<std::shared_ptr<const OpenFile>> files;
    bool directory = false;
  };

  struct Done {
    std::uint64_t number = 0;
    Expected<void> result;
  };

  struct Waiting {
    Synced done;
    std::vector<std::pair<std::string, std::uint64_t>> covers;  ///< Name and `written` then.
  };

  FileDisk(io::EventLoop& loop, std::string directory);

  std::string path_of(const std::string& name) const;
  Expected<Entry*> entry(const std::string& name, bool create);
  void close_oldest();
  void work();
  Expected<void> carry_out(const Job& job) const;
  void report();

  const std::string directory_;
  std::map<std::string, Entry> open_;
  std::uint64_t uses_ = 0;
  bool directory_changed_ = false;  ///< A file was made since the last sync of the directory began.
  std::uint64_t next_job_ = 1;
  std::map<std::uint64_t, Waiting> waiting_;
  io::Mailbox<Job> jobs_;
  io::Mailbox<Done> finished_;
  io::WatchHandle finished_watch_;
  std::thread worker_;
};

}  // namespace tocsin::agent
