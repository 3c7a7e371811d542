#include "collector/app/collector_config.h"

#include "collector/ports/catalog_node.h"
#include "common/base/strings.h"
#include "common/codec/url.h"
#include "common/io/log.h"
#include "common/io/yaml.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

namespace tocsin::collector {
namespace {

constexpr std::size_t kTrustedProxiesMax = 64;

/// Keys that one environment variable each can set.
struct Override {
  const char* variable;
  const char* key;
};

constexpr Override kOverrides[] = {
    {"TOCSIN_LISTEN", "listen"},           {"TOCSIN_AGENTS", "agents"},
    {"TOCSIN_STATE_DIR", "state_dir"},     {"TOCSIN_STORE", "store"},
    {"TOCSIN_SECRETS_DIR", "secrets_dir"}, {"TOCSIN_MONITORS_FILE", "monitors_file"},
    {"TOCSIN_PUBLIC_URL", "public_url"},   {"TOCSIN_LOG", "log"},
};

/// The tree with the variables' values in place of what the file says. The value keeps the mark of
/// none, so that an error names the variable.
codec::Node apply_overrides(codec::Node tree, const Environment& environment,
                            CollectorConfig& config) {
  for (const Override& override : kOverrides) {
    const auto value = environment(override.variable);
    if (!value) continue;
    config.overridden_by[override.key] = override.variable;
    codec::Node node = codec::Node::string(*value);
    if (std::string_view(override.key) == "store") {
      node = codec::Node::map({{"type", codec::Node::string(*value)}});
    }
    bool replaced = false;
    for (auto& [key, child] : tree.entries) {
      if (key != override.key) continue;
      child = node;
      replaced = true;
    }
    if (!replaced) tree.set(override.key, std::move(node));
  }
  return tree;
}

bool is_agents_endpoint(std::string_view text) {
  if (text.substr(0, 6) != "tcp://") return false;
  text.remove_prefix(6);
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view port = text.substr(colon + 1);
  if (port == "*") return true;
  unsigned value = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), value);
  return error == std::errc{} && end == port.data() + port.size() && value <= 65535;
}

void read_egress(codec::MapReader& top, CollectorConfig& config, std::vector<FieldError>& errors) {
  const codec::Node* node = top.child("egress");
  if (node == nullptr) return;
  codec::MapReader reader(*node, "egress", errors);
  std::string cls = "public";
  std::vector<std::string> allow;
  std::vector<std::string> deny;
  reader.text("class", cls);
  reader.texts("allow", allow);
  reader.texts("deny", deny);
  if (auto policy = EgressPolicy::parse(cls, allow, deny)) {
    config.egress = *std::move(policy);
  } else {
    top.error("egress", policy.error().text);
  }
  reader.finish();
}

/// A channel without a key: {url: ..., secret: {file: NAME}}.
void read_fallback(codec::MapReader& top, CollectorConfig& config,
                   std::vector<FieldError>& errors) {
  const codec::Node* node = top.child("fallback_channel");
  if (node == nullptr) return;
  codec::MapReader reader(*node, "fallback_channel", errors);
  if (node->kind != codec::Node::Kind::kMap) return;
  if (reader.has("key") || reader.has("type")) {
    reader.error(reader.has("key") ? "key" : "type",
                 "is not for the fallback channel: it is a webhook, and nothing refers to it");
    return;
  }
  codec::Node channel = *node;
  channel.set("key", codec::Node::string("fallback"));
  channel.set("type", codec::Node::string("webhook"));
  config.fallback_channel = read_channel(channel, "fallback_channel", errors);
}

bool is_host(std::string_view text) {
  constexpr std::string_view kMarks = ".-_:";
  return !text.empty() && text.size() <= 253 && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kMarks.find(c) != std::string_view::npos;
  });
}

/// It is printed into messages and followed by a path.
bool is_public_url(std::string_view text) {
  return text.size() <= kPublicUrlBytesMax && text.find_first_of("?#") == std::string_view::npos &&
         parse_url(text).has_value();
}

void read_smtp_password(codec::MapReader& smtp, SmtpConfig& out, std::vector<FieldError>& errors) {
  const codec::Node* node = smtp.child("password");
  if (node == nullptr) {
    if (!out.username.empty()) smtp.error("username", "expected password: {file: NAME} beside it");
    return;
  }
  if (node->kind != codec::Node::Kind::kMap) {
    return smtp.error("password", "expected {file: NAME}: secrets are never written here");
  }
  codec::MapReader reader(*node, smtp.path_of("password"), errors);
  reader.text("file", out.password_file);
  if (out.password_file.empty() || out.password_file.front() == '.' ||
      out.password_file.find('/') != std::string::npos) {
    reader.error("file", "expected the name of a file in secrets_dir, without slashes");
  }
  reader.finish();
  if (out.username.empty()) smtp.error("password", "expected username beside it");
}

