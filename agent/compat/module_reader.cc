#include "agent/compat/module_reader.h"

#include "common/base/strings.h"
#include "common/codec/query_string.h"
#include "common/codec/url.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace tocsin::agent {

namespace {

using codec::MapReader;
using codec::Node;

struct DnsTypeName {
  std::string_view name;
  std::uint16_t number;
};

/// https://www.iana.org/assignments/dns-parameters: what somebody may want to ask for.
constexpr std::array kDnsTypes = {
    DnsTypeName{"A", 1},           DnsTypeName{"NS", 2},          DnsTypeName{"CNAME", 5},
    DnsTypeName{"SOA", 6},         DnsTypeName{"PTR", 12},        DnsTypeName{"HINFO", 13},
    DnsTypeName{"MX", 15},         DnsTypeName{"TXT", 16},        DnsTypeName{"RP", 17},
    DnsTypeName{"AFSDB", 18},      DnsTypeName{"AAAA", 28},       DnsTypeName{"LOC", 29},
    DnsTypeName{"SRV", 33},        DnsTypeName{"NAPTR", 35},      DnsTypeName{"CERT", 37},
    DnsTypeName{"DNAME", 39},      DnsTypeName{"DS", 43},         DnsTypeName{"SSHFP", 44},
    DnsTypeName{"RRSIG", 46},      DnsTypeName{"NSEC", 47},       DnsTypeName{"DNSKEY", 48},
    DnsTypeName{"NSEC3", 50},      DnsTypeName{"NSEC3PARAM", 51}, DnsTypeName{"TLSA", 52},
    DnsTypeName{"SMIMEA", 53},     DnsTypeName{"CDS", 59},        DnsTypeName{"CDNSKEY", 60},
    DnsTypeName{"OPENPGPKEY", 61}, DnsTypeName{"CSYNC", 62},      DnsTypeName{"SVCB", 64},
    DnsTypeName{"HTTPS", 65},      DnsTypeName{"SPF", 99},        DnsTypeName{"ANY", 255},
    DnsTypeName{"URI", 256},       DnsTypeName{"CAA", 257}};

constexpr std::array kDnsClasses = {DnsTypeName{"IN", 1}, DnsTypeName{"CH", 3},
                                    DnsTypeName{"HS", 4}, DnsTypeName{"ANY", 255}};

template <std::size_t N>
const DnsTypeName* find_name(const std::array<DnsTypeName, N>& list, std::string_view name) {
  const auto at =
      std::find_if(list.begin(), list.end(), [&](const DnsTypeName& t) { return t.name == name; });
  return at == list.end() ? nullptr : &*at;
}

/// The sections that have a prober here; what the others hold is only looked at for its keys.
constexpr std::array<std::string_view, 5> kProbers = {"http", "tcp", "dns", "icmp", "grpc"};

/// RFC 9110 section 5.6.2.
bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view{"!#$%&'*+-.^_`|~"}.find(c) != std::string_view::npos;
  });
}

/// Bytes as the exporter reads them: 10MB and 10MiB are the same.
std::optional<std::uint64_t> parse_size(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string unit = to_lower(text.substr(static_cast<std::size_t>(end - text.data())));
  if (error != std::errc{}) return std::nullopt;
  if (unit.size() == 3 && unit[1] == 'i') unit.erase(1, 1);
  static constexpr std::array<std::string_view, 7> kUnits = {"b",  "kb", "mb", "gb",
                                                             "tb", "pb", "eb"};
  const auto at = std::find(kUnits.begin(), kUnits.end(), unit);
  if (at == kUnits.end() && !unit.empty()) return std::nullopt;
  const auto shift = at == kUnits.end() ? 0 : 10 * (at - kUnits.begin());
  if (value > (UINT64_MAX >> shift)) return std::nullopt;
  return value << shift;
}

/// Whether a value of Accept-Encoding lets a server answer in that coding (RFC 9110 12.5.3).
bool accepts_coding(std::string_view header, std::string_view coding) {
  bool star = false;
  for (std::string_view part : split(header, ',')) {
    const std::size_t semicolon = std::min(part.find(';'), part.size());
    const std::string_view name = trim(part.substr(0, semicolon));
    std::string_view weight = trim(part.substr(std::min(semicolon + 1, part.size())));
    bool wanted = true;
    if (weight.starts_with("q=")) {
      weight.remove_prefix(2);
      wanted = weight.find_first_of("123456789") != std::string_view::npos;
    }
    if (iequals(name, coding)) return wanted;
    if (name == "*") star = wanted;
  }
  return star;
}

