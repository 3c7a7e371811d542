#pragma once
// Question answered here: what did the operator write into the agent's file?
//
// Read strictly: an unknown key is an error with a suggestion, and all errors are reported at once
// as FILE:LINE:COLUMN. Environment variables TOCSIN_* override single keys; their values are read
// as YAML, so that TOCSIN_RESOLVERS='[192.0.2.1, 192.0.2.2]' is a list. docs/operations.md lists
// every key.

#include "agent/core/conductor.h"
#include "agent/probe/proxy_settings.h"
#include "common/base/expected.h"
#include "common/base/time.h"
#include "common/codec/node.h"
#include "common/io/log.h"
#include "common/model/egress.h"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::agent {

/// `probe`: blackbox_exporter's /probe on this agent.
struct ProbeEndpoint {
  std::string listen = "127.0.0.1:9115";
  std::string modules_file;  ///< Its blackbox.yml; empty: its default modules.

  friend bool operator==(const ProbeEndpoint&, const ProbeEndpoint&) = default;
};

struct AgentConfig {
  static constexpr std::size_t kEndpointsMax = 16;
  static constexpr std::size_t kProxiesMax = 64;
  static constexpr Duration kAnchorIntervalMin = std::chrono::seconds{5};
  static constexpr Duration kAnchorIntervalMax = std::chrono::minutes{5};
  static constexpr std::int64_t kSpoolMin = 8LL << 20;
  static constexpr std::int64_t kSpoolMax = 1LL << 40;

  std::string region;                    ///< Empty: the one the agent was enrolled for.
  std::vector<std::string> endpoints;    ///< Empty: those of the enrolment.
  std::vector<std::string> server_keys;  ///< Empty: those of the enrolment.
  std::string state_dir;                 ///< Default /var/lib/tocsin-agent/REGION.
  std::int64_t spool_bytes_max = 256LL << 20;
  std::string listen = "127.0.0.1:7402";  ///< /metrics, /healthz, /readyz.
  EgressPolicy egress;
  int max_in_flight = 1000;
  int max_in_flight_per_target = 4;
  std::string secrets_dir = "/etc/tocsin/secrets";
  std::vector<ProxySettings> proxies;  ///< That monitors may name; at most kProxiesMax.
  std::vector<std::string> resolvers;  ///< "ADDRESS" or "ADDRESS:PORT"; empty: the system's.
  std::optional<ProbeEndpoint> probe;  ///< Nothing: off.
  std::vector<Anchor> anchors;         ///< At most Conductor::kAnchorsMax.
  Duration anchor_interval = std::chrono::seconds{15};
  Duration shutdown_grace = std::chrono::seconds{25};
  log::Options log;

  std::string file;                                       ///< Where it was read from.
  std::map<std::string, codec::Mark, std::less<>> marks;  ///< Of the top keys that were given.
  std::map<std::string, std::string, std::less<>> overridden_by;  ///< Top key to variable.

  /// "agent.yaml:3:9" for a key that was written, the variable's name when one set it, or
  /// "agent.yaml (default)".
  std::string where(std::string_view key) const;

  std::string identity_path() const { return state_dir + "/identity.yaml"; }

  std::string pending_path() const { return state_dir + "/enrolment.pending"; }

  std::string spool_path() const { return state_dir + "/spool"; }

  std::string assignment_path() const { return state_dir + "/assignment.bin"; }

  /// See Conductor::Options::slots_done: microseconds, decimal.
  std::string slots_done_path() const { return state_dir + "/slots-done"; }

  std::string lock_path() const { return state_dir + "/lock"; }
};

/// Looks up an environment variable; a function so that tests need no real environment.
using Environment = std::function<std::optional<std::string>(const char* name)>;

/// The process's own.
std::optional<std::string> process_environment(const char* name);

/// The configuration, or every error, one line each, ready to print.
tl::expected<AgentConfig, std::vector<std::string>> read_agent_config(
    const codec::Node& tree, const std::string& file, const Environment& environment);

/// read_agent_config of a file.
tl::expected<AgentConfig, std::vector<std::string>> load_agent_config(
    const std::string& file, const Environment& environment);

/// "tcp://host:7401" with a port from 1 to 65535.
bool is_collector_endpoint(std::string_view text);

/// Bytes: a whole number, or one with KiB, MiB or GiB.
Expected<std::int64_t> parse_bytes(std::string_view text);

}  // namespace tocsin::agent
