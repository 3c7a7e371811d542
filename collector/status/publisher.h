#pragma once
// Question answered here: how do files replace a whole directory so that a web server never sees
// half of it?
//
// DIR is a symbolic link to one of two directories beside it, .DIR.a and .DIR.b. A publication
// writes the one that the link does not name, syncs it, and turns the link with one rename. So the
// link always names a complete directory, also after a power cut, and who is reading the old one
// keeps it until the publication after.

#include "collector/status/pages.h"
#include "common/base/expected.h"
#include "common/io/file.h"

#include <string>
#include <vector>

namespace tocsin::collector::status {

/// One thread. Blocks on the disk.
class Publisher {
 public:
  /// The directory that is to hold `out` must exist; `out` may be missing, an empty directory, or
  /// what an earlier publication left. kExists when something else is there: it is never replaced.
  /// kUnavailable while another process publishes there.
  static Expected<Publisher> open(std::string out);

  /// On return all of it is visible and durable; after an error what was there before is.
  Expected<void> publish(const std::vector<PublishedFile>& files);

  const std::string& directory() const { return out_; }

 private:
  Publisher(std::string out, std::string parent, std::string name, io::FileLock lock)
      : out_(std::move(out)),
        parent_(std::move(parent)),
        name_(std::move(name)),
        lock_(std::move(lock)) {}

  std::string generation(char which) const;

  std::string out_;
  std::string parent_;
  std::string name_;
  io::FileLock lock_;
};

}  // namespace tocsin::collector::status