/// Reads one module. Errors are the file's; what is right but cannot be done goes to `unsupported`.
class ModuleReader {
 public:
  ModuleReader(const std::string& name, const Node& node, const std::filesystem::path& base,
               std::vector<FieldError>& errors)
      : path_("modules." + printable(name, 100)),
        node_(node),
        base_(base),
        errors_(errors) {
    out_.name = name;
  }

  BlackboxModule read() {
    if (node_.kind != Node::Kind::kMap) {
      errors_.push_back({path_, codec::describe(node_.mark) + "expected a map with a prober"});
      return std::move(out_);
    }
    MapReader module(node_, path_, errors_);
    std::string prober;
    module.text("prober", prober);
    if (std::find(kProbers.begin(), kProbers.end(), prober) == kProbers.end()) {
      module.error("prober", "expected http, tcp, dns, icmp or grpc");
    }
    module.duration("timeout", out_.timeout);
    for (const std::string_view section : kProbers) {
      const Node* part = module.child(section);
      active_ = section == prober;
      if (part != nullptr) {
        read_section(section, *part);
      } else if (active_ && section == "dns") {
        module.error("prober", "dns needs a section dns with query_name");
      }
    }
    module.finish();
    active_ = true;
    if (prober == "tcp") {
      out_.prober = Prober::kTcp;
      if (!out_.dialogue) out_.dialogue = std::make_shared<const Dialogue>();
    } else if (prober == "dns") {
      out_.prober = Prober::kDns;
    } else if (prober != "http") {
      const Node* at = node_.find("prober");
      cannot("prober", at == nullptr ? node_ : *at,
             fmt::format("the prober {}", printable(prober, 40)));
    }
    return std::move(out_);
  }

  const std::optional<ProxySettings>& proxy() const { return proxy_; }

 private:
  /// The first reason is kept: one is enough, and the notice shall be one line.
  void cannot(std::string_view field, const Node& at, std::string_view what) {
    if (!active_ || !out_.unsupported.empty()) return;
    out_.unsupported = fmt::format("{}{}.{}: {} is not supported by tocsin-agent",
                                   codec::describe(at.mark), path_, field, what);
  }

  void cannot_if_given(MapReader& reader, std::string_view section, const char* field) {
    const Node* node = reader.child(field);
    if (node != nullptr) cannot(fmt::format("{}.{}", section, field), *node, field);
  }

  /// true and false, and what YAML 1.1 and Go take for them.
  void boolean(MapReader& reader, std::string_view key, bool& out) {
    const Node* node = reader.child(key);
    if (node != nullptr && node->kind == Node::Kind::kString) {
      const std::string word = to_lower(node->text);
      for (const std::string_view yes : {"yes", "on", "y", "true"}) {
        if (word == yes) return void(out = true);
      }
      for (const std::string_view no : {"no", "off", "n", "false"}) {
        if (word == no) return void(out = false);
      }
    }
    reader.boolean(key, out);
  }

  std::string path_in(const std::string& text) const {
    if (text.empty() || text.starts_with('/')) return text;
    return (base_ / text).lexically_normal().string();
  }

  void file(MapReader& reader, std::string_view key, std::string& out) {
    std::string text;
    reader.text(key, text);
    out = path_in(text);
  }

  std::optional<assertion::Regex> regex(const Node& node, const std::string& path) {
    if (node.kind != Node::Kind::kString && node.kind != Node::Kind::kNumber) {
      errors_.push_back({path, codec::describe(node.mark) + "expected a regular expression"});
      return std::nullopt;
    }
    auto made = assertion::Regex::compile(node.text);
    if (made) return *std::move(made);
    if (made.error().code == Errc::kLimit) {
      cannot(path.substr(path_.size() + 1), node, "a regular expression this large");
    } else {
      errors_.push_back({path, codec::describe(node.mark) + made.error().text});
    }
    return std::nullopt;
  }

  void regexes(MapReader& reader, std::string_view key, std::vector<assertion::Regex>& out) {
    const Node* node = reader.child(key);
    if (node == nullptr) return;
    if (node->kind != Node::Kind::kList || node->items.size() > BlackboxModules::kPatternsMax) {
      return reader.error(key, fmt::format("expected a list of at most {} regular expressions",
                                           BlackboxModules::kPatternsMax));
    }
    for (std::size_t i = 0; i < node->items.size(); ++i) {
      auto made = regex(node->items[i], fmt::format("{}[{}]", reader.path_of(key), i));
      if (made) out.push_back(*std::move(made));
    }
  }

