#include "collector/store/rows.h"

#include "collector/ports/catalog_node.h"
#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/codec/json.h"
#include "common/wire/result.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <tuple>
#include <type_traits>

namespace tocsin::collector {

namespace {

using codec::Node;

/// What we wrote ourselves is read back without the bounds of an API body.
constexpr codec::JsonLimits kColumnLimits{
    .bytes_max = std::size_t{64} << 20, .depth_max = 32, .nodes_max = 10'000'000};

// --- one column: how a type becomes a Value and back ---

template <class E>
std::optional<E> from_word(std::string_view word) {
  for (int i = 0; i < 256; ++i) {
    const E value = static_cast<E>(i);
    const std::string_view name = to_string(value);
    if (name == word && name != "?") return value;
  }
  return std::nullopt;
}

Value write(bool v) { return std::int64_t{v ? 1 : 0}; }

Value write(const std::string& v) { return v; }

Value write(const SendRate& v) { return format_rate(v); }

Value write(WallTime v) {
  if (v == WallTime::never()) return std::monostate{};
  return v.us;
}

Value write(const Uuid& v) { return Blob{Bytes{as_view(v)}}; }

template <class Tag>
Value write(const Id<Tag>& v) {
  return write(v.bytes);
}

template <class T>
Value write(T v)
  requires std::is_integral_v<T>
{
  return static_cast<std::int64_t>(v);
}

template <class E>
Value write(E v)
  requires std::is_enum_v<E>
{
  if constexpr (std::is_same_v<E, SeriesId>) {
    return std::int64_t{static_cast<std::uint32_t>(v)};
  } else {
    return std::string{to_string(v)};
  }
}

template <class T>
Value write(const std::optional<T>& v) {
  if (!v) return std::monostate{};
  return write(*v);
}

bool read(const Value& in, bool& out) {
  const auto* v = std::get_if<std::int64_t>(&in);
  if (v == nullptr || (*v != 0 && *v != 1)) return false;
  out = *v == 1;
  return true;
}

bool read(const Value& in, std::string& out) {
  const auto* v = std::get_if<std::string>(&in);
  if (v != nullptr) out = *v;
  return v != nullptr;
}

bool read(const Value& in, SendRate& out) {
  const auto* v = std::get_if<std::string>(&in);
  if (v == nullptr) return false;
  const auto known = parse_rate(*v);
  if (known) out = *known;
  return known.has_value();
}

bool read(const Value& in, WallTime& out) {
  if (std::holds_alternative<std::monostate>(in)) {
    out = WallTime::never();
    return true;
  }
  const auto* v = std::get_if<std::int64_t>(&in);
  if (v != nullptr) out = WallTime{*v};
  return v != nullptr;
}

bool read(const Value& in, Uuid& out) {
  const auto* v = std::get_if<Blob>(&in);
  if (v == nullptr || v->bytes.size() != out.size()) return false;
  std::copy(v->bytes.begin(), v->bytes.end(), out.begin());
  return true;
}

template <class Tag>
bool read(const Value& in, Id<Tag>& out) {
  return read(in, out.bytes);
}

template <class T>
bool read(const Value& in, T& out)
  requires std::is_integral_v<T>
{
  const auto* v = std::get_if<std::int64_t>(&in);
  if (v == nullptr) return false;
  // 64 bits wrap around, as they did when they were written.
  if constexpr (sizeof(T) < sizeof(std::int64_t)) {
    if (*v < std::int64_t{std::numeric_limits<T>::min()} ||
        *v > std::int64_t{std::numeric_limits<T>::max()}) {
      return false;
    }
  }
  out = static_cast<T>(*v);
  return true;
}

template <class E>
bool read(const Value& in, E& out)
  requires std::is_enum_v<E>
{
  if constexpr (std::is_same_v<E, SeriesId>) {
    std::uint32_t v = 0;
    if (!read(in, v)) return false;
    out = SeriesId{v};
    return true;
  } else {
    const auto* word = std::get_if<std::string>(&in);
    const auto value = word == nullptr ? std::nullopt : from_word<E>(*word);
    if (value) out = *value;
    return value.has_value();
  }
}

template <class T>
bool read(const Value& in, std::optional<T>& out) {
  out.reset();
  if (std::holds_alternative<std::monostate>(in)) return true;
  return read(in, out.emplace());
}

// --- nested values ---

Node id_node(const Uuid& id) { return Node::string(format_uuid(id)); }

/// Exact: a Node keeps a number's text.
Node time_node(WallTime t) { return t == WallTime::never() ? Node{} : Node::integer(t.us); }

/// Reads what this file wrote: any surprise makes the whole value bad, and says so once.
class Fields {
 public:
  explicit Fields(const Node& node)
      : node_(node) {
    if (node.kind != Node::Kind::kMap) ok_ = false;
  }

  bool ok() const { return ok_; }

  void operator()(std::string_view key, std::string& out) {
    if (const Node* n = expect(key, Node::Kind::kString)) out = n->text;
  }

