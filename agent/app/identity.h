#pragma once
// Question answered here: who is this agent, and how does it prove it?
//
// STATE/identity.yaml (0600) is made by the enrolment and never changed by the agent.
// STATE/enrolment.pending (0600) holds a key pair that was offered to a collector whose answer is
// not known yet.

#include "common/base/expected.h"
#include "common/base/id.h"
#include "common/io/zmq_socket.h"

#include <string>
#include <vector>

namespace tocsin::agent {

struct Identity {
  AgentId agent;
  std::string region;
  io::CurveKeyPair keys;
  std::vector<std::string> endpoints;
  std::vector<std::string> server_keys;
};

/// kNotFound when this state directory was never enrolled.
Expected<Identity> load_identity(const std::string& path);
/// Durable on return.
Expected<void> store_identity(const std::string& path, const Identity& identity);

/// kNotFound when none is pending.
Expected<io::CurveKeyPair> load_pending_keys(const std::string& path);
Expected<void> store_pending_keys(const std::string& path, const io::CurveKeyPair& keys);

/// A YAML double-quoted scalar. Z85 may begin with any character that YAML gives a meaning.
std::string yaml_quoted(std::string_view text);
std::string yaml_quoted_list(const std::vector<std::string>& items);

}  // namespace tocsin::agent
