#pragma once
// Question answered here: what may somebody want of one attempt that no monitor can ask for?
//
// For callers that make attempts of their own (agent/compat). A monitor's attempts have none.

#include "agent/probe/dialogue.h"
#include "common/base/ip_address.h"
#include "common/io/tls_identity.h"
#include "common/io/tls_stream.h"

#include <cstdint>
#include <memory>
#include <optional>

namespace tocsin::agent {

struct ProbeWishes {
  /// The target's address: nothing is looked up for the first connection, and no other address is
  /// tried. The egress policy judges it as any other. Not for DNS over UDP or TCP.
  std::optional<IpAddress> address;
  io::TlsDetail tls_detail = io::TlsDetail::kLeaf;
  bool tls13_only = false;
  /// Shown to servers that ask, at the target's own origin. Null: none but the spec's.
  std::shared_ptr<const io::TlsIdentity> identity;
  /// What is said on a TCP connection instead of the spec's `send` and `expect`. Null: nothing.
  std::shared_ptr<const Dialogue> dialogue;

  struct Dns {
    std::uint16_t cls = 1;      ///< RFC 1035 section 3.2.4; 1: IN.
    bool all_sections = false;  ///< Authority and additional records are kept.
  };

  Dns dns;
};

}  // namespace tocsin::agent