  template <class T>
  void operator()(std::string_view key, T& out)
    requires std::is_integral_v<T>
  {
    const Node* n = expect(key, Node::Kind::kNumber);
    if (n == nullptr) return;
    const char* last = n->text.data() + n->text.size();
    const auto [end, ec] = std::from_chars(n->text.data(), last, out);
    ok_ = ok_ && ec == std::errc{} && end == last;
  }

  void operator()(std::string_view key, WallTime& out) {
    const Node* n = node_.find(key);
    if (n != nullptr && n->kind == Node::Kind::kNull) {
      out = WallTime::never();
    } else {
      (*this)(key, out.us);
    }
  }

  void operator()(std::string_view key, std::optional<WallTime>& out) {
    const Node* n = node_.find(key);
    if (n == nullptr || n->kind == Node::Kind::kNull) return;
    (*this)(key, out.emplace());
  }

  template <class Tag>
  void operator()(std::string_view key, Id<Tag>& out) {
    const Node* n = expect(key, Node::Kind::kString);
    if (n == nullptr) return;
    const auto id = Id<Tag>::parse(n->text);
    ok_ = ok_ && id.has_value();
    if (id) out = *id;
  }

  template <class E>
  void word(std::string_view key, E& out) {
    const Node* n = expect(key, Node::Kind::kString);
    if (n == nullptr) return;
    const auto value = from_word<E>(n->text);
    ok_ = ok_ && value.has_value();
    if (value) out = *value;
  }

  const Node* expect(std::string_view key, Node::Kind kind) {
    const Node* n = node_.find(key);
    if (n == nullptr || n->kind != kind) {
      ok_ = false;
      return nullptr;
    }
    return n;
  }

  void fail() { ok_ = false; }

