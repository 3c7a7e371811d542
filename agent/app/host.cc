#include "agent/app/host.h"

#include "common/base/strings.h"

#include <unistd.h>

#include <array>

namespace tocsin::agent {

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  return printable(name.data(), 128);
}

}  // namespace tocsin::agent
