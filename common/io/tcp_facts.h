#pragma once
// Question answered here: what does the kernel know of a TCP connection?

#include "common/base/boxed.h"
#include "common/model/observation.h"

namespace tocsin::io {

/// As tcp(7) TCP_INFO has it now; nothing when this is no TCP socket. One system call.
Boxed<TcpFacts> tcp_facts(int fd);

}  // namespace tocsin::io
