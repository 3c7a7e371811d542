#include "agent/app/agent_config.h"

#include "agent/core/self_health.h"
#include "common/base/ip_address.h"
#include "common/base/strings.h"
#include "common/codec/url.h"
#include "common/io/yaml.h"
#include "common/io/zmq_socket.h"

#include <charconv>
#include <cstdlib>
#include <filesystem>

namespace tocsin::agent {

namespace {

using codec::MapReader;
using codec::Node;

/// Where a variable puts its value: a top key, or one below it.
struct Override {
  const char* variable = nullptr;
  const char* key = nullptr;
  const char* below = nullptr;
};

constexpr Override kOverrides[] = {
    {"TOCSIN_REGION", "region"},
    {"TOCSIN_COLLECTOR_ENDPOINTS", "collector", "endpoints"},
    {"TOCSIN_COLLECTOR_SERVER_KEYS", "collector", "server_keys"},
    {"TOCSIN_STATE_DIR", "state_dir"},
    {"TOCSIN_SPOOL_MAX_BYTES", "spool", "max_bytes"},
    {"TOCSIN_LISTEN", "listen"},
    {"TOCSIN_MAX_IN_FLIGHT", "max_in_flight"},
    {"TOCSIN_MAX_IN_FLIGHT_PER_TARGET", "max_in_flight_per_target"},
    {"TOCSIN_SECRETS_DIR", "secrets_dir"},
    {"TOCSIN_RESOLVERS", "resolvers"},
    {"TOCSIN_SHUTDOWN_GRACE", "shutdown_grace"},
    {"TOCSIN_LOG", "log"},
};

Node* find(Node& map, std::string_view key) {
  for (auto& [name, child] : map.entries) {
    if (name == key) return &child;
  }
  return nullptr;
}

void put(Node& map, std::string_view key, Node value) {
  if (Node* known = find(map, key)) {
    *known = std::move(value);
  } else {
    map.set(std::string(key), std::move(value));
  }
}

/// Egress is left out on purpose: what an agent may reach is said in its file and nowhere else.
void apply_overrides(Node& tree, const Environment& environment, AgentConfig& config,
                     std::vector<std::string>& lines) {
  for (const Override& o : kOverrides) {
    const auto text = environment(o.variable);
    if (!text) continue;
    auto value = io::parse_yaml(*text, o.variable);
    if (!value) {
      lines.push_back(value.error().text);
      continue;
    }
    value->mark = {};
    for (Node& item : value->items) item.mark = {};
    config.overridden_by[o.key] = o.variable;
    if (o.below == nullptr) {
      put(tree, o.key, std::move(*value));
      continue;
    }
    const Node* parent = find(tree, o.key);
    if (parent == nullptr || parent->kind != Node::Kind::kMap) put(tree, o.key, Node::map());
    put(*find(tree, o.key), o.below, std::move(*value));
  }
}

void read_log(MapReader& top, AgentConfig& config, std::vector<FieldError>& errors) {
  const Node* node = top.child("log");
  if (node == nullptr) return;
  std::string level = log::to_string(config.log.level);
  std::string format = "text";
  const auto set_level = [&](MapReader& reader, const char* key) {
    const auto known = log::parse_level(level);
    if (!known) return reader.error(key, known.error().text);
    config.log.level = *known;
  };
  if (node->kind != Node::Kind::kMap) {
    top.text("log", level);
    return set_level(top, "log");
  }
  MapReader reader(*node, "log", errors);
  reader.text("level", level);
  set_level(reader, "level");
  reader.text("format", format);
  const auto known = log::parse_format(format);
  if (known) {
    config.log.format = *known;
  } else {
    reader.error("format", known.error().text);
  }
  reader.finish();
}

void read_collector(MapReader& top, AgentConfig& config, std::vector<FieldError>& errors) {
  const Node* node = top.child("collector");
  if (node == nullptr) return;
  MapReader reader(*node, "collector", errors);
  reader.texts("endpoints", config.endpoints);
  if (config.endpoints.size() > AgentConfig::kEndpointsMax) {
    reader.error("endpoints", fmt::format("at most {}", AgentConfig::kEndpointsMax));
  }
  for (const std::string& endpoint : config.endpoints) {
    if (is_collector_endpoint(endpoint)) continue;
    reader.error("endpoints",
                 fmt::format("expected tcp://HOST:PORT, got \"{}\"", printable(endpoint, 80)));
  }
  reader.texts("server_keys", config.server_keys);
  for (const std::string& key : config.server_keys) {
    if (io::is_curve_key(key)) continue;
    reader.error("server_keys",
                 "expected the collector's public key: 40 characters, in quotes (it stands in the "
                 "collector's state directory as curve.public)");
  }
  reader.finish();
}

void read_spool(MapReader& top, AgentConfig& config, std::vector<FieldError>& errors) {
  const Node* node = top.child("spool");
  if (node == nullptr) return;
  MapReader reader(*node, "spool", errors);
  std::string text;
  reader.text("max_bytes", text);
  if (!text.empty()) {
    const auto bytes = parse_bytes(text);
    if (!bytes) {
      reader.error("max_bytes", bytes.error().text);
    } else if (*bytes < AgentConfig::kSpoolMin || *bytes > AgentConfig::kSpoolMax) {
      reader.error("max_bytes", "expected 8MiB to 1024GiB");
    } else {
      config.spool_bytes_max = *bytes;
    }
  }
  reader.finish();
}

void read_egress(MapReader& top, AgentConfig& config, std::vector<FieldError>& errors) {
  const Node* node = top.child("egress");
  if (node == nullptr) return;
  MapReader reader(*node, "egress", errors);
  std::string cls = "public";
  std::vector<std::string> allow;
  std::vector<std::string> deny;
  reader.text("class", cls);
  reader.texts("allow", allow);
  reader.texts("deny", deny);
  auto policy = EgressPolicy::parse(cls, allow, deny);
  if (policy) {
    config.egress = std::move(*policy);
  } else {
    top.error("egress", policy.error().text);
  }
  reader.finish();
}

/// `NAME: http://HOST:PORT`, or `NAME: {url: ..., username: U, password: {file: NAME}}`.
void read_proxy(const std::string& name, const Node& node, AgentConfig& config,
                std::vector<FieldError>& errors) {
  const std::string path = "proxies." + printable(name, 63);
  const auto error = [&](std::string text) { errors.push_back({path, std::move(text)}); };
  if (!is_key(name)) return error("expected a name of a-z, 0-9 and -, at most 63 characters");
  std::string text = node.text;
  ProxySettings out;
  out.name = name;
  if (node.kind == Node::Kind::kMap) {
    MapReader reader(node, path, errors);
    reader.text("url", text);
    reader.text("username", out.username);
    if (const Node* password = reader.child("password")) {
      MapReader inner(*password, path + ".password", errors);
      inner.text("file", out.secret_file);
      inner.finish();
    }
    reader.finish();
  }
  const auto url = parse_url(text);
  if (!url || url->https || url->path != "/") {
    return error("expected http://HOST:PORT, the proxy's address");
  }
  if (out.username.empty() != out.secret_file.empty()) {
    return error("expected both username and password: {file: NAME}, or neither");
  }
  out.host = url->host;
  out.host_is_address = url->host_is_address;
  out.port = url->port;
  config.proxies.push_back(std::move(out));
}

void read_proxies(MapReader& top, AgentConfig& config, std::vector<FieldError>& errors) {
  const Node* node = top.child("proxies");
  if (node == nullptr) return;
  if (node->kind != Node::Kind::kMap || node->entries.size() > AgentConfig::kProxiesMax) {
    return top.error("proxies", fmt::format("expected a map of at most {} names and addresses",
                                            AgentConfig::kProxiesMax));
  }
  for (const auto& [name, proxy] : node->entries) read_proxy(name, proxy, config, errors);
}

/// `http: URL`, `tcp: HOST:PORT` or `dns: NAME` with `resolver: ADDRESS`.
void read_anchor(const Node& node, std::size_t index, AgentConfig& config,
                 std::vector<FieldError>& errors) {
  const std::string path = fmt::format("anchors[{}]", index);
  MapReader reader(node, path, errors);
  std::string http;
  std::string tcp;
  std::string dns;
  std::string resolver;
  reader.text("http", http);
  reader.text("tcp", tcp);
  reader.text("dns", dns);
  reader.text("resolver", resolver);
  reader.finish();
  const int kinds = static_cast<int>(!http.empty()) + static_cast<int>(!tcp.empty()) +
                    static_cast<int>(!dns.empty());
  if (kinds != 1 || (dns.empty() && !resolver.empty())) {
    errors.push_back({path,
                      "expected one of {http: URL}, {tcp: HOST:PORT}, {dns: NAME} and {dns: NAME, "
                      "resolver: ADDRESS}"});
    return;
  }
  MonitorSpec as_monitor;  // For its rules.
  as_monitor.key = as_monitor.name = "anchor";
  ProbeSpec& spec = as_monitor.probe;
  spec.interval = config.anchor_interval;
  spec.timeout = SelfHealth::kProof;
  spec.retry = {.retries = 0};
  if (!http.empty()) spec.target = HttpTarget{.url = http, .redirects_max = 0};
  if (!dns.empty()) spec.target = DnsTarget{.name = dns, .resolver = resolver};
  if (!tcp.empty()) {
    const auto colon = tcp.rfind(':');
    TcpTarget target{.host = tcp.substr(0, colon)};
    if (target.host.starts_with('[') && target.host.ends_with(']')) {
      target.host = target.host.substr(1, target.host.size() - 2);
    }
    if (colon != std::string::npos) {
      const char* const end = tcp.data() + tcp.size();
      const auto read = std::from_chars(tcp.data() + colon + 1, end, target.port);
      if (read.ec != std::errc{} || read.ptr != end) target.port = 0;  // Which validate() refuses.
    }
    spec.target = std::move(target);
  }
  for (const FieldError& error : validate(as_monitor)) {
    errors.push_back({path, error.path + ": " + error.text});
  }
  config.anchors.push_back({describe(spec.target), std::move(spec)});
}

void read_anchors(MapReader& top, AgentConfig& config, std::vector<FieldError>& errors) {
  top.duration("anchor_interval", config.anchor_interval);
  if (config.anchor_interval < AgentConfig::kAnchorIntervalMin ||
      config.anchor_interval > AgentConfig::kAnchorIntervalMax) {
    top.error("anchor_interval", "expected 5s to 5m");
    config.anchor_interval = AgentConfig::kAnchorIntervalMax;
  }
  const Node* node = top.child("anchors");
  if (node == nullptr) return;
  if (node->kind != Node::Kind::kList || node->items.size() > Conductor::kAnchorsMax) {
    return top.error("anchors", fmt::format("expected a list of at most {} anchors such as "
                                            "{{http: URL}}",
                                            Conductor::kAnchorsMax));
  }
  for (std::size_t i = 0; i < node->items.size(); ++i) {
    read_anchor(node->items[i], i, config, errors);
  }
}

/// "127.0.0.1:7402", "[::1]:0".
bool is_listen_address(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return false;
  }
  if (!IpAddress::parse(host)) return false;
  std::uint16_t value = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), value);
  return error == std::errc{} && end == port.data() + port.size();
}

