#include "common/io/secret_file.h"

#include "common/base/strings.h"
#include "common/io/fd.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

namespace tocsin::io {

Expected<std::string> read_secret_file(const std::string& secrets_dir, const std::string& name) {
  if (name.find('/') != std::string::npos || name.empty() || name.front() == '.') {
    return fail(Errc::kInvalid, "secret file \"{}\": expected a plain name below {}",
                printable(name), secrets_dir);
  }
  std::string path = secrets_dir + "/" + name;
  Fd fd;
  if (const char* credentials = std::getenv("CREDENTIALS_DIRECTORY"); credentials != nullptr) {
    std::string handed = fmt::format("{}/secrets_{}", credentials, name);
    fd = Fd{::open(handed.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY)};
    if (fd) path = std::move(handed);
  }
  if (!fd) fd = Fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY)};
  if (!fd) return fail_errno("open secret file " + path, errno);
  std::array<char, kSecretFileBytesMax + 1> buffer{};
  std::string out;
  while (out.size() <= kSecretFileBytesMax) {
    const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("read secret file " + path, errno);
    if (n == 0) return out;
    out.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return fail(Errc::kLimit, "secret file {}: more than {} bytes", path, kSecretFileBytesMax);
}

}  // namespace tocsin::io
