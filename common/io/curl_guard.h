#pragma once
// Question answered here: what do all users of libcurl share?
//
// The start of the library, and the one place where its sockets are asked whether they may be. The
// library's types stay out: its address structure is passed as family, type, protocol and sockaddr.

#include "common/base/expected.h"
#include "common/base/time.h"
#include "common/model/egress.h"

#include <string>

struct sockaddr;

namespace tocsin::io {

/// libcurl wants this once per process, before other threads use it. False: it does not start.
bool curl_ready();

/// At least one millisecond: to libcurl 0 means "for ever".
long curl_milliseconds(Duration d);

/// A non-blocking socket for an address that the policy allows, -1 when the system has none, or
/// kDenied. Asked with the address that is connected to: what a name meant earlier does not count.
/// `remote` becomes that address. The caller owns the descriptor.
Expected<int> open_allowed_socket(const EgressPolicy& egress, int family, int type, int protocol,
                                  const sockaddr& address, std::string& remote);

}  // namespace tocsin::io