void read_smtp(codec::MapReader& top, CollectorConfig& config, std::vector<FieldError>& errors) {
  const codec::Node* node = top.child("smtp");
  if (node == nullptr) return;
  SmtpConfig out;
  codec::MapReader reader(*node, "smtp", errors);
  if (node->kind != codec::Node::Kind::kMap) return;
  reader.text("host", out.host);
  if (!is_host(out.host)) reader.error("host", "expected a host name or an address");
  std::string tls = "required";
  reader.text("tls", tls);
  if (tls == "required") {
    out.tls = io::SmtpTls::kRequired;
  } else if (tls == "opportunistic") {
    out.tls = io::SmtpTls::kOpportunistic;
  } else if (tls == "off") {
    out.tls = io::SmtpTls::kOff;
  } else if (tls == "implicit") {
    out.tls = io::SmtpTls::kImplicit;
    out.port = 465;
  } else {
    reader.error("tls", "expected required, opportunistic, off or implicit");
  }
  int port = out.port;
  reader.integer("port", 1, 65535, port);
  out.port = static_cast<std::uint16_t>(port);
  reader.text("username", out.username);
  read_smtp_password(reader, out, errors);
  const bool verified = out.tls == io::SmtpTls::kRequired || out.tls == io::SmtpTls::kImplicit;
  if (!out.username.empty() && !verified) {
    reader.error("username", "a password is only sent over verified TLS: tls required or implicit");
  }
  reader.text("from", out.from);
  if (!is_mail_address(out.from)) {
    reader.error("from", "expected one e-mail address: local@domain");
  }
  reader.text("ca_file", out.ca_file);
  reader.finish();
  config.smtp = std::move(out);
}

void read_tls(codec::MapReader& http, HttpConfig& out, std::vector<FieldError>& errors) {
  const codec::Node* node = http.child("tls");
  if (node == nullptr) return;
  codec::MapReader reader(*node, http.path_of("tls"), errors);
  if (node->kind != codec::Node::Kind::kMap) return;
  reader.text("certificate", out.certificate);
  reader.text("key", out.key);
  for (const char* field : {"certificate", "key"}) {
    const std::string& path = std::string_view{field} == "key" ? out.key : out.certificate;
    if (path.empty()) reader.error(field, "expected the path of a PEM file");
  }
  reader.finish();
}

