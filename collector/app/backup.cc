#include "collector/app/backup.h"

#include "collector/app/state_dir.h"
#include "collector/store/directory_lock.h"
#include "collector/store/sqlite_store.h"
#include "common/base/bytes.h"
#include "common/base/crash_point.h"
#include "common/base/digest.h"
#include "common/base/strings.h"
#include "common/codec/json.h"
#include "common/io/build_info.h"
#include "common/io/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <limits>
#include <sys/stat.h>

namespace tocsin::collector {
namespace {

namespace fs = std::filesystem;

using codec::Node;

constexpr const char* kManifest = "manifest.json";
constexpr int kFormat = 1;
constexpr std::size_t kManifestMax = 1 << 20;
constexpr std::size_t kPiece = 1 << 20;

/// Everything that is not the database itself, in use only while a collector runs, or ours.
Expected<std::vector<std::string>> plain_files(const std::string& directory) {
  std::vector<std::string> out;
  std::error_code error;
  for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (!at->is_regular_file() || name.starts_with(kSqliteFile) || name.ends_with(".tmp")) continue;
    out.push_back(name);
  }
  if (error) return fail(Errc::kIo, "list {}: {}", directory, error.message());
  std::sort(out.begin(), out.end());
  return out;
}

/// Reads `from` to its end; writes it to `to` unless that is empty.
Expected<BackupFile> read_through(const std::string& from, const std::string& to) {
  const io::Fd in(::open(from.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!in) return fail_errno("open " + from, errno);
  io::Fd out;
  if (!to.empty()) {
    struct stat info {};

    if (::fstat(in.get(), &info) != 0) return fail_errno("look at " + from, errno);
    out = io::Fd(::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, info.st_mode & 0777));
    if (!out) return fail_errno("create " + to, errno);
  }
  BackupFile file;
  file.name = fs::path(from).filename().string();
  Sha256Hasher hasher;
  std::vector<std::uint8_t> piece(kPiece);
  while (true) {
    const ssize_t n = ::read(in.get(), piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("read " + from, errno);
    if (n == 0) break;
    const ByteSpan bytes(piece.data(), static_cast<std::size_t>(n));
    hasher.add(bytes);
    file.bytes += bytes.size();
    if (out) TRY(io::write_all(out.get(), bytes, to));
  }
  if (out) TRY(io::sync_data(out.get(), to));
  file.sha256 = to_hex(hasher.finish());
  return file;
}

std::string print_manifest(const BackupInfo& info) {
  Node files = Node::list();
  for (const BackupFile& file : info.files) {
    files.items.push_back(
        Node::map({{"name", Node::string(file.name)},
                   {"bytes", Node::integer(static_cast<std::int64_t>(file.bytes))},
                   {"sha256", Node::string(file.sha256)}}));
  }
  return codec::print_json(Node::map({{"format", Node::integer(kFormat)},
                                      {"version", Node::string(info.version)},
                                      {"created_at", Node::string(format_rfc3339(info.created))},
                                      {"files", std::move(files)}}),
                           2) +
         "\n";
}

Expected<BackupInfo> parse_manifest(const std::string& path) {
  auto text = io::read_file(path, kManifestMax);
  if (!text && text.error().code == Errc::kNotFound) {
    return fail(Errc::kNotFound, "there is no {}: this is no backup, or one that did not finish",
                path);
  }
  if (!text) return Unexpected{text.error()};
  const auto damaged = [&](std::string_view what) {
    return fail(Errc::kCorrupt, "{} is damaged: {}", path, what);
  };
  const auto tree = codec::parse_json(*text);
  if (!tree) return damaged(tree.error().text);
  std::vector<FieldError> errors;
  codec::MapReader reader(*tree, "", errors);
  BackupInfo out;
  int format = 0;
  std::string created;
  reader.integer("format", 1, std::numeric_limits<int>::max(), format);
  if (format > kFormat) {
    return fail(Errc::kUnsupported, "{} has format {}, this version knows {}", path, format,
                kFormat);
  }
  reader.text("version", out.version);
  reader.text("created_at", created);
  const Node* files = reader.child("files");
  if (files == nullptr || files->kind != Node::Kind::kList) return damaged("files is missing");
  for (const Node& item : files->items) {
    codec::MapReader entry(item, "files", errors);
    BackupFile file;
    std::int64_t bytes = 0;
    entry.text("name", file.name);
    entry.integer64("bytes", 0, std::numeric_limits<std::int64_t>::max(), bytes);
    entry.text("sha256", file.sha256);
    file.bytes = static_cast<std::uint64_t>(bytes);
    if (file.name.empty() || file.name.find('/') != std::string::npos || file.name[0] == '.') {
      return damaged(fmt::format("\"{}\" is no name of a file", printable(file.name, 64)));
    }
    out.files.push_back(std::move(file));
  }
  if (!errors.empty()) return damaged(errors.front().path + ": " + errors.front().text);
  const auto when = parse_rfc3339(created);
  if (!when) return damaged(when.error().text);
  out.created = *when;
  return out;
}

Expected<void> make_empty(const std::string& directory) {
  std::error_code error;
  fs::remove_all(directory, error);
  if (error) return fail(Errc::kIo, "remove {}: {}", directory, error.message());
  return io::make_directory(directory);
}

Expected<void> move_file(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return fail_errno("rename " + from, errno);
  return {};
}

/// A name that nothing has: two restores within a second must not move one state over the other.
std::string unused_name(const std::string& wanted) {
  std::string name = wanted;
  for (int i = 2; fs::exists(name); ++i) name = fmt::format("{}-{}", wanted, i);
  return name;
}

/// What root writes into somebody's state directory becomes theirs.
Expected<void> give_to_owner_of(const std::string& directory, const std::string& path) {
  if (::geteuid() != 0) return {};

  struct stat owner {};

  if (::stat(directory.c_str(), &owner) != 0) return fail_errno("look at " + directory, errno);
  if (::lchown(path.c_str(), owner.st_uid, owner.st_gid) != 0) {
    return fail_errno("change the owner of " + path, errno);
  }
  return {};
}

/// The database with its log, and the plain files.
Expected<std::vector<std::string>> present(const std::string& state_dir) {
  TRY_ASSIGN(std::vector<std::string> out, plain_files(state_dir));
  for (const char* suffix : {"", "-wal", "-shm"}) {
    std::string name = fmt::format("{}{}", kSqliteFile, suffix);
    if (fs::exists(fmt::format("{}/{}", state_dir, name))) out.push_back(std::move(name));
  }
  return out;
}

}  // namespace

Expected<void> expect_no_restore(const std::string& state_dir) {
  const std::string partial = state_dir + "/" + kRestoreUnderWay;
  if (!fs::exists(partial)) return {};
  return fail(Errc::kCorrupt,
              "{} exists: a restore did not finish; run tocsin-collector restore again", partial);
}

Expected<BackupInfo> make_backup(const std::string& state_dir, std::string target, WallTime now) {
  while (target.size() > 1 && target.ends_with('/')) target.pop_back();
  if (fs::exists(target)) {
    return fail(Errc::kExists, "{} exists: name a directory that does not", target);
  }
  const std::string database = state_dir + "/" + kSqliteFile;
  if (!fs::exists(database)) {
    return fail(Errc::kNotFound, "there is no {}: nothing to back up", database);
  }
  const std::string partial = target + ".partial";
  TRY(make_empty(partial));
  BackupInfo info;
  info.version = io::version();
  info.created = now;
  TRY_ASSIGN(const std::vector<std::string> names, plain_files(state_dir));
  for (const std::string& name : names) {
    TRY_ASSIGN(BackupFile file, read_through(fmt::format("{}/{}", state_dir, name),
                                             fmt::format("{}/{}", partial, name)));
    info.files.push_back(std::move(file));
  }
  const std::string copy = partial + "/" + kSqliteFile;
  TRY(copy_database(database, copy));
  TRY_ASSIGN(info.database, verify_database(copy));
  TRY_ASSIGN(BackupFile file, read_through(copy, {}));
  info.files.push_back(std::move(file));
  TRY(io::replace_file(partial + "/" + kManifest, as_bytes(print_manifest(info))));
  TOCSIN_CRASH_POINT("app.backup.publish");
  TRY(move_file(partial, target));
  TRY(io::sync_directory(io::directory_of(target)));
  return info;
}

Expected<BackupInfo> verify_backup(const std::string& directory) {
  TRY_ASSIGN(BackupInfo info, parse_manifest(directory + "/" + kManifest));
  for (const BackupFile& file : info.files) {
    const std::string path = directory + "/" + file.name;
    TRY_ASSIGN(const BackupFile found, read_through(path, {}));
    if (found.bytes != file.bytes || found.sha256 != file.sha256) {
      return fail(Errc::kCorrupt, "{} is not what was saved: {} bytes, SHA-256 {}; expected {}, {}",
                  path, found.bytes, found.sha256, file.bytes, file.sha256);
    }
  }
  const bool has_database =
      std::any_of(info.files.begin(), info.files.end(),
                  [](const BackupFile& file) { return file.name == kSqliteFile; });
  if (!has_database) return fail(Errc::kCorrupt, "{}: no {} in it", directory, kSqliteFile);
  TRY_ASSIGN(info.database, verify_database(directory + "/" + kSqliteFile));
  return info;
}

Expected<Restored> restore_backup(const std::string& directory, const std::string& state_dir,
                                  bool replace, WallTime now) {
  Restored out;
  TRY_ASSIGN(out.backup, verify_backup(directory));
  TRY(make_state_dir(state_dir));
  TRY_ASSIGN(const DirectoryLock lock, DirectoryLock::take(state_dir));
  TRY_ASSIGN(const std::vector<std::string> before, present(state_dir));
  const std::string partial = state_dir + "/" + kRestoreUnderWay;
  if (!before.empty() && !replace && !fs::exists(partial)) {
    return fail(Errc::kExists,
                "{} holds a collector's state already ({}): with --replace it is moved aside",
                state_dir, before.front());
  }
  // From here until it is gone again nobody serves from this directory.
  TRY(make_empty(partial));
  TRY(give_to_owner_of(state_dir, partial));
  TRY(io::sync_directory(state_dir));
  for (const BackupFile& file : out.backup.files) {
    const std::string to = partial + "/" + file.name;
    TRY_ASSIGN(const BackupFile copied, read_through(directory + "/" + file.name, to));
    if (copied.sha256 != file.sha256) {
      return fail(Errc::kCorrupt, "{}/{} changed while it was copied", directory, file.name);
    }
    TRY(give_to_owner_of(state_dir, to));
  }
  TRY(io::sync_directory(partial));
  TOCSIN_CRASH_POINT("app.restore.copied");
  if (!before.empty()) {
    std::string stamp = format_rfc3339(now).substr(0, 19);
    std::erase_if(stamp, [](char c) { return c == ':' || c == '-'; });
    out.kept = unused_name(fmt::format("{}/before-restore-{}Z", state_dir, stamp));
    TRY(io::make_directory(out.kept));
    TRY(give_to_owner_of(state_dir, out.kept));
    for (const std::string& name : before) {
      TRY(move_file(fmt::format("{}/{}", state_dir, name), fmt::format("{}/{}", out.kept, name)));
    }
    TRY(io::sync_directory(out.kept));
    TRY(io::sync_directory(state_dir));
  }
  TOCSIN_CRASH_POINT("app.restore.moved");
  for (const BackupFile& file : out.backup.files) {
    TRY(move_file(partial + "/" + file.name, state_dir + "/" + file.name));
  }
  TRY(io::sync_directory(state_dir));
  if (::rmdir(partial.c_str()) != 0) return fail_errno("remove " + partial, errno);
  TRY(io::sync_directory(state_dir));
  return out;
}

}  // namespace tocsin::collector