  void read_section(std::string_view section, const Node& node) {
    MapReader reader(node, path_ + "." + std::string{section}, errors_);
    if (section == "http") read_http(reader);
    if (section == "tcp") read_tcp(reader);
    if (section == "dns") read_dns(reader);
    if (section == "icmp" || section == "grpc") read_foreign(section, reader);
    reader.finish();
  }

  /// Whoever has such a module gets its keys checked all the same: a slip there is a slip here.
  void read_foreign(std::string_view section, MapReader& reader) {
    static constexpr std::array<const char*, 6> kIcmp = {
        "preferred_ip_protocol", "ip_protocol_fallback", "source_ip_address",
        "payload_size",          "dont_fragment",        "ttl"};
    static constexpr std::array<const char*, 5> kGrpc = {
        "service", "tls", "tls_config", "ip_protocol_fallback", "preferred_ip_protocol"};
    if (section == "icmp") {
      for (const char* key : kIcmp) reader.child(key);
    } else {
      for (const char* key : kGrpc) reader.child(key);
    }
  }

  void read_choice(std::string_view section, MapReader& reader) {
    std::string preferred;
    AddressChoice choice;
    reader.text("preferred_ip_protocol", preferred);
    // Whatever is not ip6 is IPv4 to the exporter; a word it does not know is a slip.
    if (preferred == "ip4") {
      choice.preferred = IpFamily::kV4;
    } else if (!preferred.empty() && preferred != "ip6") {
      reader.error("preferred_ip_protocol", "expected ip4 or ip6");
    }
    boolean(reader, "ip_protocol_fallback", choice.fallback);
    if (active_) out_.choice = choice;
    if (section != "http") cannot_if_given(reader, section, "source_ip_address");
  }

  void read_tls(std::string_view section, MapReader& reader) {
    const Node* node = reader.child("tls_config");
    if (node == nullptr) return;
    MapReader tls(*node, reader.path_of("tls_config"), errors_);
    BlackboxTls out;
    bool skip = false;
    boolean(tls, "insecure_skip_verify", skip);
    out.verify = !skip;
    file(tls, "ca_file", out.ca_file);
    file(tls, "cert_file", out.cert_file);
    file(tls, "key_file", out.key_file);
    tls.text("server_name", out.server_name);
    if (out.cert_file.empty() != out.key_file.empty()) {
      tls.error(out.cert_file.empty() ? "key_file" : "cert_file",
                "expected both cert_file and key_file, or neither");
    }
    std::string version;
    tls.text("min_version", version);
    const Node* at = node->find("min_version");
    if (version == "TLS10" || version == "TLS11") {
      cannot(fmt::format("{}.tls_config.min_version", section), *at, "a version of TLS below 1.2");
    } else if (!version.empty() && version != "TLS12" && version != "TLS13") {
      tls.error("min_version", "expected TLS10, TLS11, TLS12 or TLS13");
    }
    out.tls13_only = version == "TLS13";
    tls.finish();
    if (active_) out_.tls = std::move(out);
  }

  // --- http ---

  void read_http(MapReader& reader) {
    BlackboxHttp http;
    read_choice("http", reader);
    read_status_codes(reader, http);
    reader.texts("valid_http_versions", http.valid_http_versions);
    reader.text("method", http.method);
    if (http.method.empty()) http.method = "GET";
    if (!is_token(http.method)) reader.error("method", "expected a method such as GET");
    read_headers(reader, http);
    read_body_size_limit(reader, http);
    reader.text("body", http.body);
    boolean(reader, "fail_if_ssl", http.fail_if_ssl);
    boolean(reader, "fail_if_not_ssl", http.fail_if_not_ssl);
    regexes(reader, "fail_if_body_matches_regexp", http.body_must_not_match);
    regexes(reader, "fail_if_body_not_matches_regexp", http.body_must_match);
    header_rules(reader, "fail_if_header_matches", http.header_must_not_match);
    header_rules(reader, "fail_if_header_not_matches", http.header_must_match);
    boolean(reader, "follow_redirects", http.follow_redirects);
    if (reader.has("no_follow_redirects")) {
      bool no = false;
      boolean(reader, "no_follow_redirects", no);
      http.follow_redirects = !no;
    }
    boolean(reader, "enable_http2", http.http2);
    boolean(reader, "skip_resolve_phase_with_proxy", http.skip_resolve_phase_with_proxy);
    read_compression(reader, http);
    read_tls("http", reader);
    read_authentication(reader, http);
    cannot_if_given(reader, "http", "oauth2");
    read_proxy(reader, http);
    if (active_) out_.http = std::move(http);
  }