 private:
  const Node& node_;
  bool ok_ = true;
};

Node votes_node(const std::vector<Vote>& votes) {
  Node out = Node::list();
  for (const Vote& vote : votes) {
    Node n = Node::map();
    n.set("region", Node::string(vote.region));
    n.set("series", Node::integer(static_cast<std::uint32_t>(vote.series)));
    n.set("tick", Node::integer(vote.tick));
    n.set("outcome", Node::string(to_string(vote.outcome)));
    n.set("reason", Node::string(std::string{to_string(vote.reason)}));
    n.set("detail", Node::string(vote.detail));
    n.set("slot_us", time_node(vote.slot));
    out.items.push_back(std::move(n));
  }
  return out;
}

bool read_votes(const Node& node, std::vector<Vote>& out) {
  if (node.kind != Node::Kind::kList) return false;
  for (const Node& item : node.items) {
    Vote vote;
    Fields f{item};
    std::uint32_t series = 0;
    std::string reason;
    f("region", vote.region);
    f("series", series);
    f("tick", vote.tick);
    f.word("outcome", vote.outcome);
    f("reason", reason);
    f("detail", vote.detail);
    f("slot_us", vote.slot);
    const auto parsed = reason_from_name(reason);
    if (!f.ok() || !parsed) return false;
    vote.series = SeriesId{series};
    vote.reason = *parsed;
    out.push_back(std::move(vote));
  }
  return true;
}

/// An object of the catalogue inside another row: its written form, and its id before that.
template <class Spec>
Node with_id(const Spec& spec) {
  Node out = Node::map();
  out.set("id", id_node(spec.id.bytes));
  out.set("spec", to_node(spec));
  return out;
}

template <class Spec, class Read>
bool without_id(const Node& node, Spec& out, Read read_spec) {
  Fields f{node};
  auto id = out.id;
  f("id", id);
  const Node* spec = f.expect("spec", Node::Kind::kMap);
  if (!f.ok()) return false;
  std::vector<FieldError> errors;
  out = read_spec(*spec, "", errors);
  out.id = id;
  return errors.empty();
}

/// A destination as it was, field by field: the key of a contact method ("ann/mail") is none that
/// the written form of a channel accepts.
Node nested(const ChannelSpec& v) {
  return Node::map({{"id", id_node(v.id.bytes)},
                    {"key", Node::string(v.key)},
                    {"type", Node::string(to_string(v.type))},
                    {"url", Node::string(v.url)},
                    {"to", Node::string(v.to)},
                    {"secret_file", Node::string(v.secret_file)},
                    {"rate", Node::string(format_rate(v.rate))}});
}

bool nested(const Node& node, ChannelSpec& out) {
  Fields f{node};
  f("id", out.id);
  f("key", out.key);
  f.word("type", out.type);
  f("url", out.url);
  f("to", out.to);
  f("secret_file", out.secret_file);
  std::string rate;
  if (node.find("rate") != nullptr) f("rate", rate);  // Older rows have none.
  const auto known = parse_rate(rate);
  if (known) out.rate = *known;
  return f.ok() && known;
}

Node nested(const PolicySpec& v) { return v.key.empty() ? Node{} : with_id(v); }

bool nested(const Node& node, PolicySpec& out) {
  if (node.kind == Node::Kind::kNull) return true;
  return without_id(node, out, read_policy);
}

Node nested(const std::vector<Vote>& v) { return votes_node(v); }

bool nested(const Node& node, std::vector<Vote>& out) { return read_votes(node, out); }

Node nested(const std::vector<ChannelSpec>& v) {
  Node out = Node::list();
  for (const ChannelSpec& channel : v) out.items.push_back(nested(channel));
  return out;
}

bool nested(const Node& node, std::vector<ChannelSpec>& out) {
  if (node.kind != Node::Kind::kList) return false;
  for (const Node& item : node.items) {
    if (!nested(item, out.emplace_back())) return false;
  }
  return true;
}

/// A spec column: the written form alone, the id has its own column.
Node nested(const MonitorSpec& v) { return to_node(v); }

bool nested(const Node& node, MonitorSpec& out) {
  std::vector<FieldError> errors;
  const MonitorId id = out.id;
  out = read_monitor(node, "", errors);
  out.id = id;
  return errors.empty();
}

/// With the ids of contact methods and rules, which the written form leaves out.
Node nested(const UserSpec& v) {
  Node out = Node::map();
  out.set("spec", to_node(v));
  Node& contacts = out.set("contact_ids", Node::list());
  for (const ContactMethod& c : v.contacts) contacts.items.push_back(id_node(c.id.bytes));
  Node& rules = out.set("rule_ids", Node::list());
  for (const NotificationRule& r : v.rules) rules.items.push_back(id_node(r.id.bytes));
  return out;
}

template <class Part>
bool read_ids(const Node* node, std::vector<Part>& parts) {
  if (node == nullptr || node->items.size() != parts.size()) return false;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto id = parse_uuid(node->items[i].text);
    if (!id) return false;
    parts[i].id.bytes = *id;
  }
  return true;
}

bool nested(const Node& node, UserSpec& out) {
  Fields f{node};
  const Node* spec = f.expect("spec", Node::Kind::kMap);
  if (!f.ok()) return false;
  std::vector<FieldError> errors;
  const UserId id = out.id;
  out = read_user(*spec, "", errors);
  out.id = id;
  return errors.empty() && read_ids(node.find("contact_ids"), out.contacts) &&
         read_ids(node.find("rule_ids"), out.rules);
}

Node nested(const std::vector<std::string>& v) {
  Node out = Node::list();
  for (const std::string& text : v) out.items.push_back(Node::string(text));
  return out;
}

bool nested(const Node& node, std::vector<std::string>& out) {
  if (node.kind != Node::Kind::kList) return false;
  for (const Node& item : node.items) {
    if (item.kind != Node::Kind::kString) return false;
    out.push_back(item.text);
  }
  return true;
}

Node nested(const std::vector<NotificationId>& v) {
  Node out = Node::list();
  for (const NotificationId& id : v) out.items.push_back(id_node(id.bytes));
  return out;
}

bool nested(const Node& node, std::vector<NotificationId>& out) {
  if (node.kind != Node::Kind::kList) return false;
  for (const Node& item : node.items) {
    const auto id = NotificationId::parse(item.text);
    if (!id) return false;
    out.push_back(*id);
  }
  return true;
}

Node nested(const std::vector<ReportUpdate>& v) {
  Node out = Node::list();
  for (const ReportUpdate& update : v) {
    Node n = Node::map();
    n.set("at_us", time_node(update.at));
    n.set("state", Node::string(to_string(update.state)));
    n.set("text", Node::string(update.text));
    out.items.push_back(std::move(n));
  }
  return out;
}

bool nested(const Node& node, std::vector<ReportUpdate>& out) {
  if (node.kind != Node::Kind::kList) return false;
  for (const Node& item : node.items) {
    ReportUpdate& update = out.emplace_back();
    Fields f{item};
    f("at_us", update.at);
    f.word("state", update.state);
    f("text", update.text);
    if (!f.ok()) return false;
  }
  return true;
}

Node nested(const StatusPageSpec& v) { return to_node(v); }

bool nested(const Node& node, StatusPageSpec& out) {
  std::vector<FieldError> errors;
  const StatusPageId id = out.id;
  out = read_page(node, "", errors);
  out.id = id;
  return errors.empty();
}

/// Without the evidence, which has a column of its own.
Node nested(const NotificationContent& v) {
  Node out = Node::map();
  out.set("incident_number", Node::integer(static_cast<std::int64_t>(v.incident_number)));
  out.set("incident_kind", Node::string(to_string(v.incident_kind)));
  out.set("title", Node::string(v.title));
  out.set("because", Node::string(v.because));
  out.set("service", Node::string(v.service));
  out.set("monitor_key", Node::string(v.monitor_key));
  out.set("monitor_name", Node::string(v.monitor_name));
  out.set("target", Node::string(v.target));
  out.set("region", Node::string(v.region));
  out.set("urgency", Node::string(to_string(v.urgency)));
  out.set("started_us", time_node(v.started_at));
  out.set("opened_us", time_node(v.opened_at));
  if (v.resolved_at) out.set("resolved_us", time_node(*v.resolved_at));
  out.set("votes", votes_node(v.votes));
  out.set("step_because", Node::string(v.step_because));
  return out;
}

bool nested(const Node& node, NotificationContent& out) {
  Fields f{node};
  f("incident_number", out.incident_number);
  f.word("incident_kind", out.incident_kind);
  f("title", out.title);
  f("because", out.because);
  f("service", out.service);
  f("monitor_key", out.monitor_key);
  f("monitor_name", out.monitor_name);
  f("target", out.target);
  f("region", out.region);
  f.word("urgency", out.urgency);
  f("started_us", out.started_at);
  f("opened_us", out.opened_at);
  f("resolved_us", out.resolved_at);
  const Node* votes = f.expect("votes", Node::Kind::kList);
  if (votes != nullptr && !read_votes(*votes, out.votes)) f.fail();
  f("step_because", out.step_because);
  return f.ok();
}

// --- the three visitors of a mapping ---

class Lister {
 public:
  template <class T>
  void operator()(const char* name, const T&) {
    columns.push_back(name);
  }

