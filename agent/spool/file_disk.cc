#include "agent/spool/file_disk.h"

#include "common/base/check.h"
#include "common/base/crash_point.h"
#include "common/io/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <sys/stat.h>
#include <sys/statvfs.h>

namespace tocsin::agent {

namespace {

constexpr std::string_view kTemporary = ".tmp";
constexpr std::string_view kCorrupt = ".corrupt";

bool is_name(std::string_view s) {
  return !s.empty() && s.front() != '.' &&
         s.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-") == std::string_view::npos;
}

Unexpected failed(std::string_view verb, std::string_view path) {
  const int error = errno;
  return fail_errno(fmt::format("{} {}", verb, path), error);
}

/// Every name in the directory that is ours.
Expected<std::vector<std::string>> names_in(const std::string& directory) {
  DIR* dir = ::opendir(directory.c_str());
  if (dir == nullptr) return failed("list", directory);
  std::vector<std::string> out;
  while (const dirent* entry = ::readdir(dir)) {
    if (is_name(entry->d_name)) out.emplace_back(entry->d_name);
  }
  ::closedir(dir);
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

Expected<std::unique_ptr<FileDisk>> FileDisk::open(io::EventLoop& loop, std::string directory) {
  TRY(io::make_directory(directory, io::kPrivateDirectory));
  TRY_ASSIGN(const auto names, names_in(directory));
  for (const std::string& name : names) {
    if (!name.ends_with(kTemporary)) continue;
    const std::string path = fmt::format("{}/{}", directory, name);
    if (::unlink(path.c_str()) != 0) return failed("remove", path);
  }
  return std::unique_ptr<FileDisk>(new FileDisk(loop, std::move(directory)));
}

FileDisk::FileDisk(io::EventLoop& loop, std::string directory)
    : directory_(std::move(directory)),
      jobs_(kSyncsMax),
      finished_(kSyncsMax),
      finished_watch_(
          loop.watch(finished_.fd(), io::Interest::kRead, [this](io::Interest) { report(); })),
      worker_([this] { work(); }) {}

FileDisk::~FileDisk() {
  jobs_.close();
  worker_.join();
}

std::string FileDisk::path_of(const std::string& name) const {
  CHECK(is_name(name));
  return directory_ + "/" + name;
}

Expected<std::vector<Disk::File>> FileDisk::list() {
  TRY_ASSIGN(const auto names, names_in(directory_));
  std::vector<File> out;
  for (const std::string& name : names) {
    if (name.ends_with(kTemporary) || name.ends_with(kCorrupt)) continue;

    struct stat st {};

    const std::string path = path_of(name);
    if (::stat(path.c_str(), &st) != 0) return failed("look at", path);
    if (!S_ISREG(st.st_mode)) continue;
    out.push_back({name, static_cast<std::uint64_t>(st.st_size)});
  }
  return out;
}

Expected<FileDisk::Entry*> FileDisk::entry(const std::string& name, bool create) {
  const auto known = open_.find(name);
  if (known != open_.end()) {
    known->second.used = ++uses_;
    return &known->second;
  }
  const std::string path = path_of(name);
  constexpr int kFlags = O_RDWR | O_APPEND | O_CLOEXEC;
  io::Fd fd(::open(path.c_str(), kFlags));
  if (!fd && errno == ENOENT) {
    if (!create) return fail(Errc::kNotFound, "there is no file {}", path);
    fd.reset(::open(path.c_str(), kFlags | O_CREAT, io::kPrivateFile));
    if (fd) directory_changed_ = true;
  }
  if (!fd) return failed("open", path);
  if (open_.size() >= kOpenMax) close_oldest();
  Entry made;
  made.file = std::make_shared<const OpenFile>(OpenFile{name, std::move(fd)});
  made.used = ++uses_;
  return &open_.emplace(name, std::move(made)).first->second;
}

void FileDisk::close_oldest() {
  auto oldest = open_.end();
  for (auto at = open_.begin(); at != open_.end(); ++at) {
    if (at->second.written != at->second.synced) continue;
    if (oldest == open_.end() || at->second.used < oldest->second.used) oldest = at;
  }
  if (oldest != open_.end()) open_.erase(oldest);
}

Expected<void> FileDisk::append(const std::string& name, ByteSpan bytes) {
  TRY_ASSIGN(auto* const file, entry(name, true));
  // Counted before the outcome is known: a torn tail needs its descriptor as well.
  file->written += bytes.size();
  TRY(io::write_all(file->file->fd.get(), bytes, path_of(name)));
  return {};
}

void FileDisk::sync(std::vector<std::string> names, Synced done) {
  Job job;
  job.number = next_job_++;
  job.directory = std::exchange(directory_changed_, false);
  Waiting waiting{std::move(done), {}};
  for (const std::string& name : names) {
    // A file that cannot be opened any more has lost what the caller wants to keep.
    const auto file = entry(name, false);
    if (!file) {
      CHECK(finished_.push(Done{job.number, Unexpected(file.error())}));
      directory_changed_ = directory_changed_ || job.directory;
      waiting_.emplace(job.number, std::move(waiting));
      return;
    }
    job.files.push_back((*file)->file);
    waiting.covers.emplace_back(name, (*file)->written);
  }
  waiting_.emplace(job.number, std::move(waiting));
  CHECK(jobs_.push(std::move(job)));
}

void FileDisk::work() {
  while (true) {
    const auto job = jobs_.pop(std::chrono::seconds{60});
    if (!job) {
      if (jobs_.closed()) return;
      continue;
    }
    // Both boxes have the same size and no more jobs than that are under way: it fits.
    CHECK(finished_.push(Done{job->number, carry_out(*job)}));
  }
}

Expected<void> FileDisk::carry_out(const Job& job) const {
  TOCSIN_CRASH_POINT("disk.sync.before");
  for (const auto& file : job.files) {
    TRY(io::sync_data(file->fd.get(), directory_ + "/" + file->name));
  }
  if (job.directory) TRY(io::sync_directory(directory_));
  TOCSIN_CRASH_POINT("disk.sync.after");
  return {};
}

void FileDisk::report() {
  const auto done = finished_.try_pop();  // One per call: the callback may destroy this object.
  if (!done) return;
  const auto at = waiting_.find(done->number);
  CHECK(at != waiting_.end());
  const Waiting waiting = std::move(at->second);
  waiting_.erase(at);
  for (const auto& [name, written] : waiting.covers) {
    const auto file = open_.find(name);
    if (file == open_.end()) continue;
    // After a failure the descriptor is of no use: the caller goes on in a new file.
    if (!done->result) {
      file->second.synced = file->second.written;
    } else {
      file->second.synced = std::max(file->second.synced, written);
    }
  }
  if (!done->result) directory_changed_ = true;
  waiting.done(done->result);
}

Expected<Bytes> FileDisk::read(const std::string& name, std::uint64_t offset, std::size_t size) {
  TRY_ASSIGN(auto* const file, entry(name, false));
  Bytes out(size, '\0');
  std::size_t got = 0;
  while (got < size) {
    const ssize_t n = ::pread(file->file->fd.get(), out.data() + got, size - got,
                              static_cast<off_t>(offset + got));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed("read", path_of(name));
    if (n == 0) break;
    got += static_cast<std::size_t>(n);
  }
  out.resize(got);
  return out;
}

Expected<void> FileDisk::unlink(const std::string& name) {
  open_.erase(name);
  const std::string path = path_of(name);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return failed("remove", path);
  return {};
}

Expected<void> FileDisk::replace(const std::string& name, ByteSpan bytes) {
  open_.erase(name);
  return io::replace_file(path_of(name), bytes);
}

Expected<void> FileDisk::quarantine(const std::string& name) {
  open_.erase(name);
  const std::string path = path_of(name);
  if (::rename(path.c_str(), (path + std::string(kCorrupt)).c_str()) != 0) {
    return failed("rename", path);
  }
  return {};
}

std::uint64_t FileDisk::free_bytes() {
  struct statvfs st {};

  if (::statvfs(directory_.c_str(), &st) != 0) return 0;
  const std::uint64_t free = static_cast<std::uint64_t>(st.f_bavail) * st.f_frsize;
  return free > kFreeReserve ? free - kFreeReserve : 0;
}

}  // namespace tocsin::agent
