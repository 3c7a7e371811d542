#pragma once
// Question answered here: what did the operator write into collector.yaml?
//
// Read strictly: an unknown key is an error with a suggestion, and all errors are reported at once
// as FILE:LINE:COLUMN. Environment variables TOCSIN_* override single keys. docs/operations.md
// lists every key.

#include "collector/core/catalog.h"
#include "common/base/expected.h"
#include "common/base/ip_address.h"
#include "common/codec/node.h"
#include "common/io/smtp_client.h"
#include "common/model/egress.h"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::collector {

/// An address and port to listen on.
struct ListenAddress {
  std::string host;
  std::uint16_t port = 0;

  friend bool operator==(const ListenAddress&, const ListenAddress&) = default;

  std::string str() const;  ///< IPv6 in brackets.
};

/// "127.0.0.1:7400", "[::1]:7400"; port 0 lets the system choose (tests).
Expected<ListenAddress> parse_listen_address(std::string_view text);

/// It stands in every message; also bounds the size of those that list many.
inline constexpr std::size_t kPublicUrlBytesMax = 200;

enum class StoreType : std::uint8_t { kSqlite, kMemory };

/// The mail server that channels of type email use.
struct SmtpConfig {
  std::string host;
  std::uint16_t port = 587;  ///< The default of `tls: implicit` is 465.
  io::SmtpTls tls = io::SmtpTls::kRequired;
  std::string username;       ///< Empty: no AUTH.
  std::string password_file;  ///< Name below secrets_dir.
  std::string from;           ///< Sender of every mail.
  std::string ca_file;        ///< Empty: the system's roots.

  friend bool operator==(const SmtpConfig&, const SmtpConfig&) = default;
};

/// What the HTTP server may be told beside where it listens.
struct HttpConfig {
  std::string certificate;  ///< PEM, with its chain. Empty: plain HTTP.
  std::string key;          ///< PEM.
  int connections_max = 1024;
  int connections_per_address = 256;
  int streams_max = 512;
  std::vector<IpBlock> trusted_proxies;

  friend bool operator==(const HttpConfig&, const HttpConfig&) = default;
};

struct CollectorConfig {
  ListenAddress listen{"127.0.0.1", 7400};  ///< API, status pages, metrics.
  HttpConfig http;
  std::string agents = "tcp://*:7401";  ///< ZeroMQ endpoint; `*` also as port (tests).
  std::string state_dir = "/var/lib/tocsin-collector";
  StoreType store = StoreType::kSqlite;
  std::string secrets_dir = "/etc/tocsin/secrets";
  std::string monitors_file;  ///< Empty: none.
  /// How people reach us, without a slash at the end; empty: at `listen`.
  std::string public_url;
  std::optional<SmtpConfig> smtp;  ///< None: e-mail cannot be sent.
  /// Where webhooks and the mail server may be. The default lets them go anywhere but to a cloud's
  /// metadata service: destinations are written by the same person as this file.
  EgressPolicy egress = *EgressPolicy::parse("private", {"0.0.0.0/0", "::/0"}, {});
  /// Told by webhook when the store cannot be written; none: an empty url.
  ChannelSpec fallback_channel;
  std::string log_level = "info";  ///< `log: info`, or `log: {level: info, format: text}`.
  std::string log_format = "text";

  std::string file;                                       ///< Where it was read from.
  std::map<std::string, codec::Mark, std::less<>> marks;  ///< Of the keys that were given.

  /// "collector.yaml:3:9" for a key that was written, "collector.yaml" for a default, or the name
  /// of the variable that set it.
  std::string where(std::string_view key) const;
  std::map<std::string, std::string, std::less<>> overridden_by;  ///< Key to variable.

  /// People come by https: we speak TLS, or `public_url` says that somebody in front does.
  bool reached_by_https() const {
    return !http.certificate.empty() || public_url.starts_with("https://");
  }

  std::string database_path() const { return state_dir + "/collector.db"; }

  std::string admin_socket_path() const { return state_dir + "/admin.sock"; }

  std::string public_key_path() const { return state_dir + "/curve.public"; }

  std::string secret_key_path() const { return state_dir + "/curve.secret"; }

  std::string ack_key_path() const { return state_dir + "/ack.secret"; }

  std::string sealing_key_path() const { return state_dir + "/sealing.secret"; }
};

/// Looks up an environment variable; a function so that tests need no real environment.
using Environment = std::function<std::optional<std::string>(const char* name)>;

/// The configuration, or every error as "FILE:LINE:COLUMN: KEY: what was expected". Relative paths
/// are taken from the directory of `file`.
tl::expected<CollectorConfig, std::vector<std::string>> read_collector_config(
    const codec::Node& tree, const std::string& file, const Environment& environment);

}  // namespace tocsin::collector
