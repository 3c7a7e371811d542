#include "collector/app/state_dir.h"

#include "common/base/bytes.h"
#include "common/base/strings.h"
#include "common/io/file.h"
#include "common/io/random.h"

#include <cerrno>
#include <filesystem>
#include <sys/stat.h>
#include <vector>

namespace tocsin::collector {
namespace {

constexpr std::size_t kKeyFileMax = 256;

Expected<std::string> read_key_file(const std::string& path) {
  auto text = io::read_file(path, kKeyFileMax);
  if (!text && text.error().code == Errc::kNotFound) {
    return fail(Errc::kNotFound, "{} does not exist: run tocsin-collector init first", path);
  }
  if (!text) return Unexpected{text.error()};
  return std::string(trim(*text));
}

Expected<void> expect_private(const std::string& path) {
  struct stat info {};

  if (::stat(path.c_str(), &info) != 0) return fail_errno("look at " + path, errno);
  if ((info.st_mode & 0077) != 0) {
    return fail(Errc::kDenied, "{} has mode {:o}: others can read the key; run chmod 600 {}", path,
                info.st_mode & 0777, path);
  }
  return {};
}

}  // namespace

Expected<void> make_state_dir(const std::string& path) {
  TRY(io::make_directory(path));

  struct stat info {};

  if (::stat(path.c_str(), &info) != 0) return fail_errno("look at " + path, errno);
  if (!S_ISDIR(info.st_mode)) return fail(Errc::kInvalid, "{} is not a directory", path);
  if ((info.st_mode & 0077) != 0) {
    return fail(Errc::kDenied, "{} has mode {:o}: others can look into it; run chmod 700 {}", path,
                info.st_mode & 0777, path);
  }
  return {};
}

Expected<io::CurveKeyPair> make_keys(const std::string& public_path,
                                     const std::string& secret_path) {
  for (const std::string& path : {public_path, secret_path}) {
    if (std::filesystem::exists(path)) {
      return fail(Errc::kExists, "{} exists already: it is pinned by every enrolled agent", path);
    }
  }
  TRY_ASSIGN(io::CurveKeyPair keys, io::make_curve_keypair());
  const std::string secret = keys.secret_key.reveal() + "\n";
  TRY(io::replace_file(secret_path, as_bytes(secret)));
  TRY(io::replace_file(public_path, as_bytes(keys.public_key + "\n"), 0644));
  return keys;
}

Expected<io::CurveKeyPair> load_keys(const std::string& public_path,
                                     const std::string& secret_path) {
  TRY_ASSIGN(std::string public_key, read_key_file(public_path));
  TRY_ASSIGN(std::string secret_text, read_key_file(secret_path));
  const io::Secret secret(std::move(secret_text));
  TRY(expect_private(secret_path));
  const auto derived = io::curve_public_of(secret);
  if (!derived) return fail(Errc::kCorrupt, "{}: {}", secret_path, derived.error().text);
  if (*derived != public_key) {
    return fail(Errc::kCorrupt, "{} does not belong to {}: restore both from the same backup",
                public_path, secret_path);
  }
  return io::CurveKeyPair{std::move(public_key), secret};
}

Expected<io::Secret> load_or_make_key(const std::string& path, std::size_t size) {
  const auto text = io::read_file(path, kKeyFileMax);
  if (!text && text.error().code == Errc::kNotFound) {
    std::vector<std::uint8_t> bytes(size);
    io::fill_random(bytes);
    TRY(io::replace_file(path, as_bytes(to_base64(bytes) + "\n")));
    return io::Secret{std::string{as_view(bytes)}};
  }
  if (!text) return Unexpected{text.error()};
  TRY(expect_private(path));
  Bytes key;
  if (!from_base64(trim(*text), key) || key.size() != size) {
    return fail(Errc::kCorrupt,
                "{}: expected {} bytes in base64; without the file a new key is made", path, size);
  }
  return io::Secret{std::move(key)};
}

}  // namespace tocsin::collector
