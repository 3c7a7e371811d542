#pragma once
// Question answered here: which proxy did the agent's owner name?

#include <cstdint>
#include <string>

namespace tocsin::agent {

/// A proxy that the agent's owner named; monitors refer to it.
struct ProxySettings {
  std::string name;
  std::string host;
  bool host_is_address = false;
  std::uint16_t port = 0;
  std::string username;       ///< Empty: no credentials.
  std::string secret_file;    ///< The password's.
  std::string password = {};  ///< Without a file; from a file that may hold it (blackbox.yml).

  friend bool operator==(const ProxySettings&, const ProxySettings&) = default;
};

}  // namespace tocsin::agent
