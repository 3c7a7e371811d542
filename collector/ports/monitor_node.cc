#include "collector/ports/catalog_fields.h"
#include "collector/ports/catalog_node.h"
#include "collector/ports/http_node.h"
#include "collector/ports/stream_node.h"
#include "common/assert/parser.h"
#include "common/base/strings.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string_view>

namespace tocsin::collector {

using codec::MapReader;
using codec::Node;
using Errors = std::vector<FieldError>;

namespace {

constexpr std::array<std::string_view, 4> kTypes{"http", "tcp", "dns", "tls"};
/// Words of the language whose checks come with later versions.
constexpr std::array<std::string_view, 7> kLaterTypes{"icmp", "smtp",      "grpc",     "websocket",
                                                      "udp",  "heartbeat", "composite"};

void read_transport(MapReader& reader, DnsTransport& out) {
  std::string word;
  reader.text("transport", word);
  for (const DnsTransport one : {DnsTransport::kUdp, DnsTransport::kTcp, DnsTransport::kTls}) {
    if (word == to_string(one)) out = one;
  }
  if (!word.empty() && word != to_string(out)) {
    reader.error("transport", one_of(word, {"udp", "tcp", "tls"}));
  }
}

Target read_dns(MapReader& reader, const std::string& name) {
  DnsTarget dns;
  dns.name = name;
  reader.text("host", dns.name);
  std::string record = to_string(dns.type);
  reader.text("record", record);
  if (const auto type = parse_dns_type(record)) {
    dns.type = *type;
  } else {
    reader.error("record", type.error().text);
  }
  reader.text("resolver", dns.resolver);
  read_transport(reader, dns.transport);
  reader.text("server_name", dns.server_name);
  reader.boolean("verify", dns.verify);
  reader.text("ca", dns.ca_pem);
  reader.boolean("recursion", dns.recursion);
  reader.boolean("dnssec", dns.dnssec);
  reader.text("rcode", dns.rcode);
  return dns;
}

/// True when the target could be read; keys of other types stay unasked and become errors.
bool read_target(MapReader& reader, const std::string& name, Target& out, Errors& errors) {
  std::string type;
  reader.text("type", type);
  if (type == "http") {
    out = read_http_target(reader, errors);
  } else if (type == "tcp") {
    out = read_tcp_target(reader);
  } else if (type == "tls") {
    out = read_tls_target(reader);
  } else if (type == "dns") {
    out = read_dns(reader, name);
  } else {
    if (type.empty()) {
      if (!reader.has("type")) reader.error("type", "expected a type: http, tcp, tls or dns");
    } else if (std::find(kLaterTypes.begin(), kLaterTypes.end(), type) != kLaterTypes.end()) {
      reader.error("type", fmt::format("{} monitors are not in this version: expected http, tcp, "
                                       "tls or dns",
                                       type));
    } else {
      reader.error("type", one_of(type, {kTypes.begin(), kTypes.end()}));
    }
    // One mistake, one error: which of these belong cannot be known.
    for (const char* key :
         {"host", "port", "record", "transport", "recursion", "dnssec", "rcode"}) {
      reader.has(key);
    }
    for (const char* key : kHttpKeys) reader.has(key);
    for (const char* key : kStreamKeys) reader.has(key);
    return false;
  }
  return true;
}

void read_quorum(MapReader& reader, QuorumRule& out) {
  const Node* node = reader.child("quorum");
  if (node == nullptr) return;
  if (node->kind == Node::Kind::kNumber) {
    out.kind = QuorumKind::kNumber;
    reader.integer("quorum", 1, 1000, out.number);
  } else if (node->text == "majority") {
    out = {QuorumKind::kMajority, 0};
  } else if (node->text == "any") {
    out = {QuorumKind::kAny, 0};
  } else if (node->text == "all") {
    out = {QuorumKind::kAll, 0};
  } else {
    reader.error("quorum", "expected majority, any, all, or a number of regions");
  }
}

void read_page_on(MapReader& reader, bool& page_on_degraded) {
  if (!reader.has("page_on")) return;
  std::vector<std::string> words;
  reader.texts("page_on", words);
  const bool down = std::find(words.begin(), words.end(), "down") != words.end();
  page_on_degraded = std::find(words.begin(), words.end(), "degraded") != words.end();
  if (!down || words.size() != (page_on_degraded ? 2U : 1U)) {
    reader.error("page_on", "expected [down] or [down, degraded]");
  }
}

void read_family(MapReader& reader, IpFamily& out) {
  std::string word;
  reader.text("family", word);
  if (word.empty()) return;
  if (word == "any") {
    out = IpFamily::kAny;
  } else if (word == "ipv4") {
    out = IpFamily::kV4;
  } else if (word == "ipv6") {
    out = IpFamily::kV6;
  } else {
    reader.error("family", one_of(word, {"any", "ipv4", "ipv6"}));
  }
}

void read_tags(MapReader& reader, std::map<std::string, std::string>& out, Errors& errors) {
  const Node* node = reader.child("tags");
  if (node == nullptr) return;
  if (node->kind != Node::Kind::kMap) {
    return reader.error("tags", fmt::format("expected a map, not {}", to_string(node->kind)));
  }
  for (const auto& [name, value] : node->entries) {
    const bool text = value.kind == Node::Kind::kString || value.kind == Node::Kind::kNumber;
    if (!text || name.empty() || name.size() > kTextMax || value.text.size() > kTextMax ||
        !is_valid_utf8(name) || !is_valid_utf8(value.text)) {
      errors.push_back({fmt::format("{}.{}", reader.path_of("tags"), printable(name, 64)),
                        fmt::format("{}expected a name and a text of at most {} bytes",
                                    describe(value.mark), kTextMax)});
      continue;
    }
    out.emplace(name, value.text);
  }
}

std::optional<Condition> read_condition(const Node& item, const std::string& path,
                                        const Target& target, std::size_t depth, Errors& errors);

/// {and: [...]}, {or: [...]} or {not: CONDITION}. Nothing when an error was found.
std::optional<Condition> read_group(const Node& item, const std::string& path, const Target& target,
                                    std::size_t depth, Errors& errors) {
  const auto refuse = [&](const codec::Mark& mark, std::string_view where, std::string_view text) {
    errors.push_back({fmt::format("{}{}", path, where), describe(mark) + std::string{text}});
    return std::nullopt;
  };
  if (item.entries.size() != 1) {
    return refuse(item.mark, "", "expected one of and, or, not with its conditions");
  }
  const auto& [word, inner] = item.entries.front();
  Condition out;
  for (const GroupKind group : {GroupKind::kAnd, GroupKind::kOr, GroupKind::kNot}) {
    if (word == to_string(group)) out.group = group;
  }
  if (out.group == GroupKind::kNone)
    return refuse(item.mark, "", one_of(word, {"and", "or", "not"}));
  if (depth == Assertions::kGroupDepthMax) {
    return refuse(item.mark, "",
                  fmt::format("expected groups at most {} deep", Assertions::kGroupDepthMax));
  }
  if (out.group == GroupKind::kNot) {
    if (inner.kind == Node::Kind::kList) {
      return refuse(inner.mark, ".not", "expected one condition, or and or or with several");
    }
    auto part = read_condition(inner, path + ".not", target, depth + 1, errors);
    if (!part) return std::nullopt;
    out.parts.push_back(*std::move(part));
    return out;
  }
  if (inner.kind != Node::Kind::kList || inner.items.empty()) {
    return refuse(inner.mark, fmt::format(".{}", word), "expected a list of conditions");
  }
  bool good = true;
  for (std::size_t i = 0; i < inner.items.size(); ++i) {
    auto part = read_condition(inner.items[i], fmt::format("{}.{}[{}]", path, word, i), target,
                               depth + 1, errors);
    if (part) {
      out.parts.push_back(*std::move(part));
    } else {
      good = false;
    }
  }
  if (!good) return std::nullopt;
  return out;
}

std::optional<Condition> read_condition(const Node& item, const std::string& path,
                                        const Target& target, std::size_t depth, Errors& errors) {
  if (item.kind == Node::Kind::kMap) return read_group(item, path, target, depth, errors);
  if (item.kind != Node::Kind::kString) {
    errors.push_back({path, fmt::format("{}expected a condition such as 'latency < 2s', or a group "
                                        "(and, or, not)",
                                        describe(item.mark))});
    return std::nullopt;
  }
  auto condition = assertion::parse_condition(item.text, target);
  if (!condition) {
    const auto [column, text] = assertion::split_column(condition.error());
    errors.push_back({path, describe(item, column) + std::string{text}});
    return std::nullopt;
  }
  // any() is a group in itself.
  if (condition->group != GroupKind::kNone && depth == Assertions::kGroupDepthMax) {
    errors.push_back({path, fmt::format("{}expected groups at most {} deep", describe(item.mark),
                                        Assertions::kGroupDepthMax)});
    return std::nullopt;
  }
  return *std::move(condition);
}

void read_conditions(MapReader& reader, std::string_view field, const Target& target,
                     std::vector<Condition>& out, Errors& errors) {
  const Node* node = reader.child(field);
  if (node == nullptr) return;
  const auto read = [&](const Node& item, const std::string& path) {
    if (auto condition = read_condition(item, path, target, 0, errors)) {
      out.push_back(*std::move(condition));
    }
  };
  if (node->kind != Node::Kind::kList) return read(*node, reader.path_of(field));
  each(reader, field, read);
}

/// Rules of the whole spec, with the mark of the field they are about.
void add_rule_errors(const Node& node, const MonitorSpec& spec, const std::string& path,
                     std::size_t errors_before, Errors& errors) {
  const auto reported = [&](const std::string& full) {
    return std::any_of(errors.begin() + static_cast<std::ptrdiff_t>(errors_before), errors.end(),
                       [&](const FieldError& e) { return e.path.starts_with(full); });
  };
  const bool has_host = node.find("host") != nullptr;
  for (FieldError& rule : validate(spec)) {
    std::string field = rule.path.substr(0, rule.path.find_first_of(".["));
    // A DNS monitor's rule about what is asked for is about `host`, if that was written.
    if (field == "name" && std::holds_alternative<DnsTarget>(spec.probe.target) && has_host &&
        !spec.name.empty() && spec.name.size() <= kTextMax) {
      field = rule.path = "host";
    }
    const std::string full = path.empty() ? rule.path : fmt::format("{}.{}", path, rule.path);
    if (reported(path.empty() ? field : fmt::format("{}.{}", path, field))) continue;
    const Node* at = node.find(field);
    errors.push_back({full, describe(at == nullptr ? node.mark : at->mark) + rule.text});
  }
}

Node condition_to_node(const Condition& c) {
  if (c.group == GroupKind::kNone || !c.text.empty()) return Node::string(c.text);
  Node out = Node::map();
  if (c.group == GroupKind::kNot) {
    out.set(to_string(c.group), condition_to_node(c.parts.front()));
    return out;
  }
  Node& list = out.set(to_string(c.group), Node::list());
  for (const Condition& part : c.parts) list.items.push_back(condition_to_node(part));
  return out;
}

Node conditions(const std::vector<Condition>& all) {
  Node out = Node::list();
  for (const Condition& c : all) out.items.push_back(condition_to_node(c));
  return out;
}

void set_target(Node& out, const HttpTarget& http) { set_http_target(out, http); }

void set_target(Node& out, const TcpTarget& tcp) { set_tcp_target(out, tcp); }

void set_target(Node& out, const TlsTarget& tls) { set_tls_target(out, tls); }

void set_target(Node& out, const DnsTarget& dns) {
  out.set("host", Node::string(dns.name));
  out.set("record", Node::string(to_string(dns.type)));
  if (!dns.resolver.empty()) out.set("resolver", Node::string(dns.resolver));
  out.set("transport", Node::string(to_string(dns.transport)));
  if (dns.transport == DnsTransport::kTls) {
    if (!dns.server_name.empty()) out.set("server_name", Node::string(dns.server_name));
    out.set("verify", Node::boolean(dns.verify));
    if (!dns.ca_pem.empty()) out.set("ca", Node::string(dns.ca_pem));
  }
  out.set("recursion", Node::boolean(dns.recursion));
  out.set("dnssec", Node::boolean(dns.dnssec));
  out.set("rcode", Node::string(dns.rcode));
}

Node quorum_to_node(const QuorumRule& rule) {
  return rule.kind == QuorumKind::kNumber ? Node::integer(rule.number)
                                          : Node::string(to_string(rule));
}

const char* family_name(IpFamily family) {
  switch (family) {
    case IpFamily::kAny:
      return "any";
    case IpFamily::kV4:
      return "ipv4";
    case IpFamily::kV6:
      return "ipv6";
  }
  return "any";
}

}  // namespace

MonitorSpec read_monitor(const Node& node, const std::string& path, Errors& errors) {
  MonitorSpec out;
  const std::size_t errors_before = errors.size();
  MapReader reader{node, path, errors};
  if (node.kind != Node::Kind::kMap) return out;
  reader.text("key", out.key);
  out.name = out.key;
  reader.text("name", out.name);

  ProbeSpec& probe = out.probe;
  const bool has_target = read_target(reader, out.name, probe.target, errors);
  reader.duration("interval", probe.interval);
  probe.timeout = default_timeout(probe.interval);
  reader.duration("timeout", probe.timeout);
  reader.integer("retries", 0, 10, probe.retry.retries);
  probe.retry.delay = default_retry_delay(probe.interval);
  reader.duration("retry_delay", probe.retry.delay);
  reader.boolean("retry_assertions", probe.retry.retry_assertions);
  read_family(reader, probe.family);
  reader.has("assert");
  reader.has("degraded");
  if (has_target) {
    read_conditions(reader, "assert", probe.target, probe.assertions.all, errors);
    read_conditions(reader, "degraded", probe.target, probe.degraded, errors);
  }

  reader.texts("regions", out.regions);
  read_quorum(reader, out.quorum);
  reader.integer("open_after", 1, 10, out.open_after);
  reader.integer("close_after", 1, 10, out.close_after);
  reader.boolean("confirm", out.confirm);
  read_page_on(reader, out.page_on_degraded);
  reader.boolean("paused", out.paused);
  reader.text("service", out.service);
  read_tags(reader, out.tags, errors);
  reader.texts("depends_on", out.depends_on);
  reader.finish();
  if (has_target) add_rule_errors(node, out, path, errors_before, errors);
  return out;
}

Node to_node(const MonitorSpec& monitor) {
  const ProbeSpec& probe = monitor.probe;
  Node out = Node::map();
  out.set("key", Node::string(monitor.key));
  out.set("name", Node::string(monitor.name));
  out.set("type", Node::string(type_name(probe.target)));
  std::visit([&](const auto& target) { set_target(out, target); }, probe.target);
  out.set("interval", duration_node(probe.interval));
  out.set("timeout", duration_node(probe.timeout));
  out.set("retries", Node::integer(probe.retry.retries));
  out.set("retry_delay", duration_node(probe.retry.delay));
  out.set("retry_assertions", Node::boolean(probe.retry.retry_assertions));
  out.set("family", Node::string(family_name(probe.family)));
  if (!monitor.regions.empty()) out.set("regions", texts(monitor.regions));
  out.set("quorum", quorum_to_node(monitor.quorum));
  out.set("open_after", Node::integer(monitor.open_after));
  out.set("close_after", Node::integer(monitor.close_after));
  out.set("confirm", Node::boolean(monitor.confirm));
  out.set("page_on", texts(monitor.page_on_degraded ? std::vector<std::string>{"down", "degraded"}
                                                    : std::vector<std::string>{"down"}));
  if (monitor.paused) out.set("paused", Node::boolean(true));
  if (!probe.assertions.all.empty()) out.set("assert", conditions(probe.assertions.all));
  if (!probe.degraded.empty()) out.set("degraded", conditions(probe.degraded));
  out.set("service", Node::string(monitor.service));
  if (!monitor.tags.empty()) {
    Node& tags = out.set("tags", Node::map());
    for (const auto& [name, value] : monitor.tags) tags.set(name, Node::string(value));
  }
  if (!monitor.depends_on.empty()) out.set("depends_on", texts(monitor.depends_on));
  return out;
}

}  // namespace tocsin::collector
