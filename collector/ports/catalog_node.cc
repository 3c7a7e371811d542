#include "collector/ports/catalog_node.h"

#include "common/assert/parser.h"
#include "common/base/strings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <string_view>

namespace tocsin::collector {

namespace {

using codec::MapReader;
using codec::Mark;
using codec::Node;
using Errors = std::vector<FieldError>;

constexpr std::size_t kStepsMax = 20;
constexpr std::size_t kTextMax = 200;
constexpr std::size_t kUrlMax = 2048;
constexpr Duration kRuleDelayMax = std::chrono::hours{24};

constexpr std::array<std::string_view, 3> kTypes{"http", "tcp", "dns"};
/// Words of the language whose checks come with later versions.
constexpr std::array<std::string_view, 8> kLaterTypes{"icmp",      "tls", "smtp",      "grpc",
                                                      "websocket", "udp", "heartbeat", "composite"};

std::string one_of(std::string_view word, const std::vector<std::string_view>& known) {
  const std::string_view near = did_you_mean(word, known);
  std::vector<std::string> words(known.begin(), known.end());
  return fmt::format("expected one of {}, not '{}'{}", join(words, ", "), printable(word, 40),
                     near.empty() ? std::string{} : fmt::format("; did you mean '{}'?", near));
}

/// A required key of an object.
void read_key(MapReader& reader, std::string_view field, std::string& out) {
  if (!reader.has(field)) {
    return reader.error(field, fmt::format("expected a {}: [a-z0-9-], 1 to 63 characters", field));
  }
  reader.text(field, out);
  if (!out.empty() && !is_key(out)) {
    reader.error(
        field, fmt::format("expected [a-z0-9-], 1 to 63 characters, not '{}'", printable(out, 80)));
  }
}

/// Text for people: bounded, UTF-8.
void read_title(MapReader& reader, std::string_view field, std::string& out) {
  reader.text(field, out);
  if (out.size() > kTextMax || !is_valid_utf8(out)) {
    reader.error(field, fmt::format("expected at most {} bytes of UTF-8", kTextMax));
  }
}

/// The items of a list field, each with its path; nothing when absent.
template <class F>
void each(MapReader& reader, std::string_view field, F f) {
  const Node* list = reader.child(field);
  if (list == nullptr) return;
  if (list->kind != Node::Kind::kList) {
    return reader.error(field, fmt::format("expected a list, not {}", to_string(list->kind)));
  }
  for (std::size_t i = 0; i < list->items.size(); ++i) {
    f(list->items[i], fmt::format("{}[{}]", reader.path_of(field), i));
  }
}

// --- monitors ---

void read_headers(MapReader& reader, std::vector<Header>& out, Errors& errors) {
  const Node* node = reader.child("headers");
  if (node == nullptr) return;
  if (node->kind == Node::Kind::kMap) {
    for (const auto& [name, value] : node->entries) {
      if (value.kind != Node::Kind::kString && value.kind != Node::Kind::kNumber) {
        errors.push_back({fmt::format("{}.{}", reader.path_of("headers"), printable(name, 64)),
                          fmt::format("{}expected text", describe(value.mark))});
        continue;
      }
      out.push_back({name, value.text});
    }
    return;
  }
  if (node->kind != Node::Kind::kList) {
    return reader.error("headers",
                        "expected a map of names and values, or a list of 'Name: value'");
  }
  each(reader, "headers", [&](const Node& item, const std::string& path) {
    const std::size_t colon = item.text.find(':');
    if (item.kind != Node::Kind::kString || colon == std::string::npos) {
      errors.push_back({path, fmt::format("{}expected 'Name: value'", describe(item.mark))});
      return;
    }
    out.push_back({item.text.substr(0, colon),
                   std::string{trim(std::string_view{item.text}.substr(colon + 1))}});
  });
}

Target read_http(MapReader& reader, Errors& errors) {
  HttpTarget http;
  reader.text("url", http.url);
  reader.text("method", http.method);
  read_headers(reader, http.headers, errors);
  reader.text("body", http.body);
  reader.integer("redirects", 0, 10, http.redirects_max);
  reader.boolean("verify", http.verify);
  reader.text("ca", http.ca_pem);
  return http;
}

/// "tcp://HOST:PORT", IPv6 addresses in brackets.
bool split_tcp_url(std::string_view url, TcpTarget& out) {
  constexpr std::string_view kScheme = "tcp://";
  if (!url.starts_with(kScheme)) return false;
  url.remove_prefix(kScheme.size());
  const std::size_t colon = url.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  std::string_view host = url.substr(0, colon);
  const std::string_view port = url.substr(colon + 1);
  if (host.front() == '[') {
    if (host.back() != ']' || host.size() < 3) return false;
    host = host.substr(1, host.size() - 2);
  } else if (host.find_first_of(":/@[]") != std::string_view::npos) {
    return false;
  }
  const auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), out.port);
  if (ec != std::errc{} || end != port.data() + port.size() || out.port == 0) return false;
  out.host = host;
  return true;
}

