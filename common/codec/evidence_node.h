#pragma once
// Question answered here: how are facts of a connection written for programs?
//
// One form for `tocsin-agent check --json`, the API and webhooks.

#include "common/codec/node.h"
#include "common/model/observation.h"

namespace tocsin::codec {

/// version cipher group alpn server_name verified subject issuer not_before not_after
/// chain_not_after chain_size chain problems alert_received alert_sent, and, when it was asked for,
/// ocsp: {status this_update next_update}. Times are RFC 3339, null
/// when unknown; texts are empty when there is nothing to say.
Node tls_node(const TlsFacts& tls);

/// state rtt_us rtt_variation_us retransmissions unacknowledged_segments bytes_acknowledged
/// bytes_received mss path_mtu. rtt_us and its variation are null when nothing was measured.
Node tcp_node(const TcpFacts& tcp);

}  // namespace tocsin::codec
