#pragma once
// Question answered here: what does the secret file of that name say?

#include "common/base/expected.h"

#include <cstddef>
#include <string>

namespace tocsin::collector {

inline constexpr std::size_t kSecretFileBytesMax = 4096;

/// Read anew for every send, so that a changed secret needs no restart. kInvalid for a name with a
/// slash or a leading dot, kLimit for a file that is too large; the errors never quote the content.
Expected<std::string> read_secret_file(const std::string& secrets_dir, const std::string& name);

}  // namespace tocsin::collector
