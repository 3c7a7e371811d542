#pragma once
// Question answered here: where do clients of our own servers connect to?

#include "common/base/expected.h"
#include "common/base/ip_address.h"
#include "common/io/fd.h"

#include <cstdint>
#include <optional>
#include <string>

struct sockaddr_storage;

namespace tocsin::io {

/// Listens, non-blocking. "127.0.0.1:7400", "[::1]:0", "*:7400" (every IPv4 address); port 0 takes
/// a free one. kInvalid for an address that is none, kExists when it is taken, both with the
/// address in the text; kIo otherwise.
Expected<Fd> listen_on(const std::string& address);

/// Of a listening or connected socket.
std::uint16_t local_port(int fd);

/// What accept4 wrote; nothing for another family. An IPv4-mapped address becomes IPv4.
std::optional<IpAddress> address_of(const sockaddr_storage& storage);

}  // namespace tocsin::io