  const Node* reader_node(std::string_view section, std::string_view key) const {
    const Node* part = node_.find(section);
    const Node* at = part == nullptr ? nullptr : part->find(key);
    return at == nullptr ? &node_ : at;
  }

  void read_status_codes(MapReader& reader, BlackboxHttp& http) {
    const Node* codes = reader.child("valid_status_codes");
    if (codes == nullptr) return;
    bool good = codes->kind == Node::Kind::kList;
    for (const Node& code : codes->items) {
      const double v = code.number_value;
      good = good && code.kind == Node::Kind::kNumber && v >= 100 && v <= 999;
      if (good) http.valid_status_codes.push_back(static_cast<int>(v));
    }
    if (!good) reader.error("valid_status_codes", "expected a list of numbers from 100 to 999");
  }

  void read_headers(MapReader& reader, BlackboxHttp& http) {
    const Node* headers = reader.child("headers");
    if (headers == nullptr) return;
    if (headers->kind != Node::Kind::kMap) {
      return reader.error("headers", "expected a map of names and values");
    }
    for (const auto& [name, value] : headers->entries) {
      if (value.kind == Node::Kind::kList || value.kind == Node::Kind::kMap) {
        reader.error("headers", fmt::format("expected text for {}", printable(name, 100)));
        continue;
      }
      for (const std::string_view ours : {"content-length", "transfer-encoding", "connection"}) {
        if (iequals(name, ours)) {
          cannot("http.headers", value, fmt::format("the header {}", printable(name, 100)));
        }
      }
      std::string text = value.text;
      if (value.kind == Node::Kind::kBool) text = value.bool_value ? "true" : "false";
      http.headers.push_back({name, std::move(text)});
    }
    constexpr std::size_t kHeadersMax = 100;
    if (http.headers.size() > kHeadersMax) {
      reader.error("headers", fmt::format("expected at most {}", kHeadersMax));
    }
  }

  void read_body_size_limit(MapReader& reader, BlackboxHttp& http) {
    std::string text;
    reader.text("body_size_limit", text);
    if (text.empty()) return;
    const auto size = parse_size(text);
    if (!size) return reader.error("body_size_limit", "expected a size such as 10MB or 512KB");
    http.body_size_limit = *size;
  }

  void header_rules(MapReader& reader, std::string_view key, std::vector<HeaderRule>& out) {
    const Node* list = reader.child(key);
    if (list == nullptr) return;
    if (list->kind != Node::Kind::kList || list->items.size() > BlackboxModules::kPatternsMax) {
      return reader.error(key, fmt::format("expected a list of at most {} maps with header and "
                                           "regexp",
                                           BlackboxModules::kPatternsMax));
    }
    for (std::size_t i = 0; i < list->items.size(); ++i) {
      const std::string path = fmt::format("{}[{}]", reader.path_of(key), i);
      MapReader rule(list->items[i], path, errors_);
      std::string header;
      bool allow_missing = false;
      rule.text("header", header);
      boolean(rule, "allow_missing", allow_missing);
      const Node* pattern = rule.child("regexp");
      if (header.empty()) rule.error("header", "missing: the header's name");
      if (pattern == nullptr) rule.error("regexp", "missing: what its value is matched with");
      rule.finish();
      if (pattern == nullptr) continue;
      auto made = regex(*pattern, path + ".regexp");
      if (made) out.push_back({to_lower(header), *std::move(made), allow_missing});
    }
  }

  void read_compression(MapReader& reader, BlackboxHttp& http) {
    std::string compression;
    reader.text("compression", compression);
    compression = to_lower(compression);
    if (compression.empty()) return;
    if (compression != "gzip" && compression != "br" && compression != "deflate" &&
        compression != "identity") {
      return reader.error("compression", "expected gzip, br, deflate or identity");
    }
    const auto asked = std::find_if(http.headers.begin(), http.headers.end(), [](const Header& h) {
      return iequals(h.name, "accept-encoding");
    });
    // Without that header the exporter does not ask for the coding either.
    if (asked != http.headers.end() && !accepts_coding(asked->value, compression)) {
      reader.error("compression",
                   fmt::format("the header Accept-Encoding does not accept {}", compression));
    }
    if (compression != "identity") http.compression = compression;
  }