void read_probe(MapReader& top, AgentConfig& config, std::vector<FieldError>& errors) {
  const Node* node = top.child("probe");
  if (node == nullptr) return;
  MapReader reader(*node, "probe", errors);
  ProbeEndpoint out;
  reader.text("listen", out.listen);
  if (!is_listen_address(out.listen)) {
    reader.error("listen", "expected ADDRESS:PORT such as 127.0.0.1:9115 or [::1]:9115");
  }
  reader.text("modules_file", out.modules_file);
  reader.finish();
  config.probe = std::move(out);
}

void read_top(const Node& tree, AgentConfig& config, std::vector<FieldError>& errors) {
  MapReader top(tree, "", errors);
  top.text("region", config.region);
  if (!config.region.empty() && !is_key(config.region)) {
    top.error("region", "expected a key: a-z, 0-9 and -, at most 63 characters");
  }
  read_collector(top, config, errors);
  top.text("state_dir", config.state_dir);
  if (config.state_dir.empty()) {
    if (config.region.empty()) {
      top.error("state_dir", "missing; it may only be left out when region is given");
    } else {
      config.state_dir = "/var/lib/tocsin-agent/" + config.region;
    }
  }
  read_spool(top, config, errors);
  top.text("listen", config.listen);
  if (!is_listen_address(config.listen)) {
    top.error("listen", "expected ADDRESS:PORT such as 127.0.0.1:7402 or [::1]:7402");
  }
  read_egress(top, config, errors);
  top.integer("max_in_flight", 1, 100'000, config.max_in_flight);
  top.integer("max_in_flight_per_target", 1, 1'000, config.max_in_flight_per_target);
  top.text("secrets_dir", config.secrets_dir);
  read_proxies(top, config, errors);
  top.texts("resolvers", config.resolvers);
  read_probe(top, config, errors);
  read_anchors(top, config, errors);
  top.duration("shutdown_grace", config.shutdown_grace);
  if (config.shutdown_grace > std::chrono::minutes{10}) {
    top.error("shutdown_grace", "expected at most 10m");
  }
  read_log(top, config, errors);
  top.finish();
}

void make_absolute(AgentConfig& config) {
  const std::filesystem::path base = std::filesystem::path(config.file).parent_path();
  std::vector<std::string*> paths{&config.state_dir, &config.secrets_dir};
  if (config.probe && !config.probe->modules_file.empty()) {
    paths.push_back(&config.probe->modules_file);
  }
  for (std::string* path : paths) {
    if (!base.empty() && std::filesystem::path(*path).is_relative()) {
      *path = (base / *path).lexically_normal().string();
    }
  }
}

}  // namespace

std::string AgentConfig::where(std::string_view key) const {
  if (const auto at = overridden_by.find(key); at != overridden_by.end()) return at->second;
  if (const auto at = marks.find(key); at != marks.end() && at->second.line > 0) {
    return fmt::format("{}:{}:{}", file, at->second.line, at->second.column);
  }
  return fmt::format("{} (default)", file);
}

std::optional<std::string> process_environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) return std::nullopt;
  return value;
}

