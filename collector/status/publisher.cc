#include "collector/status/publisher.h"

#include "common/base/strings.h"
#include "common/io/fd.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <sys/stat.h>

namespace tocsin::collector::status {

namespace {

namespace fs = std::filesystem;

/// Everybody may read what is published, whatever the umask.
constexpr mode_t kPublicFile = 0644;
constexpr mode_t kPublicDirectory = 0755;

Expected<void> write_file(const std::string& path, const std::string& body) {
  const io::Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kPublicFile));
  if (!fd) return fail_errno("create " + path, errno);
  if (::fchmod(fd.get(), kPublicFile) != 0) return fail_errno("chmod " + path, errno);
  TRY(io::write_all(fd.get(), as_bytes(body), path));
  return io::sync_data(fd.get(), path);
}

Expected<void> make_public_directory(const std::string& path) {
  if (::mkdir(path.c_str(), kPublicDirectory) != 0 && errno != EEXIST) {
    return fail_errno("make directory " + path, errno);
  }
  if (::chmod(path.c_str(), kPublicDirectory) != 0) return fail_errno("chmod " + path, errno);
  return {};
}

/// The target of the link; empty when there is none.
std::string target_of(const std::string& path) {
  std::error_code error;
  const fs::path target = fs::read_symlink(path, error);
  return error ? std::string{} : target.string();
}

}  // namespace

std::string Publisher::generation(char which) const {
  return "." + name_ + "." + std::string(1, which);
}

Expected<Publisher> Publisher::open(std::string out) {
  while (out.size() > 1 && out.ends_with('/')) out.pop_back();
  const std::string parent = io::directory_of(out);
  const std::string name = out.substr(out.rfind('/') + 1);
  if (name.empty() || name == "." || name == "..") {
    return fail(Errc::kInvalid, "\"{}\" does not name a directory that can be replaced",
                printable(out));
  }
  if (std::error_code error; !fs::is_directory(parent, error)) {
    return fail(Errc::kNotFound, "there is no directory {}, where {} should be published",
                printable(parent), printable(name));
  }
  TRY_ASSIGN(io::FileLock lock, io::FileLock::take(parent + "/." + name + ".lock"));
  Publisher publisher(std::move(out), parent, name, std::move(lock));

  std::error_code error;
  const fs::file_status there = fs::symlink_status(publisher.out_, error);
  const std::string target = target_of(publisher.out_);
  const bool ours = target == publisher.generation('a') || target == publisher.generation('b');
  const bool empty = fs::is_directory(there) && fs::is_empty(publisher.out_, error) && !error;
  if (fs::exists(there) && !ours && !empty) {
    return fail(Errc::kExists,
                "{} holds something that was not published by this command and would be lost; "
                "name a directory that does not exist yet, or an empty one",
                printable(publisher.out_));
  }
  return publisher;
}

Expected<void> Publisher::publish(const std::vector<PublishedFile>& files) {
  const std::string next = generation(target_of(out_) == generation('a') ? 'b' : 'a');
  const std::string root = parent_ + "/" + next;
  std::error_code error;
  fs::remove_all(root, error);
  if (error) return fail_errno("remove " + root, error.value());

  std::set<std::string> directories{root};
  for (const PublishedFile& file : files) {
    for (std::size_t slash = file.name.find('/'); slash != std::string::npos;
         slash = file.name.find('/', slash + 1)) {
      directories.insert(root + "/" + file.name.substr(0, slash));
    }
  }
  for (const std::string& one : directories) TRY(make_public_directory(one));  // Parents first.
  for (const PublishedFile& file : files) TRY(write_file(root + "/" + file.name, file.body));
  for (const std::string& one : directories) TRY(io::sync_directory(one));

  const std::string link = parent_ + "/." + name_ + ".link";
  if (::unlink(link.c_str()) != 0 && errno != ENOENT) return fail_errno("remove " + link, errno);
  if (::symlink(next.c_str(), link.c_str()) != 0) return fail_errno("make link " + link, errno);
  // Only the first time, when nothing was published there yet.
  if (::rmdir(out_.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR) {
    return fail_errno("replace " + out_, errno);
  }
  if (::rename(link.c_str(), out_.c_str()) != 0) return fail_errno("replace " + out_, errno);
  return io::sync_directory(parent_);
}

}  // namespace tocsin::collector::status
