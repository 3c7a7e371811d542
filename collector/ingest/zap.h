#pragma once
// Question answered here: what does ZeroMQ ask before it lets a key in, and how is it answered?
//
// ZAP 1.0 (ZeroMQ RFC 27) as pure functions over message parts; the socket is in ingest.cc. The
// parts are those after the delimiter: version, request id, domain, address, identity, mechanism,
// credentials.

#include "common/base/bytes.h"
#include "common/base/expected.h"

#include <string>
#include <string_view>
#include <vector>

namespace tocsin::collector {

struct ZapRequest {
  std::string request_id;  ///< Opaque, echoed.
  std::string domain;
  std::string address;     ///< Of the peer, as ZeroMQ gives it; printable.
  std::string mechanism;   ///< "CURVE"
  std::string public_key;  ///< Z85, 40 characters; empty unless the mechanism is CURVE.

  friend bool operator==(const ZapRequest&, const ZapRequest&) = default;
};

/// kInvalid unless this is a ZAP 1.0 request with bounded fields and, for CURVE, a 32-byte key.
Expected<ZapRequest> parse_zap_request(const std::vector<Bytes>& parts);

/// Status 200 with a user id.
std::vector<Bytes> zap_accept(const std::string& request_id, const std::string& user_id);

/// Status 400. The text reaches only our own log: a peer is told nothing but that it failed.
std::vector<Bytes> zap_deny(const std::string& request_id, const std::string& text);

}  // namespace tocsin::collector