  template <class T>
  void json(const char* name, const T&) {
    columns.push_back(name);
  }

  template <class T>
  void evidence(const char* name, const T&) {
    columns.push_back(name);
  }

  template <class F>
  void shown(const char* name, F) {
    columns.push_back(name);
  }

  std::vector<const char*> columns;
};

class ValueWriter {
 public:
  explicit ValueWriter(std::vector<Value>& out)
      : out_(out) {}

  template <class T>
  void operator()(const char*, const T& field) {
    out_.push_back(write(field));
  }

  template <class T>
  void json(const char*, const T& field) {
    out_.emplace_back(codec::print_json(nested(field)));
  }

  void evidence(const char*, const std::vector<CheckResult>& field) {
    out_.emplace_back(Blob{encode_evidence(field)});
  }

  /// A column for people, worth nothing to us: `value()` makes it.
  template <class F>
  void shown(const char*, F value) {
    out_.push_back(value());
  }

 private:
  std::vector<Value>& out_;
};

class ValueReader {
 public:
  explicit ValueReader(const std::vector<Value>& in)
      : in_(in) {}

  template <class T>
  void operator()(const char* name, T& field) {
    if (!read(next(), field)) bad(name);
  }

  template <class T>
  void json(const char* name, T& field) {
    const auto* text = std::get_if<std::string>(&next());
    const auto node = text == nullptr ? Expected<Node>{fail(Errc::kCorrupt, "not text")}
                                      : codec::parse_json(*text, kColumnLimits);
    if (!node || !nested(*node, field)) bad(name);
  }

  void evidence(const char* name, std::vector<CheckResult>& field) {
    const auto* blob = std::get_if<Blob>(&next());
    auto results = blob == nullptr
                       ? Expected<std::vector<CheckResult>>{fail(Errc::kCorrupt, "not a blob")}
                       : decode_evidence(blob->bytes);
    if (results) {
      field = *std::move(results);
    } else {
      bad(name);
    }
  }

  template <class F>
  void shown(const char*, F) {
    next();
  }

  const char* bad_column = nullptr;

 private:
  const Value& next() {
    static const Value kMissing;
    return at_ < in_.size() ? in_[at_++] : kMissing;
  }

  void bad(const char* name) {
    if (bad_column == nullptr) bad_column = name;
  }

  const std::vector<Value>& in_;
  std::size_t at_ = 0;
};

// --- the mappings: R is const when written ---

template <class T>
struct Mapping;

template <>
struct Mapping<MetaRow> {
  static constexpr const char* kName = "meta";
  static constexpr std::size_t kKey = 1;

  template <class V, class R>
  static void columns(V& v, R& r) {
    v("name", r.name);
    v("value", r.value);
  }
};

template <>
struct Mapping<RegionSpec> {
  static constexpr const char* kName = "regions";
  static constexpr std::size_t kKey = 1;

  template <class V, class R>
  static void columns(V& v, R& r) {
    v("key", r.key);
    v("name", r.name);
  }
};

template <>
struct Mapping<MonitorEntry> {
  static constexpr const char* kName = "monitors";
  static constexpr std::size_t kKey = 1;

  template <class V, class R>
  static void columns(V& v, R& r) {
    v("key", r.spec.key);
    v("id", r.spec.id);
    v.shown("name", [&] { return write(r.spec.name); });
    v.shown("type", [&] { return write(std::string{type_name(r.spec.probe.target)}); });
    v.shown("target", [&] { return write(describe(r.spec.probe.target)); });
    v.shown("interval_ms", [&] { return write(r.spec.probe.interval.count() / 1000); });
    v.shown("service", [&] { return write(r.spec.service); });
    v.shown("paused", [&] { return write(r.spec.paused); });
    v("spec_rev", r.spec_rev);
    v.json("spec", r.spec);
  }
};

template <>
struct Mapping<ServiceSpec> {
  static constexpr const char* kName = "services";
  static constexpr std::size_t kKey = 1;

  template <class V, class R>
  static void columns(V& v, R& r) {
    v("key", r.key);
    v("id", r.id);
    v("name", r.name);
    v("policy", r.policy);
    v("description", r.description);
    v("urgency", r.urgency);
  }
};

template <>
struct Mapping<PolicySpec> {
  static constexpr const char* kName = "policies";
  static constexpr std::size_t kKey = 1;