bool is_collector_endpoint(std::string_view text) {
  constexpr std::string_view kScheme = "tcp://";
  if (!text.starts_with(kScheme)) return false;
  text.remove_prefix(kScheme.size());
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view host = text.substr(0, colon);
  if (host.find_first_of(" \t*;/") != std::string_view::npos) return false;
  const std::string_view port = text.substr(colon + 1);
  std::uint16_t value = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), value);
  return error == std::errc{} && end == port.data() + port.size() && value > 0;
}

Expected<std::int64_t> parse_bytes(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit = trim(text.substr(static_cast<std::size_t>(end - text.data())));
  int shift = -1;
  if (unit.empty()) shift = 0;
  if (unit == "KiB") shift = 10;
  if (unit == "MiB") shift = 20;
  if (unit == "GiB") shift = 30;
  if (error != std::errc{} || value < 0 || shift < 0 || value > (INT64_MAX >> shift)) {
    return fail(Errc::kInvalid, "expected bytes such as 268435456, 256MiB or 4GiB");
  }
  return value << shift;
}

tl::expected<AgentConfig, std::vector<std::string>> read_agent_config(
    const Node& file_tree, const std::string& file, const Environment& environment) {
  AgentConfig config;
  config.file = file;
  std::vector<std::string> lines;
  Node tree = file_tree;
  if (tree.kind == Node::Kind::kNull) tree = Node::map();
  for (const auto& [key, child] : tree.entries) config.marks[key] = child.mark;
  if (tree.kind == Node::Kind::kMap) apply_overrides(tree, environment, config, lines);

  std::vector<FieldError> errors;
  read_top(tree, config, errors);
  for (const FieldError& error : errors) {
    const std::string key = error.path.substr(0, error.path.find('.'));
    const auto variable = config.overridden_by.find(key);
    lines.push_back(
        io::locate(variable == config.overridden_by.end() ? file : variable->second, error));
  }
  if (!lines.empty()) return tl::unexpected(std::move(lines));
  make_absolute(config);
  return config;
}

tl::expected<AgentConfig, std::vector<std::string>> load_agent_config(
    const std::string& file, const Environment& environment) {
  const auto tree = io::load_yaml(file);
  if (!tree) return tl::unexpected(std::vector<std::string>{tree.error().text});
  return read_agent_config(*tree, file, environment);
}

}  // namespace tocsin::agent
