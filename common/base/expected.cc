#include "common/base/expected.h"

#include <cerrno>
#include <cstring>

namespace tocsin {

const char* to_string(Errc code) {
  switch (code) {
    case Errc::kInvalid:
      return "invalid";
    case Errc::kNotFound:
      return "not_found";
    case Errc::kExists:
      return "exists";
    case Errc::kLimit:
      return "limit";
    case Errc::kIo:
      return "io";
    case Errc::kNoSpace:
      return "no_space";
    case Errc::kCorrupt:
      return "corrupt";
    case Errc::kTimeout:
      return "timeout";
    case Errc::kUnavailable:
      return "unavailable";
    case Errc::kDenied:
      return "denied";
    case Errc::kUnsupported:
      return "unsupported";
  }
  return "?";
}

Unexpected fail_errno(std::string_view what, int errno_value) {
  const bool full = errno_value == ENOSPC || errno_value == EDQUOT;
  return fail(full ? Errc::kNoSpace : Errc::kIo, "{}: {}", what, std::strerror(errno_value));
}

}  // namespace tocsin