  template <class V, class R>
  static void columns(V& v, R& r) {
    v.shown("key", [&] { return write(r.key); });
    v.shown("id", [&] { return write(r.id); });
    v.json("spec", r);
  }
};

template <>
struct Mapping<ChannelSpec> {
  static constexpr const char* kName = "channels";
  static constexpr std::size_t kKey = 1;

  template <class V, class R>
  static void columns(V& v, R& r) {
    v("key", r.key);
    v("id", r.id);
    v("type", r.type);
    v("url", r.url);
    v("recipient", r.to);
    v("secret_file", r.secret_file);
    v("rate", r.rate);
  }
};

template <>
struct Mapping<StatusPageSpec> {
  static constexpr const char* kName = "status_pages";
  static constexpr std::size_t kKey = 1;

  template <class V, class R>
  static void columns(V& v, R& r) {
    v("slug", r.slug);
    v("id", r.id);
    v.shown("title", [&] { return write(r.title); });
    v.json("spec", r);
  }
};

template <>
struct Mapping<UserSpec> {
  static constexpr const char* kName = "users";
  static constexpr std::size_t kKey = 1;

  template <class V, class R>
  static void columns(V& v, R& r) {
    v.shown("key", [&] { return write(r.key); });
    v("id", r.id);
    v.shown("name", [&] { return write(r.name); });
    v.shown("role", [&] { return write(r.role); });
    v.shown("disabled", [&] { return write(r.disabled); });
    v.json("spec", r);
  }
};

template <>
struct Mapping<ObjectRow> {
  static constexpr const char* kName = "objects";
  static constexpr std::size_t kKey = 2;

  template <class V, class R>
  static void columns(V& v, R& r) {
    v("kind", r.kind);
    v("key", r.key);
    v("origin", r.meta.origin);
    v("rev", r.meta.rev);
    v("created_us", r.meta.created);
    v("updated_us", r.meta.updated);
  }
};

template <>
struct Mapping<CredentialRow> {
  static constexpr const char* kName = "credentials";
  static constexpr std::size_t kKey = 1;

  template <class V, class R>
  static void columns(V& v, R& r) {
    v("user", r.user);
    v("password_hash", r.password_hash);
    v("changed_us", r.changed_at);
  }
};

template <>
struct Mapping<TokenRow> {
  static constexpr const char* kName = "tokens";
  static constexpr std::size_t kKey = 1;

  template <class V, class R>
  static void columns(V& v, R& r) {
    v("id", r.id);
    v("name", r.name);
    v("prefix", r.prefix);
    v("digest", r.digest);
    v("owner", r.owner);
    v("role", r.role);
    v.json("scopes", r.scopes);
    v("created_us", r.created);
    v("created_by", r.created_by);
    v("expires_us", r.expires);
    v("last_used_us", r.last_used);
    v("revoked_us", r.revoked_at);
  }
};

template <>
struct Mapping<SessionRow> {
  static constexpr const char* kName = "sessions";
  static constexpr std::size_t kKey = 1;

  template <class V, class R>
  static void columns(V& v, R& r) {
    v("digest", r.digest);
    v("user", r.user);
    v("created_us", r.created);
    v("expires_us", r.expires);
    v("client", r.client);
  }
};

template <>
struct Mapping<AuditRow> {
  static constexpr const char* kName = "audit";
  static constexpr std::size_t kKey = 1;

  template <class V, class R>
  static void columns(V& v, R& r) {
    v("seq", r.seq);
    v("at_us", r.at);
    v("actor", r.actor);
    v("action", r.action);
    v("kind", r.kind);
    v("key", r.key);
    v("detail", r.detail);
  }
};

template <>
struct Mapping<IdempotencyRow> {
  static constexpr const char* kName = "requests";
  static constexpr std::size_t kKey = 1;

  template <class V, class R>
  static void columns(V& v, R& r) {
    v("key", r.key);
    v("digest", r.digest);
    v("subject", r.subject);
    v("at_us", r.at);
  }
};

template <>
struct Mapping<ReportRow> {
  static constexpr const char* kName = "reports";
  static constexpr std::size_t kKey = 1;

  template <class V, class R>
  static void columns(V& v, R& r) {
    v("id", r.id);
    v("page", r.page);
    v("kind", r.kind);
    v("title", r.title);
    v("impact", r.impact);
    v.json("components", r.components);
    v.json("updates", r.updates);
    v("scheduled_from_us", r.scheduled_from);
    v("scheduled_to_us", r.scheduled_to);
    v("created_us", r.created);
    v("created_by", r.created_by);
    v("rev", r.rev);
  }
};

template <>
struct Mapping<SecretRow> {
  static constexpr const char* kName = "secrets";
  static constexpr std::size_t kKey = 1;

  template <class V, class R>
  static void columns(V& v, R& r) {
    v("name", r.name);
    v("sealed", r.sealed);
    v("rev", r.rev);
    v("changed_us", r.changed);
    v("changed_by", r.changed_by);
  }
};

template <>
struct Mapping<SeriesRow> {
  static constexpr const char* kName = "series";
  static constexpr std::size_t kKey = 1;

