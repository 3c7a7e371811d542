#include "agent/compat/blackbox_modules.h"

#include "agent/compat/module_reader.h"
#include "common/base/strings.h"
#include "common/io/yaml.h"

#include <algorithm>
#include <array>
#include <filesystem>

namespace tocsin::agent {

namespace {

using codec::MapReader;
using codec::Node;

/// The modules that Debian's blackbox_exporter 0.23.0 comes with in /etc/prometheus/blackbox.yml.
constexpr std::string_view kDefaultModules = R"yaml(modules:
  http_2xx: {prober: http}
  http_post_2xx: {prober: http, http: {method: POST}}
  tcp_connect: {prober: tcp}
  pop3s_banner:
    prober: tcp
    tcp: {query_response: [{expect: "^+OK"}], tls: true, tls_config: {insecure_skip_verify: false}}
  grpc: {prober: grpc, grpc: {tls: true, preferred_ip_protocol: ip4}}
  grpc_plain: {prober: grpc, grpc: {tls: false, service: service1}}
  ssh_banner:
    prober: tcp
    tcp: {query_response: [{expect: "^SSH-2.0-"}, {send: SSH-2.0-blackbox-ssh-check}]}
  irc_banner:
    prober: tcp
    tcp:
      query_response:
        - {send: NICK prober}
        - {send: "USER prober prober prober :prober"}
        - {expect: "PING :([^ ]+)", send: "PONG ${1}"}
        - {expect: "^:[^ ]+ 001"}
  icmp: {prober: icmp}
  icmp_ttl5: {prober: icmp, timeout: 5s, icmp: {ttl: 5}}
)yaml";

/// Keys of the file, and headers, whose text nobody shall see who may look at the configuration.
bool is_secret(std::string_view key) {
  static constexpr std::array<std::string_view, 7> kSecret = {
      "password",      "bearer_token",        "credentials", "client_secret",
      "authorization", "proxy-authorization", "cookie"};
  return std::any_of(kSecret.begin(), kSecret.end(),
                     [&](std::string_view secret) { return iequals(key, secret); });
}

Node without_secrets(Node node) {
  for (auto& [key, child] : node.entries) {
    const bool whole = child.kind == Node::Kind::kMap || child.kind == Node::Kind::kList;
    if (key == "proxy_url" && child.text.find('@') != std::string::npos) {
      const std::size_t scheme = child.text.find("://");
      const std::size_t from = scheme == std::string::npos ? 0 : scheme + 3;
      child = Node::string(child.text.substr(0, from) + "<secret>" +
                           child.text.substr(child.text.rfind('@')));
      continue;
    }
    child = is_secret(key) && !whole ? Node::string("<secret>") : without_secrets(std::move(child));
  }
  for (Node& item : node.items) item = without_secrets(std::move(item));
  return node;
}

}  // namespace

const char* to_string(Prober prober) {
  switch (prober) {
    case Prober::kHttp:
      return "http";
    case Prober::kTcp:
      return "tcp";
    case Prober::kDns:
      return "dns";
  }
  return "?";
}

tl::expected<BlackboxModules, std::vector<std::string>> read_blackbox_modules(
    const codec::Node& tree, const std::string& file) {
  BlackboxModules out;
  std::vector<FieldError> errors;
  const std::filesystem::path base = std::filesystem::path(file).parent_path();
  MapReader top(tree, "", errors);
  const Node* modules = top.child("modules");
  if (tree.kind == Node::Kind::kMap) top.finish();
  if (modules != nullptr && (modules->kind != Node::Kind::kMap ||
                             modules->entries.size() > BlackboxModules::kModulesMax)) {
    top.error("modules",
              fmt::format("expected a map of at most {} modules", BlackboxModules::kModulesMax));
    modules = nullptr;
  }
  for (std::size_t i = 0; modules != nullptr && i < modules->entries.size(); ++i) {
    const auto& [name, node] = modules->entries[i];
    auto [module, proxy] = read_module(name, node, base, errors);
    module.source = without_secrets(node);
    if (!module.unsupported.empty()) {
      module.unsupported = io::locate(file, {"", module.unsupported});
      out.notices.push_back(module.unsupported);
    }
    if (proxy) out.proxies.push_back(*std::move(proxy));
    out.modules.emplace(name, std::make_shared<const BlackboxModule>(std::move(module)));
  }
  if (errors.empty()) return out;
  std::vector<std::string> lines;
  lines.reserve(errors.size());
  for (const FieldError& error : errors) lines.push_back(io::locate(file, error));
  return tl::unexpected{std::move(lines)};
}

tl::expected<BlackboxModules, std::vector<std::string>> load_blackbox_modules(
    const std::string& path) {
  const auto tree =
      path.empty() ? io::parse_yaml(kDefaultModules, "the default modules") : io::load_yaml(path);
  if (!tree) return tl::unexpected{std::vector<std::string>{tree.error().text}};
  return read_blackbox_modules(*tree, path.empty() ? "the default modules" : path);
}

}  // namespace tocsin::agent
