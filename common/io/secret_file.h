#pragma once
// Question answered here: what does the secret file of that name say?

#include "common/base/expected.h"

#include <cstddef>
#include <string>

namespace tocsin::io {

inline constexpr std::size_t kSecretFileBytesMax = 64 * 1024;

/// Under a service manager that hands secrets over (systemd's `LoadCredential=secrets:DIR`) it is
/// `$CREDENTIALS_DIRECTORY/secrets_NAME`, and the file in `secrets_dir` where there is none. Read
/// anew for every send or check, so that a changed file needs no restart (a credential does).
/// kInvalid for a name with a slash or a leading dot, kLimit for a file that is too large; the
/// errors never quote the content.
Expected<std::string> read_secret_file(const std::string& secrets_dir, const std::string& name);

}  // namespace tocsin::io