void read_http(codec::MapReader& top, CollectorConfig& config, std::vector<FieldError>& errors) {
  const codec::Node* node = top.child("http");
  if (node == nullptr) return;
  codec::MapReader reader(*node, "http", errors);
  if (node->kind != codec::Node::Kind::kMap) return;
  HttpConfig& out = config.http;
  read_tls(reader, out, errors);
  reader.integer("connections_max", 16, 100'000, out.connections_max);
  reader.integer("connections_per_address", 1, 100'000, out.connections_per_address);
  reader.integer("streams_max", 0, 100'000, out.streams_max);
  if (out.streams_max > out.connections_max) {
    reader.error("streams_max", "expected no more than connections_max: a stream is a connection");
  }
  std::vector<std::string> proxies;
  reader.texts("trusted_proxies", proxies);
  if (proxies.size() > kTrustedProxiesMax) {
    reader.error("trusted_proxies", fmt::format("expected at most {}", kTrustedProxiesMax));
  }
  for (const std::string& text : proxies) {
    if (const auto block = IpBlock::parse(text)) {
      out.trusted_proxies.push_back(*block);
    } else {
      reader.error("trusted_proxies", block.error().text);
    }
  }
  reader.finish();
}

/// `log: info`, or a map with level and format.
void read_log(codec::MapReader& top, CollectorConfig& config, std::vector<FieldError>& errors) {
  const codec::Node* node = top.child("log");
  if (node == nullptr) return;
  const auto check = [](codec::MapReader& reader, const char* key, const std::string& level) {
    if (const auto known = log::parse_level(level); !known) reader.error(key, known.error().text);
  };
  if (node->kind != codec::Node::Kind::kMap) {
    top.text("log", config.log_level);
    check(top, "log", config.log_level);
    return;
  }
  codec::MapReader reader(*node, "log", errors);
  reader.text("level", config.log_level);
  check(reader, "level", config.log_level);
  reader.text("format", config.log_format);
  if (const auto known = log::parse_format(config.log_format); !known) {
    reader.error("format", known.error().text);
  }
  reader.finish();
}

}  // namespace

std::string ListenAddress::str() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

Expected<ListenAddress> parse_listen_address(std::string_view text) {
  const auto wrong = [&] {
    return fail(Errc::kInvalid,
                "expected ADDRESS:PORT such as 127.0.0.1:7400 or [::1]:7400, got "
                "\"{}\"",
                printable(text, 80));
  };
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return wrong();
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.front() == '[') {
    if (host.size() < 3 || host.back() != ']') return wrong();
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return wrong();
  }
  ListenAddress out;
  out.host = std::string(host);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
  if (port.empty() || error != std::errc{} || end != port.data() + port.size()) return wrong();
  return out;
}

std::string CollectorConfig::where(std::string_view key) const {
  if (const auto at = overridden_by.find(key); at != overridden_by.end()) return at->second;
  if (const auto at = marks.find(key); at != marks.end() && at->second.line > 0) {
    return fmt::format("{}:{}:{}", file, at->second.line, at->second.column);
  }
  return fmt::format("{} (the default of {})", file, key);
}

tl::expected<CollectorConfig, std::vector<std::string>> read_collector_config(
    const codec::Node& file_tree, const std::string& file, const Environment& environment) {
  CollectorConfig config;
  config.file = file;
  std::vector<FieldError> errors;
  codec::Node given = file_tree;
  // An empty file is a configuration of defaults.
  if (given.kind == codec::Node::Kind::kNull) given = codec::Node::map();
  for (const auto& [key, child] : given.entries) config.marks[key] = child.mark;
  const codec::Node tree = given.kind == codec::Node::Kind::kMap
                               ? apply_overrides(std::move(given), environment, config)
                               : std::move(given);

  codec::MapReader top(tree, "", errors);
  std::string text = config.listen.str();
  top.text("listen", text);
  if (const auto address = parse_listen_address(text)) {
    config.listen = *address;
  } else {
    top.error("listen", address.error().text);
  }
  top.text("agents", config.agents);
  if (!is_agents_endpoint(config.agents)) {
    top.error("agents", "expected tcp://ADDRESS:PORT such as tcp://*:7401");
  }
  top.text("state_dir", config.state_dir);
  top.text("secrets_dir", config.secrets_dir);
  top.text("monitors_file", config.monitors_file);
  top.text("public_url", config.public_url);
  while (!config.public_url.empty() && config.public_url.back() == '/') {
    config.public_url.pop_back();
  }
  if (!config.public_url.empty() && !is_public_url(config.public_url)) {
    top.error(
        "public_url",
        fmt::format("expected a URL that begins with http:// or https://, without a query, of "
                    "at most {} bytes",
                    kPublicUrlBytesMax));
  }
  read_http(top, config, errors);
  read_egress(top, config, errors);
  read_smtp(top, config, errors);
  read_log(top, config, errors);
  if (const codec::Node* node = top.child("store")) {
    codec::MapReader store(*node, "store", errors);
    std::string type = "sqlite";
    store.text("type", type);
    if (type == "sqlite") {
      config.store = StoreType::kSqlite;
    } else if (type == "memory") {
      config.store = StoreType::kMemory;
    } else {
      store.error("type", "expected sqlite or memory");
    }
    store.finish();
  }
  read_fallback(top, config, errors);
  top.finish();

  if (!errors.empty()) {
    std::vector<std::string> lines;
    for (const FieldError& error : errors) {
      const std::string key = error.path.substr(0, error.path.find('.'));
      const auto variable = config.overridden_by.find(key);
      lines.push_back(
          io::locate(variable == config.overridden_by.end() ? file : variable->second, error));
    }
    return tl::unexpected(std::move(lines));
  }

  const std::filesystem::path base = std::filesystem::path(file).parent_path();
  std::string none;
  for (std::string* path :
       {&config.state_dir, &config.secrets_dir, &config.monitors_file, &config.http.certificate,
        &config.http.key, config.smtp ? &config.smtp->ca_file : &none}) {
    if (!path->empty() && std::filesystem::path(*path).is_relative() && !base.empty()) {
      *path = (base / *path).lexically_normal().string();
    }
  }
  return config;
}

}  // namespace tocsin::collector
