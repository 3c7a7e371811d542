#pragma once
// Question answered here: how many connections may one server of this process hold?

#include <cstddef>

namespace tocsin::io {

/// Descriptors that connections never take: the store, the log, outgoing messages need theirs.
inline constexpr std::size_t kReservedDescriptors = 128;

/// Of what RLIMIT_NOFILE leaves beside kReservedDescriptors, the share of one of `servers`, but at
/// least `least`. Read once, when the server opens. Without a limit: a number that is never
/// reached.
std::size_t connections_share(std::size_t servers, std::size_t least);

}  // namespace tocsin::io
