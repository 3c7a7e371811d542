#pragma once
// Question answered here: what is a TLS alert called?

#include <cstdint>
#include <string>

namespace tocsin::io {

/// "handshake_failure (40)", by the registry of RFC 8446 section 6 and its predecessors; "alert
/// (200)" for a number that is not in it.
std::string tls_alert_text(std::uint8_t description);

}  // namespace tocsin::io
