#include "common/io/descriptors.h"

#include <algorithm>
#include <limits>
#include <sys/resource.h>

namespace tocsin::io {

std::size_t connections_share(std::size_t servers, std::size_t least) {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY) {
    return std::numeric_limits<std::size_t>::max();
  }
  const auto room = static_cast<std::size_t>(files.rlim_cur);
  const std::size_t left = room > kReservedDescriptors ? room - kReservedDescriptors : 0;
  return std::max(left / servers, least);
}

}  // namespace tocsin::io
