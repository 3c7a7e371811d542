#pragma once
// Question answered here: what does a blackbox.yml ask of a probe?
//
// The file of blackbox_exporter 0.23.0 (its CONFIGURATION.md), read strictly: an unknown key or a
// value of the wrong kind is an error with line and column, and all errors are reported at once. A
// module that is right but asks for what this agent does not do (a prober such as icmp, a field
// such as oauth2) does not keep the others from working: it is loaded with the reason, the reason
// is a notice, and whoever probes with it is told.

#include "agent/probe/dialogue.h"
#include "agent/probe/proxy_settings.h"
#include "common/assert/regex.h"
#include "common/base/time.h"
#include "common/codec/node.h"
#include "common/io/secret.h"
#include "common/model/monitor_spec.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::agent {

enum class Prober : std::uint8_t { kHttp, kTcp, kDns };

const char* to_string(Prober prober);

/// Which of a name's addresses is used.
struct AddressChoice {
  IpFamily preferred = IpFamily::kV6;
  bool fallback = true;  ///< The other family will do.
};

/// A secret that stands in the file, or the name of the file that it stands in.
struct SecretSource {
  io::Secret text;
  std::string file;  ///< Empty: `text` is it.

  bool given() const { return !file.empty() || !text.empty(); }
};

struct BlackboxTls {
  bool verify = true;
  std::string ca_file;  ///< These three: paths; empty: none.
  std::string cert_file;
  std::string key_file;
  std::string server_name;
  bool tls13_only = false;
};

struct HeaderRule {
  std::string name;  ///< Lower case.
  assertion::Regex pattern;
  bool allow_missing = false;
};

struct BlackboxHttp {
  std::vector<int> valid_status_codes;           ///< Empty: 200 to 299.
  std::vector<std::string> valid_http_versions;  ///< "HTTP/2.0"; empty: any.
  std::string method = "GET";
  std::vector<Header> headers;
  std::uint64_t body_size_limit = 0;  ///< Bytes; 0: none.
  std::string compression;            ///< gzip, br or deflate; empty: the body is as it came.
  bool follow_redirects = true;
  bool fail_if_ssl = false;
  bool fail_if_not_ssl = false;
  std::vector<assertion::Regex> body_must_not_match;
  std::vector<assertion::Regex> body_must_match;
  std::vector<HeaderRule> header_must_not_match;
  std::vector<HeaderRule> header_must_match;
  std::string username;
  SecretSource password;  ///< With `username`: basic authentication.
  std::string scheme;     ///< "Bearer"; of `credentials`.
  SecretSource credentials;
  std::string proxy;  ///< A name among BlackboxModules::proxies; empty: none.
  bool skip_resolve_phase_with_proxy = false;
  bool http2 = true;
  std::string body;
};

struct RecordRules {
  std::vector<assertion::Regex> fail_if_matches;
  std::vector<assertion::Regex> fail_if_all_match;
  std::vector<assertion::Regex> fail_if_not_matches;
  std::vector<assertion::Regex> fail_if_none_matches;
};

struct BlackboxDns {
  std::string query_name;
  DnsType query_type{255};  ///< Any number; 255: ANY.
  std::uint16_t query_class = 1;
  std::string class_name = "IN";
  DnsTransport transport = DnsTransport::kUdp;
  bool recursion = true;
  std::vector<std::string> valid_rcodes;  ///< Empty: NOERROR.
  RecordRules answers;
  RecordRules authorities;
  RecordRules additionals;
};

/// Immutable once read; shared by the probes that run with it, because a reload may replace it.
struct BlackboxModule {
  std::string name;
  Prober prober = Prober::kHttp;
  Duration timeout{0};  ///< 0: none of its own.
  AddressChoice choice;
  BlackboxTls tls;
  BlackboxHttp http;                         ///< Only kHttp.
  std::shared_ptr<const Dialogue> dialogue;  ///< Only kTcp.
  BlackboxDns dns;                           ///< Only kDns.
  std::string unsupported;  ///< Why this agent cannot run it, with file, line and column.
  codec::Node source;       ///< As written, secrets as "<secret>".
};

struct BlackboxModules {
  static constexpr std::size_t kModulesMax = 1000;
  static constexpr std::size_t kPatternsMax = 100;  ///< Of one list.

  std::map<std::string, std::shared_ptr<const BlackboxModule>, std::less<>> modules;
  std::vector<ProxySettings> proxies;
  std::vector<std::string> notices;  ///< One line for each module that cannot be run.
};

/// `file` names the tree in errors; relative paths in it are below its directory. The modules, or
/// every error, one line each.
tl::expected<BlackboxModules, std::vector<std::string>> read_blackbox_modules(
    const codec::Node& tree, const std::string& file);

/// read_blackbox_modules of a file; of what blackbox_exporter's package has by default when `path`
/// is empty.
tl::expected<BlackboxModules, std::vector<std::string>> load_blackbox_modules(
    const std::string& path);

}  // namespace tocsin::agent