  template <class V, class R>
  static void columns(V& v, R& r) {
    v("series", r.series);
    v("monitor", r.monitor);
    v("monitor_key", r.monitor_key);
    v("region", r.region);
    v("generation", r.generation);
    v("interval_ms", r.grid.interval_ms);
    v("phase_ms", r.grid.phase_ms);
    v("from_us", r.from);
    v("to_us", r.to);
  }
};

template <>
struct Mapping<AgentRow> {
  static constexpr const char* kName = "agents";
  static constexpr std::size_t kKey = 1;

  template <class V, class R>
  static void columns(V& v, R& r) {
    v("agent", r.agent);
    v("region", r.region);
    v("public_key", r.public_key);
    v("host", r.host);
    v("version", r.version);
    v("enrolled_us", r.enrolled_at);
    v("last_seen_us", r.last_seen);
    v("revoked_us", r.revoked_at);
    v("results_stored", r.results_stored);
    v("results_gapped", r.results_gapped);
    v("refused_too_old", r.refused_too_old);
    v("refused_future", r.refused_future);
    v("refused_unassigned", r.refused_unassigned);
    v("refused_duplicate", r.refused_duplicate);
    v("refused_quarantined", r.refused_quarantined);
    v("forks", r.forks);
    v("cloned", r.cloned);
  }
};

template <>
struct Mapping<EnrolmentRow> {
  static constexpr const char* kName = "enrolments";
  static constexpr std::size_t kKey = 1;

  template <class V, class R>
  static void columns(V& v, R& r) {
    v("id", r.id);
    v("region", r.region);
    v("public_key", r.public_key);
    v("expires_us", r.expires_at);
    v("used_us", r.used_at);
    v("agent", r.agent);
    v("name", r.name);
  }
};

template <>
struct Mapping<StreamRow> {
  static constexpr const char* kName = "streams";
  static constexpr std::size_t kKey = 5;

  template <class V, class R>
  static void columns(V& v, R& r) {
    v("agent", r.stream.agent);
    v("epoch", r.stream.epoch);
    v("nonce", r.stream.nonce);
    v("shard", r.stream.shard);
    v("class", r.stream.cls);
    v("high_water", r.high_water);
    v("digest", r.digest);
    v("last_seen_us", r.last_seen);
  }
};

template <>
struct Mapping<AssignmentRow> {
  static constexpr const char* kName = "assignments";
  static constexpr std::size_t kKey = 3;

  template <class V, class R>
  static void columns(V& v, R& r) {
    v("series", r.series);
    v("agent", r.agent);
    v("from_us", r.from);
    v("to_us", r.to);
  }
};

template <>
struct Mapping<VerdictRow> {
  static constexpr const char* kName = "verdicts";
  static constexpr std::size_t kKey = 2;

  template <class V, class R>
  static void columns(V& v, R& r) {
    v("monitor", r.monitor);
    v("seq", r.seq);
    v("at_us", r.at);
    v("status", r.status);
    v("n", r.n);
    v("k", r.k);
    v("down", r.down);
    v("up", r.up);
    v("degraded", r.degraded);
    v("because", r.because);
    v.json("votes", r.votes);
    v("late", r.late);
    v("replaced", r.replaced);
  }
};

template <>
struct Mapping<MonitorStateRow> {
  static constexpr const char* kName = "monitor_states";
  static constexpr std::size_t kKey = 1;

  template <class V, class R>
  static void columns(V& v, R& r) {
    v("monitor", r.monitor);
    v("status", r.status);
    v("since_us", r.since);
    v("because", r.because);
    v("verdict_seq", r.verdict_seq);
    v("incident", r.incident);
  }
};

template <>
struct Mapping<RegionStateRow> {
  static constexpr const char* kName = "region_states";
  static constexpr std::size_t kKey = 1;

  template <class V, class R>
  static void columns(V& v, R& r) {
    v("region", r.region);
    v("blind", r.blind);
    v("since_us", r.since);
    v("incident", r.incident);
  }
};

template <>
struct Mapping<IncidentRow> {
  static constexpr const char* kName = "incidents";
  static constexpr std::size_t kKey = 1;

  template <class V, class R>
  static void columns(V& v, R& r) {
    v("id", r.id);
    v("number", r.number);
    v("kind", r.kind);
    v("state", r.state);
    v("monitor", r.monitor);
    v("monitor_key", r.monitor_key);
    v("region", r.region);
    v("channel", r.channel);
    v("service", r.service);
    v("urgency", r.urgency);
    v("assignee", r.assignee);
    v.json("watchers", r.watchers);
    v("title", r.title);
    v("because", r.because);
    v("started_us", r.started_at);
    v("opened_us", r.opened_at);
    v("acknowledged_us", r.acknowledged_at);
    v("acknowledged_by", r.acknowledged_by);
    v("resolved_us", r.resolved_at);
    v("resolved_because", r.resolved_because);
    v.json("votes", r.votes);
    v.evidence("evidence", r.evidence);
    v("timeline_seq", r.timeline_seq);
    v.json("policy", r.policy);
    v.json("used_links", r.used_links);
    v.json("notified", r.notified);
  }
};

template <>
struct Mapping<TimelineRow> {
  static constexpr const char* kName = "timeline";
  static constexpr std::size_t kKey = 2;

