#pragma once
// Question answered here: how is the target of an http monitor written, in YAML and JSON?

#include "common/codec/node.h"
#include "common/model/monitor_spec.h"

#include <array>
#include <vector>

namespace tocsin::collector {

/// Every key that only http monitors have, and those they share.
inline constexpr std::array kHttpKeys{"url",
                                      "method",
                                      "headers",
                                      "body",
                                      "body_base64",
                                      "redirects",
                                      "verify",
                                      "ca",
                                      "auth",
                                      "http",
                                      "server_name",
                                      "resolver",
                                      "allow_downgrade",
                                      "proxy",
                                      "client_certificate",
                                      "client_key",
                                      "connection",
                                      "body_max",
                                      "ocsp"};

/// Shapes only; the rules are those of validate().
HttpTarget read_http_target(codec::MapReader& reader, std::vector<FieldError>& errors);

/// What read_http_target reads back as the same value; defaults that nobody writes are left out.
void set_http_target(codec::Node& out, const HttpTarget& http);

}  // namespace tocsin::collector