  void secret(MapReader& reader, const char* text_key, const char* file_key, SecretSource& out) {
    std::string text;
    reader.text(text_key, text);
    out.text = io::Secret{std::move(text)};
    file(reader, file_key, out.file);
    if (!out.text.empty() && !out.file.empty()) {
      reader.error(file_key, fmt::format("expected {} or {}, not both", text_key, file_key));
    }
  }

  void read_authentication(MapReader& reader, BlackboxHttp& http) {
    int ways = 0;
    if (const Node* basic = reader.child("basic_auth")) {
      MapReader inner(*basic, reader.path_of("basic_auth"), errors_);
      inner.text("username", http.username);
      secret(inner, "password", "password_file", http.password);
      inner.finish();
      if (http.username.find(':') != std::string::npos) {
        inner.error("username", "a user name has no colon (RFC 7617)");
      }
      ++ways;
    }
    SecretSource bearer;
    secret(reader, "bearer_token", "bearer_token_file", bearer);
    if (bearer.given()) {
      http.scheme = "Bearer";
      http.credentials = std::move(bearer);
      ++ways;
    }
    if (const Node* authorization = reader.child("authorization")) {
      MapReader inner(*authorization, reader.path_of("authorization"), errors_);
      http.scheme = "Bearer";
      inner.text("type", http.scheme);
      secret(inner, "credentials", "credentials_file", http.credentials);
      inner.finish();
      if (iequals(http.scheme, "basic")) {
        inner.error("type", "expected basic_auth for basic authentication");
      }
      ++ways;
    }
    if (ways > 1) {
      reader.error("basic_auth",
                   "expected one of basic_auth, authorization and bearer_token, not several");
    }
  }

  static std::optional<std::string> percent_decoded(const std::string& text) {
    std::string field = "x=";
    for (const char c : text) {
      if (c == '+' || c == '&') {
        field += c == '+' ? "%2B" : "%26";  // Which mean something in a query.
      } else {
        field += c;
      }
    }
    const auto fields = codec::parse_query(field);
    if (!fields) return std::nullopt;
    return std::string{fields->all().at(0).value};
  }

  /// Moves "USER:PASSWORD@" out of the URL; false when it cannot be what RFC 3986 section 3.2.1
  /// allows, or would not fit into a header.
  static bool take_userinfo(std::string& url, std::string& username, std::string& password) {
    const std::size_t scheme = url.find("://");
    if (scheme == std::string::npos) return true;
    const std::size_t begin = scheme + 3;
    const std::string authority = url.substr(begin, url.find_first_of("/?#", begin) - begin);
    const std::size_t at = authority.rfind('@');
    if (at == std::string::npos) return true;
    url.erase(begin, at + 1);
    const std::size_t colon = std::min(authority.find(':'), at);
    const auto name = percent_decoded(authority.substr(0, colon));
    const auto secret =
        percent_decoded(colon == at ? std::string{} : authority.substr(colon + 1, at - colon - 1));
    if (!name || !secret) return false;
    username = *name;
    password = *secret;
    return !username.empty() && username.find(':') == std::string::npos;
  }

  void read_proxy(MapReader& reader, BlackboxHttp& http) {
    std::string text;
    reader.text("proxy_url", text);
    if (text.empty()) return;
    std::string username;
    std::string password;
    const bool read = take_userinfo(text, username, password);
    const auto url = parse_url(text);
    if (!read || !url || url->https || url->path != "/") {
      return cannot("http.proxy_url", *reader_node("http", "proxy_url"),
                    "a proxy that is not http://[USER:PASSWORD@]HOST:PORT");
    }
    http.proxy = out_.name;
    proxy_ = ProxySettings{.name = out_.name,
                           .host = url->host,
                           .host_is_address = url->host_is_address,
                           .port = url->port,
                           .username = std::move(username),
                           .secret_file = {},
                           .password = std::move(password)};
  }

  // --- tcp ---