  template <class V, class R>
  static void columns(V& v, R& r) {
    v("incident", r.incident);
    v("seq", r.seq);
    v("at_us", r.at);
    v("type", r.type);
    v("actor", r.actor);
    v("text", r.text);
  }
};

template <>
struct Mapping<EscalationRow> {
  static constexpr const char* kName = "escalations";
  static constexpr std::size_t kKey = 1;

  template <class V, class R>
  static void columns(V& v, R& r) {
    v("incident", r.incident);
    v("step", r.step);
    v("repeat", r.repeat);
    v("due_us", r.due_at);
    v("done", r.done);
    v("ack_expiry", r.ack_expiry);
  }
};

template <>
struct Mapping<EventRow> {
  static constexpr const char* kName = "events";
  static constexpr std::size_t kKey = 1;

  template <class V, class R>
  static void columns(V& v, R& r) {
    v("seq", r.seq);
    v("at_us", r.at);
    v("topic", r.topic);
    v("subject", r.subject);
    v("text", r.text);
  }
};

template <>
struct Mapping<StoredOutboxItem> {
  static constexpr const char* kName = "outbox";
  static constexpr std::size_t kKey = 1;

  template <class V, class R>
  static void columns(V& v, R& r) {
    auto& row = r.item.row;
    v("id", row.id);
    v("incident", row.incident);
    v("cause_seq", row.cause_seq);
    v("step", row.step);
    v("repeat", row.repeat);
    v("kind", row.kind);
    v("channel", row.channel);
    v.json("destination", row.destination);
    v.json("content", row.content);
    v.evidence("evidence", row.content.evidence);
    v("created_us", row.created);
    v("due_us", row.due);
    v("user", row.user);
    v("more_contacts", row.more_contacts);
    v("state", r.item.state);
    v("token", r.item.token);
    v("attempts", r.item.attempts);
    v("next_us", r.item.next_at);
    v("cancel_why", r.cancel_why);
  }
};

template <>
struct Mapping<Delivery> {
  static constexpr const char* kName = "deliveries";
  static constexpr std::size_t kKey = 2;

  template <class V, class R>
  static void columns(V& v, R& r) {
    v("notification", r.notification);
    v("token", r.token);
    v("attempt", r.attempt);
    v("at_us", r.at);
    v("outcome", r.outcome);
    v("retry_us", r.retry_at);
    v("status", r.status);
    v("detail", r.detail);
    v("duration_ms", r.duration_ms);
    v("digest", r.digest);
  }
};

void append_varint(Bytes& out, std::size_t v) {
  while (v >= 0x80) {
    out += static_cast<char>((v & 0x7F) | 0x80);
    v >>= 7;
  }
  out += static_cast<char>(v);
}

}  // namespace

Expected<bool> was_committed(const Group& group, std::uint16_t shard, std::uint64_t last) {
  if (group.shard != shard) {
    return fail(Errc::kInvalid, "commit: this store keeps shard {}, not {}", shard, group.shard);
  }
  if (group.commit_seq == last && last != 0) return true;
  if (group.commit_seq != last + 1) {
    return fail(Errc::kExists, "commit: group {} does not follow the last one, {}",
                group.commit_seq, last);
  }
  return false;
}

OutboxState state_after(DeliveryOutcome outcome, bool cancelled) {
  switch (outcome) {
    case DeliveryOutcome::kSent:
      return OutboxState::kSent;
    case DeliveryOutcome::kRetry:
    case DeliveryOutcome::kHeld:
      return cancelled ? OutboxState::kCancelled : OutboxState::kPending;
    case DeliveryOutcome::kDead:
      return OutboxState::kDead;
  }
  return OutboxState::kDead;
}

void sort_results(std::vector<ResultRow>& rows, const ResultQuery& query) {
  const auto newer = [by_slot = query.monitor.has_value()](const ResultRow& a, const ResultRow& b) {
    const WallTime a_first = by_slot ? a.result.slot : a.received;
    const WallTime b_first = by_slot ? b.result.slot : b.received;
    return std::tie(a_first, a.result.slot, a.result.series, a.result.kind, a.result.tick,
                    a.result.request) > std::tie(b_first, b.result.slot, b.result.series,
                                                 b.result.kind, b.result.tick, b.result.request);
  };
  std::sort(rows.begin(), rows.end(), newer);
  if (rows.size() > query.limit) rows.resize(query.limit);
}

const std::string& catalog_key(const CatalogRow& row) {
  struct Key {
    const std::string& operator()(const MonitorEntry& o) const { return o.spec.key; }

    const std::string& operator()(const StatusPageSpec& o) const { return o.slug; }

    const std::string& operator()(const RegionSpec& o) const { return o.key; }

    const std::string& operator()(const ServiceSpec& o) const { return o.key; }

    const std::string& operator()(const PolicySpec& o) const { return o.key; }

    const std::string& operator()(const ChannelSpec& o) const { return o.key; }

    const std::string& operator()(const UserSpec& o) const { return o.key; }
  };

  return std::visit(Key{}, row.object);
}