Target read_tcp(MapReader& reader) {
  TcpTarget tcp;
  std::string url;
  reader.text("url", url);
  if (!url.empty()) {
    if (!split_tcp_url(url, tcp)) reader.error("url", "expected tcp://HOST:PORT");
    if (reader.has("host") || reader.has("port")) {
      reader.error("url", "expected either url or host and port, not both");
    }
  }
  reader.text("host", tcp.host);
  int port = tcp.port;
  reader.integer("port", 1, 65535, port);
  tcp.port = static_cast<std::uint16_t>(port);
  reader.text("send", tcp.send);
  reader.text("expect", tcp.expect);
  return tcp;
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
  reader.boolean("tcp", dns.tcp);
  return dns;
}

/// True when the target could be read; keys of other types stay unasked and become errors.
bool read_target(MapReader& reader, const std::string& name, Target& out, Errors& errors) {
  std::string type;
  reader.text("type", type);
  if (type == "http") {
    out = read_http(reader, errors);
  } else if (type == "tcp") {
    out = read_tcp(reader);
  } else if (type == "dns") {
    out = read_dns(reader, name);
  } else {
    if (type.empty()) {
      if (!reader.has("type")) reader.error("type", "expected a type: http, tcp or dns");
    } else if (std::find(kLaterTypes.begin(), kLaterTypes.end(), type) != kLaterTypes.end()) {
      reader.error("type", fmt::format("{} monitors are not in this version: expected http, tcp "
                                       "or dns",
                                       type));
    } else {
      reader.error("type", one_of(type, {kTypes.begin(), kTypes.end()}));
    }
    // One mistake, one error: which of these belong cannot be known.
    for (const char* key : {"url", "method", "headers", "body", "redirects", "verify", "ca", "host",
                            "port", "send", "expect", "record", "resolver", "tcp"}) {
      reader.has(key);
    }
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

void read_conditions(MapReader& reader, std::string_view field, const Target& target,
                     std::vector<Condition>& out, Errors& errors) {
  const Node* node = reader.child(field);
  if (node == nullptr) return;
  const auto read = [&](const Node& item, const std::string& path) {
    if (item.kind != Node::Kind::kString) {
      errors.push_back({path, fmt::format("{}expected a condition such as 'status == 200'",
                                          describe(item.mark))});
      return;
    }
    auto condition = assertion::parse_condition(item.text, target);
    if (condition) {
      out.push_back(*std::move(condition));
    } else {
      errors.push_back({path, describe(item.mark) + condition.error().text});
    }
  };
  if (node->kind == Node::Kind::kString) return read(*node, reader.path_of(field));
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

Node texts(const std::vector<std::string>& words) {
  Node out = Node::list();
  for (const std::string& word : words) out.items.push_back(Node::string(word));
  return out;
}

Node conditions(const std::vector<Condition>& all) {
  Node out = Node::list();
  for (const Condition& c : all) out.items.push_back(Node::string(c.text));
  return out;
}

Node headers_to_node(const std::vector<Header>& headers) {
  Node map = Node::map();
  for (const Header& h : headers) {
    if (map.find(h.name) != nullptr) {  // Twice the same name: only the list form can say it.
      Node list = Node::list();
      for (const Header& each_header : headers) {
        list.items.push_back(
            Node::string(fmt::format("{}: {}", each_header.name, each_header.value)));
      }
      return list;
    }
    map.set(h.name, Node::string(h.value));
  }
  return map;
}

void set_target(Node& out, const HttpTarget& http) {
  out.set("url", Node::string(http.url));
  out.set("method", Node::string(http.method));
  if (!http.headers.empty()) out.set("headers", headers_to_node(http.headers));
  if (!http.body.empty()) out.set("body", Node::string(http.body));
  out.set("redirects", Node::integer(http.redirects_max));
  out.set("verify", Node::boolean(http.verify));
  if (!http.ca_pem.empty()) out.set("ca", Node::string(http.ca_pem));
}

void set_target(Node& out, const TcpTarget& tcp) {
  out.set("host", Node::string(tcp.host));
  out.set("port", Node::integer(tcp.port));
  if (!tcp.send.empty()) out.set("send", Node::string(tcp.send));
  if (!tcp.expect.empty()) out.set("expect", Node::string(tcp.expect));
}

void set_target(Node& out, const DnsTarget& dns) {
  out.set("host", Node::string(dns.name));
  out.set("record", Node::string(to_string(dns.type)));
  if (!dns.resolver.empty()) out.set("resolver", Node::string(dns.resolver));
  if (dns.tcp) out.set("tcp", Node::boolean(true));
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

Node duration_node(Duration d) { return Node::string(format_duration(d)); }

// --- the others ---

/// Where a channel or a contact method sends to: type, to or url, secret.
void read_destination(MapReader& reader, ChannelType& type, std::string& to, std::string& url,
                      std::string& secret_file, SendRate& rate, Errors& errors) {
  std::string word;
  reader.text("type", word);
  if (word == "webhook") {
    type = ChannelType::kWebhook;
  } else if (word == "email") {
    type = ChannelType::kEmail;
  } else {
    reader.error("type", one_of(word, {"webhook", "email"}));
  }
  const bool web = type == ChannelType::kWebhook;
  reader.text("url", url);
  reader.text("to", to);
  if (web) {
    const bool good = url.starts_with("http://") || url.starts_with("https://");
    if (!good || url.size() > kUrlMax) {
      reader.error("url",
                   fmt::format("expected an http:// or https:// URL of at most {} bytes", kUrlMax));
    }
    if (!to.empty()) reader.error("to", "only e-mail has an address: expected url");
  } else {
    if (!is_mail_address(to)) reader.error("to", "expected an e-mail address");
    if (!url.empty()) reader.error("url", "e-mail has no URL: expected to");
  }
  std::string pace;
  reader.text("rate", pace);
  if (const auto known = parse_rate(pace)) {
    rate = *known;
  } else {
    reader.error("rate", known.error().text);
  }
  const Node* secret = reader.child("secret");
  if (secret == nullptr) return;
  if (secret->kind != Node::Kind::kMap) {
    reader.error("secret", "expected {file: NAME}: secrets are never written here");
    return;
  }
  MapReader secret_reader{*secret, reader.path_of("secret"), errors};
  secret_reader.text("file", secret_file);
  const bool plain = !secret_file.empty() && secret_file.size() <= kTextMax &&
                     secret_file.front() != '.' &&
                     std::all_of(secret_file.begin(), secret_file.end(), [](char c) {
                       return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                              (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
                     });
  if (!plain) {
    secret_reader.error("file", "expected the name of a file in secrets_dir, without slashes");
  }
  secret_reader.finish();
}

bool read_urgency(MapReader& reader, Urgency& out) {
  std::string word;
  reader.text("urgency", word);
  if (word == "high") {
    out = Urgency::kHigh;
  } else if (word == "low") {
    out = Urgency::kLow;
  } else {
    return false;
  }
  return true;
}

/// An http(s) URL for readers, or an address where that is allowed.
void read_link(MapReader& reader, std::string_view field, bool or_address, std::string& out) {
  reader.text(field, out);
  if (out.empty()) return;
  const bool web = (out.starts_with("http://") || out.starts_with("https://")) &&
                   out.size() <= kUrlMax && out.find_first_of(" \"'<>\t\r\n") == std::string::npos;
  if (web || (or_address && is_mail_address(out))) return;
  reader.error(field, or_address ? "expected an http(s) URL or an e-mail address"
                                 : "expected an http:// or https:// URL");
}

void mint_ids(UserSpec& user, const IdSource& new_id) {
  user.id = UserId{new_id()};
  for (ContactMethod& contact : user.contacts) contact.id = ContactMethodId{new_id()};
  for (NotificationRule& rule : user.rules) rule.id = NotificationRuleId{new_id()};
}

NotifyTarget read_notify(const Node& node, const std::string& path, Errors& errors) {
  NotifyTarget target;
  const std::size_t before = errors.size();
  MapReader reader{node, path, errors};
  if (node.kind != Node::Kind::kMap) return target;
  if (reader.has("schedule")) {
    errors.push_back({path, fmt::format("{}schedules are not in this version: expected channel or "
                                        "user",
                                        describe(node.mark))});
    return target;
  }
  reader.text("channel", target.channel);
  reader.text("user", target.user);
  const bool both = !target.channel.empty() && !target.user.empty();
  if (errors.size() == before && (both || !is_key(target.channel + target.user))) {
    reader.error(target.user.empty() ? "channel" : "user",
                 "expected either {channel: KEY} or {user: KEY}");
  }
  reader.finish();
  return target;
}

Node notify_to_node(const NotifyTarget& target) {
  if (!target.user.empty()) return Node::map({{"user", Node::string(target.user)}});
  return Node::map({{"channel", Node::string(target.channel)}});
}

/// Reads one top-level list; keys that stand twice are refused here, where both lines are known.
template <class Spec, class Read>
void read_list(MapReader& top, std::string_view field, std::string_view key_field,
               std::string Spec::*key, Read read, std::vector<Spec>& out, Errors& errors) {
  std::map<std::string, Mark> seen;
  each(top, field, [&](const Node& item, std::string path) {
    const Node* key_node = item.find(key_field);
    if (key_node != nullptr && is_key(key_node->text)) {
      path = fmt::format("{}[{}]", field, key_node->text);
    }
    Spec spec = read(item, path, errors);
    if (is_key(spec.*key)) {
      const auto [first, fresh] = seen.try_emplace(spec.*key, item.mark);
      if (!fresh) {
        errors.push_back(
            {path, fmt::format("{}'{}' stands twice{}", describe(item.mark), spec.*key,
                               first->second.line == 0
                                   ? std::string{}
                                   : fmt::format("; first on line {}", first->second.line))});
      }
    }
    out.push_back(std::move(spec));
  });
}

template <class Map, class F>
void set_list(Node& out, const char* field, const Map& objects, F node_of) {
  if (objects.empty()) return;
  Node& list = out.set(field, Node::list());
  for (const auto& [key, object] : objects) list.items.push_back(node_of(object));
}

}  // namespace

RegionSpec read_region(const Node& node, const std::string& path, Errors& errors) {
  RegionSpec out;
  MapReader reader{node, path, errors};
  if (node.kind != Node::Kind::kMap) return out;
  read_key(reader, "key", out.key);
  out.name = out.key;
  read_title(reader, "name", out.name);
  reader.finish();
  return out;
}

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

ServiceSpec read_service(const Node& node, const std::string& path, Errors& errors) {
  ServiceSpec out;
  MapReader reader{node, path, errors};
  if (node.kind != Node::Kind::kMap) return out;
  read_key(reader, "key", out.key);
  out.name = out.key;
  read_title(reader, "name", out.name);
  reader.text("policy", out.policy);
  if (!out.policy.empty() && !is_key(out.policy)) {
    reader.error("policy", "expected an escalation policy's key");
  }
  read_title(reader, "description", out.description);
  if (reader.has("urgency") && !read_urgency(reader, out.urgency)) {
    reader.error("urgency", "expected high or low");
  }
  reader.finish();
  return out;
}

PolicySpec read_policy(const Node& node, const std::string& path, Errors& errors) {
  PolicySpec out;
  MapReader reader{node, path, errors};
  if (node.kind != Node::Kind::kMap) return out;
  read_key(reader, "key", out.key);
  reader.integer("repeat", 0, 10, out.repeat);
  reader.duration("ack_timeout", out.ack_timeout);
  if (const Node* fallback = reader.child("fallback")) {
    out.fallback = read_notify(*fallback, reader.path_of("fallback"), errors);
  }
  each(reader, "steps", [&](const Node& item, const std::string& step_path) {
    EscalationStep step;
    MapReader step_reader{item, step_path, errors};
    if (item.kind != Node::Kind::kMap) return;
    step_reader.duration("delay", step.delay);
    if (step.delay > std::chrono::hours{24 * 7}) step_reader.error("delay", "expected at most 7d");
    each(step_reader, "notify", [&](const Node& target, const std::string& target_path) {
      step.notify.push_back(read_notify(target, target_path, errors));
    });
    if (step.notify.empty() || step.notify.size() > kStepsMax) {
      step_reader.error("notify", fmt::format("expected 1 to {} targets", kStepsMax));
    }
    step_reader.finish();
    out.steps.push_back(std::move(step));
  });
  const Node* steps = node.find("steps");
  if (steps == nullptr || (steps->kind == Node::Kind::kList &&
                           (steps->items.empty() || steps->items.size() > kStepsMax))) {
    reader.error("steps", fmt::format("expected 1 to {} steps", kStepsMax));
  }
  reader.finish();
  return out;
}

ChannelSpec read_channel(const Node& node, const std::string& path, Errors& errors) {
  ChannelSpec out;
  MapReader reader{node, path, errors};
  if (node.kind != Node::Kind::kMap) return out;
  read_key(reader, "key", out.key);
  read_destination(reader, out.type, out.to, out.url, out.secret_file, out.rate, errors);
  reader.finish();
  return out;
}

StatusPageSpec read_page(const Node& node, const std::string& path, Errors& errors) {
  StatusPageSpec out;
  MapReader reader{node, path, errors};
  if (node.kind != Node::Kind::kMap) return out;
  read_key(reader, "slug", out.slug);
  out.title = out.slug;
  read_title(reader, "title", out.title);
  read_title(reader, "description", out.description);
  read_link(reader, "homepage", false, out.homepage);
  read_link(reader, "contact", true, out.contact);
  reader.boolean("noindex", out.noindex);
  std::map<std::string, std::string> seen;  // Component key to the path of the first one.
  each(reader, "groups", [&](const Node& item, const std::string& group_path) {
    PageGroup group;
    MapReader group_reader{item, group_path, errors};
    if (item.kind != Node::Kind::kMap) return;
    read_title(group_reader, "name", group.name);
    each(group_reader, "components", [&](const Node& part, const std::string& part_path) {
      PageComponent component = read_component(part, part_path, errors);
      if (part.kind != Node::Kind::kMap) return;
      const auto [first, fresh] = seen.try_emplace(component.key(), part_path);
      if (!fresh) {
        errors.push_back(
            {part_path, fmt::format("{}'{}' is a component already: {}", describe(part.mark),
                                    component.key(), first->second)});
      }
      group.components.push_back(std::move(component));
    });
    group_reader.finish();
    out.groups.push_back(std::move(group));
  });
  reader.finish();
  return out;
}

PageComponent read_component(const Node& node, const std::string& path, Errors& errors) {
  PageComponent out;
  MapReader reader{node, path, errors};
  if (node.kind != Node::Kind::kMap) return out;
  reader.text("monitor", out.monitor);
  read_title(reader, "name", out.name);
  read_title(reader, "description", out.description);
  if (out.monitor.empty() ? out.name.empty() : !is_key(out.monitor)) {
    reader.error("monitor",
                 "expected a monitor's key, or a name for a component that follows no monitor");
  }
  reader.finish();
  return out;
}

UserSpec read_user(const Node& node, const std::string& path, Errors& errors) {
  UserSpec out;
  MapReader reader{node, path, errors};
  if (node.kind != Node::Kind::kMap) return out;
  read_key(reader, "key", out.key);
  out.name = out.key;
  read_title(reader, "name", out.name);
  reader.text("email", out.email);
  if (!out.email.empty() && !is_mail_address(out.email)) {
    reader.error("email", "expected an e-mail address");
  }
  std::string role = to_string(out.role);
  reader.text("role", role);
  if (const auto known = parse_role(role)) {
    out.role = *known;
  } else {
    reader.error("role", one_of(role, {"viewer", "responder", "editor", "admin"}));
  }
  read_title(reader, "time_zone", out.time_zone);
  if (out.time_zone.empty())
    reader.error("time_zone", "expected an IANA name such as Europe/Berlin");
  reader.boolean("disabled", out.disabled);
  each(reader, "contact_methods", [&](const Node& item, const std::string& item_path) {
    out.contacts.push_back(read_contact(item, item_path, errors));
  });
  if (out.contacts.size() > kUserPartsMax) {
    reader.error("contact_methods", fmt::format("expected at most {}", kUserPartsMax));
  }
  each(reader, "notification_rules", [&](const Node& item, const std::string& item_path) {
    out.rules.push_back(read_rule(item, item_path, errors));
  });
  if (out.rules.size() > kUserPartsMax) {
    reader.error("notification_rules", fmt::format("expected at most {}", kUserPartsMax));
  }
  reader.finish();
  return out;
}

ContactMethod read_contact(const Node& node, const std::string& path, Errors& errors) {
  ContactMethod out;
  MapReader reader{node, path, errors};
  if (node.kind != Node::Kind::kMap) return out;
  read_key(reader, "key", out.key);
  read_destination(reader, out.type, out.to, out.url, out.secret_file, out.rate, errors);
  reader.finish();
  return out;
}

NotificationRule read_rule(const Node& node, const std::string& path, Errors& errors) {
  NotificationRule out;
  MapReader reader{node, path, errors};
  if (node.kind != Node::Kind::kMap) return out;
  reader.text("contact", out.contact);
  if (!is_key(out.contact)) reader.error("contact", "expected the key of a contact method");
  reader.duration("delay", out.delay);
  if (out.delay < Duration{0} || out.delay > kRuleDelayMax) {
    reader.error("delay", fmt::format("expected 0s to {}", format_duration(kRuleDelayMax)));
  }
  if (reader.has("urgency")) {
    Urgency urgency = Urgency::kHigh;
    if (read_urgency(reader, urgency)) {
      out.urgency = urgency;
    } else {
      reader.error("urgency", "expected high or low; leave it out for both");
    }
  }
  reader.finish();
  return out;
}

tl::expected<CatalogEdit, Errors> read_catalog(const Node& node, const IdSource& new_id) {
  CatalogEdit edit;
  Errors errors;
  // A file with nothing but comments defines nothing.
  if (node.kind == Node::Kind::kNull) return edit;
  MapReader top{node, "", errors};
  if (node.kind == Node::Kind::kMap) {
    read_list(top, "regions", "key", &RegionSpec::key, read_region, edit.regions, errors);
    read_list(top, "monitors", "key", &MonitorSpec::key, read_monitor, edit.monitors, errors);
    read_list(top, "services", "key", &ServiceSpec::key, read_service, edit.services, errors);
    read_list(top, "escalation-policies", "key", &PolicySpec::key, read_policy, edit.policies,
              errors);
    read_list(top, "channels", "key", &ChannelSpec::key, read_channel, edit.channels, errors);
    read_list(top, "users", "key", &UserSpec::key, read_user, edit.users, errors);
    read_list(top, "status-pages", "slug", &StatusPageSpec::slug, read_page, edit.pages, errors);
    top.finish();
  }
  if (!errors.empty()) return tl::unexpected<Errors>{std::move(errors)};
  for (MonitorSpec& o : edit.monitors) o.id = MonitorId{new_id()};
  for (ServiceSpec& o : edit.services) o.id = ServiceId{new_id()};
  for (PolicySpec& o : edit.policies) o.id = PolicyId{new_id()};
  for (ChannelSpec& o : edit.channels) o.id = ChannelId{new_id()};
  for (StatusPageSpec& o : edit.pages) o.id = StatusPageId{new_id()};
  for (UserSpec& o : edit.users) mint_ids(o, new_id);
  return edit;
}

Node to_node(const RegionSpec& region) {
  return Node::map({{"key", Node::string(region.key)}, {"name", Node::string(region.name)}});
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

Node to_node(const ServiceSpec& service) {
  Node out = Node::map();
  out.set("key", Node::string(service.key));
  out.set("name", Node::string(service.name));
  if (!service.policy.empty()) out.set("policy", Node::string(service.policy));
  if (!service.description.empty()) out.set("description", Node::string(service.description));
  out.set("urgency", Node::string(to_string(service.urgency)));
  return out;
}

Node to_node(const PolicySpec& policy) {
  Node out = Node::map();
  out.set("key", Node::string(policy.key));
  out.set("repeat", Node::integer(policy.repeat));
  if (policy.ack_timeout != Duration{0}) out.set("ack_timeout", duration_node(policy.ack_timeout));
  if (policy.fallback) out.set("fallback", notify_to_node(*policy.fallback));
  Node& steps = out.set("steps", Node::list());
  for (const EscalationStep& step : policy.steps) {
    Node item = Node::map();
    item.set("delay", duration_node(step.delay));
    Node& notify = item.set("notify", Node::list());
    for (const NotifyTarget& target : step.notify) notify.items.push_back(notify_to_node(target));
    steps.items.push_back(std::move(item));
  }
  return out;
}

Node to_node(const ChannelSpec& channel) {
  Node out = Node::map();
  out.set("key", Node::string(channel.key));
  out.set("type", Node::string(to_string(channel.type)));
  if (!channel.url.empty()) out.set("url", Node::string(channel.url));
  if (!channel.to.empty()) out.set("to", Node::string(channel.to));
  if (channel.rate.count > 0) out.set("rate", Node::string(format_rate(channel.rate)));
  if (!channel.secret_file.empty()) {
    out.set("secret", Node::map({{"file", Node::string(channel.secret_file)}}));
  }
  return out;
}

Node to_node(const StatusPageSpec& page) {
  Node out = Node::map();
  out.set("slug", Node::string(page.slug));
  out.set("title", Node::string(page.title));
  if (!page.description.empty()) out.set("description", Node::string(page.description));
  if (!page.homepage.empty()) out.set("homepage", Node::string(page.homepage));
  if (!page.contact.empty()) out.set("contact", Node::string(page.contact));
  if (page.noindex) out.set("noindex", Node::boolean(true));
  Node& groups = out.set("groups", Node::list());
  for (const PageGroup& group : page.groups) {
    Node item = Node::map();
    if (!group.name.empty()) item.set("name", Node::string(group.name));
    Node& components = item.set("components", Node::list());
    for (const PageComponent& component : group.components) {
      components.items.push_back(to_node(component));
    }
    groups.items.push_back(std::move(item));
  }
  return out;
}

Node to_node(const PageComponent& component) {
  Node out = Node::map();
  if (!component.monitor.empty()) out.set("monitor", Node::string(component.monitor));
  if (!component.name.empty()) out.set("name", Node::string(component.name));
  if (!component.description.empty()) {
    out.set("description", Node::string(component.description));
  }
  return out;
}

Node to_node(const UserSpec& user) {
  Node out = Node::map();
  out.set("key", Node::string(user.key));
  out.set("name", Node::string(user.name));
  if (!user.email.empty()) out.set("email", Node::string(user.email));
  out.set("role", Node::string(to_string(user.role)));
  out.set("time_zone", Node::string(user.time_zone));
  if (user.disabled) out.set("disabled", Node::boolean(true));
  if (!user.contacts.empty()) {
    Node& list = out.set("contact_methods", Node::list());
    for (const ContactMethod& contact : user.contacts) list.items.push_back(to_node(contact));
  }
  if (!user.rules.empty()) {
    Node& list = out.set("notification_rules", Node::list());
    for (const NotificationRule& rule : user.rules) list.items.push_back(to_node(rule));
  }
  return out;
}

Node to_node(const ContactMethod& contact) {
  Node out = Node::map();
  out.set("key", Node::string(contact.key));
  out.set("type", Node::string(to_string(contact.type)));
  if (!contact.to.empty()) out.set("to", Node::string(contact.to));
  if (!contact.url.empty()) out.set("url", Node::string(contact.url));
  if (contact.rate.count > 0) out.set("rate", Node::string(format_rate(contact.rate)));
  if (!contact.secret_file.empty()) {
    out.set("secret", Node::map({{"file", Node::string(contact.secret_file)}}));
  }
  return out;
}

Node to_node(const NotificationRule& rule) {
  Node out = Node::map();
  out.set("contact", Node::string(rule.contact));
  out.set("delay", duration_node(rule.delay));
  if (rule.urgency) out.set("urgency", Node::string(to_string(*rule.urgency)));
  return out;
}

Node to_node(const Catalog& catalog) {
  Node out = Node::map();
  const auto plain = [](const auto& object) { return to_node(object); };
  set_list(out, "regions", catalog.regions, plain);
  set_list(out, "users", catalog.users, plain);
  set_list(out, "channels", catalog.channels, plain);
  set_list(out, "escalation-policies", catalog.policies, plain);
  set_list(out, "services", catalog.services, plain);
  set_list(out, "monitors", catalog.monitors,
           [](const MonitorEntry& entry) { return to_node(entry.spec); });
  set_list(out, "status-pages", catalog.pages, plain);
  return out;
}

const char* to_string(ChannelType type) {
  switch (type) {
    case ChannelType::kWebhook:
      return "webhook";
    case ChannelType::kEmail:
      return "email";
  }
  return "?";
}

}  // namespace tocsin::collector
