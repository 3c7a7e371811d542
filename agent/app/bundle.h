#pragma once
// Question answered here: what is in an enrolment bundle?
//
// What `tocsin-collector enroll` prints: a YAML map with
//   tocsin_enrolment: 1
//   endpoints: ["tcp://collector.example:7401"]
//   server_keys: [Z85]        the collector's public keys: the current one, and the next if any
//   region: eu-west
//   agent: UUID               only when it renews the key of an agent that exists
//   public_key: Z85           of a key pair that works once, for one Enrol
//   secret_key: Z85
//   expires: RFC 3339

#include "common/base/expected.h"
#include "common/base/id.h"
#include "common/base/time.h"
#include "common/io/zmq_socket.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::agent {

struct Bundle {
  std::vector<std::string> endpoints;
  std::vector<std::string> server_keys;
  std::string region;
  std::optional<AgentId> agent;
  io::CurveKeyPair keys;
  WallTime expires;
};

/// Every error, one line each. `name` stands in them.
tl::expected<Bundle, std::vector<std::string>> parse_bundle(std::string_view text,
                                                            std::string_view name);

}  // namespace tocsin::agent