  void read_tcp(MapReader& reader) {
    Dialogue dialogue;
    read_choice("tcp", reader);
    boolean(reader, "tls", dialogue.tls);
    read_tls("tcp", reader);
    const Node* list = reader.child("query_response");
    if (list != nullptr &&
        (list->kind != Node::Kind::kList || list->items.size() > Dialogue::kStepsMax)) {
      reader.error("query_response",
                   fmt::format("expected a list of at most {} steps", Dialogue::kStepsMax));
      list = nullptr;
    }
    for (std::size_t i = 0; list != nullptr && i < list->items.size(); ++i) {
      const std::string path = fmt::format("{}[{}]", reader.path_of("query_response"), i);
      MapReader inner(list->items[i], path, errors_);
      DialogueStep step;
      const Node* expect = inner.child("expect");
      if (expect != nullptr && !expect->text.empty())
        step.expect = regex(*expect, path + ".expect");
      inner.text("send", step.send);
      boolean(inner, "starttls", step.starttls);
      inner.finish();
      dialogue.steps.push_back(std::move(step));
    }
    if (active_) out_.dialogue = std::make_shared<const Dialogue>(std::move(dialogue));
  }

  // --- dns ---

  void read_dns(MapReader& reader) {
    BlackboxDns dns;
    read_choice("dns", reader);
    reader.text("query_name", dns.query_name);
    if (dns.query_name.empty()) reader.error("query_name", "missing: what is asked for");
    read_query(reader, dns);
    read_transport(reader, dns);
    read_tls("dns", reader);
    boolean(reader, "recursion_desired", dns.recursion);
    reader.texts("valid_rcodes", dns.valid_rcodes);
    for (const std::string& rcode : dns.valid_rcodes) {
      if (is_rcode_name(rcode)) continue;
      reader.error("valid_rcodes", fmt::format("expected response codes such as NOERROR, got {}",
                                               printable(rcode, 40)));
    }
    record_rules(reader, "validate_answer_rrs", dns.answers);
    record_rules(reader, "validate_authority_rrs", dns.authorities);
    record_rules(reader, "validate_additional_rrs", dns.additionals);
    if (active_) out_.dns = std::move(dns);
  }

  void read_query(MapReader& reader, BlackboxDns& dns) {
    std::string type = "ANY";
    reader.text("query_type", type);
    if (const DnsTypeName* known = find_name(kDnsTypes, type)) {
      dns.query_type = static_cast<DnsType>(known->number);
    } else {
      reader.error("query_type", "expected a record type such as A, MX or ANY");
    }
    reader.text("query_class", dns.class_name);
    if (const DnsTypeName* known = find_name(kDnsClasses, dns.class_name)) {
      dns.query_class = known->number;
    } else {
      reader.error("query_class", "expected IN, CH, HS or ANY");
    }
  }

  void read_transport(MapReader& reader, BlackboxDns& dns) {
    std::string transport = "udp";
    bool tls = false;
    reader.text("transport_protocol", transport);
    boolean(reader, "dns_over_tls", tls);
    if (transport != "udp" && transport != "tcp") {
      reader.error("transport_protocol", "expected udp or tcp");
    } else if (tls && transport != "tcp") {
      reader.error("dns_over_tls", "needs transport_protocol: tcp");
    }
    if (transport == "tcp") dns.transport = tls ? DnsTransport::kTls : DnsTransport::kTcp;
  }

  void record_rules(MapReader& reader, std::string_view key, RecordRules& out) {
    const Node* node = reader.child(key);
    if (node == nullptr) return;
    MapReader inner(*node, reader.path_of(key), errors_);
    regexes(inner, "fail_if_matches_regexp", out.fail_if_matches);
    regexes(inner, "fail_if_all_match_regexp", out.fail_if_all_match);
    regexes(inner, "fail_if_not_matches_regexp", out.fail_if_not_matches);
    regexes(inner, "fail_if_none_matches_regexp", out.fail_if_none_matches);
    inner.finish();
  }

  std::string path_;
  const Node& node_;
  const std::filesystem::path& base_;
  std::vector<FieldError>& errors_;
  BlackboxModule out_;
  std::optional<ProxySettings> proxy_;
  bool active_ = false;  ///< The section under way is the prober's own.
};

}  // namespace

ReadModule read_module(const std::string& name, const Node& node, const std::filesystem::path& base,
                       std::vector<FieldError>& errors) {
  ModuleReader reader(name, node, base, errors);
  BlackboxModule module = reader.read();
  return {std::move(module), reader.proxy()};
}

}  // namespace tocsin::agent