template <class T>
const TableDef& table() {
  static const TableDef def = [] {
    Lister lister;
    const T row{};
    Mapping<T>::columns(lister, row);
    return TableDef{Mapping<T>::kName, std::move(lister.columns), Mapping<T>::kKey};
  }();
  return def;
}

template <class T>
void to_values(const T& row, std::vector<Value>& out) {
  out.clear();
  ValueWriter writer{out};
  Mapping<T>::columns(writer, row);
}

template <class T>
Expected<T> from_values(const std::vector<Value>& values) {
  T row{};
  ValueReader reader{values};
  Mapping<T>::columns(reader, row);
  if (reader.bad_column != nullptr) {
    return fail(Errc::kCorrupt, "{}.{} holds a value that this version did not write",
                Mapping<T>::kName, reader.bad_column);
  }
  return row;
}

#define TOCSIN_MAPPED(T)                                     \
  template const TableDef& table<T>();                       \
  template void to_values<T>(const T&, std::vector<Value>&); \
  template Expected<T> from_values<T>(const std::vector<Value>&)

TOCSIN_MAPPED(MetaRow);
TOCSIN_MAPPED(RegionSpec);
TOCSIN_MAPPED(MonitorEntry);
TOCSIN_MAPPED(ServiceSpec);
TOCSIN_MAPPED(PolicySpec);
TOCSIN_MAPPED(ChannelSpec);
TOCSIN_MAPPED(StatusPageSpec);
TOCSIN_MAPPED(UserSpec);
TOCSIN_MAPPED(ObjectRow);
TOCSIN_MAPPED(CredentialRow);
TOCSIN_MAPPED(TokenRow);
TOCSIN_MAPPED(SessionRow);
TOCSIN_MAPPED(AuditRow);
TOCSIN_MAPPED(IdempotencyRow);
TOCSIN_MAPPED(ReportRow);
TOCSIN_MAPPED(SecretRow);
TOCSIN_MAPPED(SeriesRow);
TOCSIN_MAPPED(AgentRow);
TOCSIN_MAPPED(EnrolmentRow);
TOCSIN_MAPPED(StreamRow);
TOCSIN_MAPPED(AssignmentRow);
TOCSIN_MAPPED(VerdictRow);
TOCSIN_MAPPED(MonitorStateRow);
TOCSIN_MAPPED(RegionStateRow);
TOCSIN_MAPPED(IncidentRow);
TOCSIN_MAPPED(TimelineRow);
TOCSIN_MAPPED(EscalationRow);
TOCSIN_MAPPED(EventRow);
TOCSIN_MAPPED(StoredOutboxItem);
TOCSIN_MAPPED(Delivery);

#undef TOCSIN_MAPPED

// Field 1 of ResultBatch, length-delimited, written by hand: the protobuf types stop at wire.

Bytes encode_evidence(const std::vector<CheckResult>& results) {
  Bytes out;
  for (const CheckResult& result : results) {
    const Bytes bytes = wire::encode_result(result);
    out += '\x0a';
    append_varint(out, bytes.size());
    out += bytes;
  }
  return out;
}

Expected<std::vector<CheckResult>> decode_evidence(const Bytes& bytes) {
  std::vector<CheckResult> out;
  ByteReader reader{as_bytes(bytes)};
  while (!reader.rest().empty()) {
    if (reader.u8() != 0x0a) return fail(Errc::kCorrupt, "evidence: unexpected field");
    std::size_t size = 0;
    for (int shift = 0;; shift += 7) {
      const std::uint8_t byte = reader.u8();
      if (shift > 28) return fail(Errc::kCorrupt, "evidence: bad length");
      size |= std::size_t{byte & 0x7FU} << shift;
      if ((byte & 0x80U) == 0) break;
    }
    const ByteSpan item = reader.take(size);
    if (!reader.ok()) return fail(Errc::kCorrupt, "evidence: cut off");
    TRY_ASSIGN(CheckResult result, wire::decode_result(item));
    out.push_back(std::move(result));
  }
  return out;
}

const char* to_string(DeliveryOutcome outcome) {
  switch (outcome) {
    case DeliveryOutcome::kSent:
      return "sent";
    case DeliveryOutcome::kRetry:
      return "retry";
    case DeliveryOutcome::kDead:
      return "dead";
    case DeliveryOutcome::kHeld:
      return "held";
  }
  return "?";
}

const char* to_string(JournalEntry::Kind kind) {
  switch (kind) {
    case JournalEntry::Kind::kFrame:
      return "frame";
    case JournalEntry::Kind::kAgentState:
      return "agent_state";
  }
  return "?";
}

Expected<JournalEntry::Kind> parse_journal_kind(std::string_view word) {
  const auto kind = from_word<JournalEntry::Kind>(word);
  if (!kind) return fail(Errc::kCorrupt, "journal.kind holds '{}'", printable(word, 40));
  return *kind;
}

}  // namespace tocsin::collector
