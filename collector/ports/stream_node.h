#pragma once
// Question answered here: how are the targets of TCP and TLS monitors written down?
//
// For monitor_node.cc alone; the form is in catalog_node.h.

#include "common/codec/node.h"
#include "common/model/monitor_spec.h"

namespace tocsin::collector {

/// Keys that only these types have.
inline constexpr const char* kStreamKeys[] = {"send",        "expect", "starttls",
                                              "server_name", "alpn",   "min_version"};

TcpTarget read_tcp_target(codec::MapReader& reader);
TlsTarget read_tls_target(codec::MapReader& reader);

void set_tcp_target(codec::Node& out, const TcpTarget& tcp);
void set_tls_target(codec::Node& out, const TlsTarget& tls);

}  // namespace tocsin::collector
