#pragma once
// Question answered here: how is a TCP connection to one address begun, and how did it end?
//
// Functions on descriptors; waiting for writability is the caller's.

#include "common/base/expected.h"
#include "common/base/ip_address.h"
#include "common/io/fd.h"
#include "common/model/observation.h"

#include <optional>

namespace tocsin::io {

/// Begins a non-blocking connect; the descriptor becomes writable when it has ended either way.
/// Fails at once with self.descriptors, self.memory, or self.uplink (this machine has no route or
/// no free port), or with a connect.* reason.
tl::expected<Fd, Failure> start_connect(const IpAddress& address, std::uint16_t port);

/// Nothing is held back from here on to be sent with more (Nagle's algorithm, RFC 9293 section
/// 3.7.4). For connections that are written to more than once.
void send_without_delay(int fd);

/// Once writable: nothing if connected, else why not.
std::optional<Failure> connect_result(int fd, const IpAddress& address, std::uint16_t port);

/// This end of a connection; kIo when there is none.
Expected<IpAddress> local_address(int fd);

/// Makes close() reset the connection instead of leaving it in TIME_WAIT, where it would hold a
/// local port for a minute. For connections whose exchange is complete.
void close_by_reset(int fd);

}  // namespace tocsin::io
