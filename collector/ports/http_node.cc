#include "collector/ports/http_node.h"

#include "collector/ports/catalog_fields.h"
#include "common/base/bytes.h"
#include "common/base/strings.h"

#include <algorithm>
#include <charconv>
#include <string_view>

namespace tocsin::collector {

using codec::MapReader;
using codec::Node;
using Errors = std::vector<FieldError>;

namespace {

/// `{secret: NAME}` or `{file: NAME}`. The name's rule is validate()'s.
SecretRef read_secret(const Node& node, const std::string& path, Errors& errors) {
  if (node.kind != Node::Kind::kMap) {
    errors.push_back(
        {path, fmt::format("{}expected {{secret: NAME}} or {{file: NAME}}: a secret is never "
                           "written here but kept by the collector (tocsinctl secret), or in a "
                           "file of the agent's secrets_dir",
                           describe(node.mark))});
    return {};
  }
  MapReader reader{node, path, errors};
  std::string file;
  std::string stored;
  reader.text("file", file);
  reader.text("secret", stored);
  if (file.empty() == stored.empty()) {
    reader.error(stored.empty() ? "secret" : "file",
                 "expected either secret, the name of a secret of the collector, or file, that of "
                 "a file in the agent's secrets_dir");
  }
  reader.finish();
  return stored.empty() ? SecretRef::file(std::move(file)) : SecretRef::stored(std::move(stored));
}

void read_secret(MapReader& reader, std::string_view key, SecretRef& out, Errors& errors) {
  const Node* node = reader.child(key);
  if (node != nullptr) out = read_secret(*node, reader.path_of(key), errors);
}

void read_headers(MapReader& reader, HttpTarget& out, Errors& errors) {
  const Node* node = reader.child("headers");
  if (node == nullptr) return;
  if (node->kind == Node::Kind::kMap) {
    for (const auto& [name, value] : node->entries) {
      const std::string path = fmt::format("{}.{}", reader.path_of("headers"), printable(name, 64));
      if (value.kind == Node::Kind::kMap) {
        out.secret_headers.push_back({name, read_secret(value, path, errors)});
      } else if (value.kind == Node::Kind::kString || value.kind == Node::Kind::kNumber) {
        out.headers.push_back({name, value.text});
      } else {
        errors.push_back({path, fmt::format("{}expected text, {{secret: NAME}} or {{file: NAME}}",
                                            describe(value.mark))});
      }
    }
    return;
  }
  if (node->kind != Node::Kind::kList) {
    return reader.error("headers",
                        "expected a map of names and values, or a list of 'Name: value'");
  }
  each(reader, "headers", [&](const Node& item, const std::string& path) {
    if (item.kind == Node::Kind::kMap && item.entries.size() == 1) {
      const auto& [name, value] = item.entries.front();
      out.secret_headers.push_back({name, read_secret(value, path, errors)});
      return;
    }
    const std::size_t colon = item.text.find(':');
    if (item.kind != Node::Kind::kString || colon == std::string::npos) {
      errors.push_back({path, fmt::format("{}expected 'Name: value'", describe(item.mark))});
      return;
    }
    out.headers.push_back({item.text.substr(0, colon),
                           std::string{trim(std::string_view{item.text}.substr(colon + 1))}});
  });
}

void read_body(MapReader& reader, std::string& out) {
  reader.text("body", out);
  if (!reader.has("body_base64")) return;
  std::string text;
  reader.text("body_base64", text);
  if (reader.has("body")) {
    return reader.error("body_base64", "expected either body or body_base64, not both");
  }
  std::erase_if(text, [](char c) { return c == '\n' || c == '\r' || c == ' '; });
  if (!from_base64(text, out)) {
    reader.error("body_base64", "expected base64 with its padding (RFC 4648 section 4)");
  }
}

void read_auth(MapReader& reader, HttpAuth& out, Errors& errors) {
  const Node* node = reader.child("auth");
  if (node == nullptr) return;
  const std::string path = reader.path_of("auth");
  MapReader auth{*node, path, errors};
  if (node->kind != Node::Kind::kMap) return;
  const Node* basic = auth.child("basic");
  const Node* bearer = auth.child("bearer");
  if ((basic == nullptr) == (bearer == nullptr)) {
    reader.error("auth",
                 "expected one of basic: {username: NAME, password: {secret: NAME}} and "
                 "bearer: {secret: NAME}");
  } else if (bearer != nullptr) {
    out.kind = HttpAuth::Kind::kBearer;
    out.secret = read_secret(*bearer, path + ".bearer", errors);
  } else {
    out.kind = HttpAuth::Kind::kBasic;
    MapReader inner{*basic, path + ".basic", errors};
    inner.text("username", out.username);
    read_secret(inner, "password", out.secret, errors);
    if (!inner.has("password")) {
      inner.error("password", "expected {secret: NAME} or {file: NAME}");
    }
    inner.finish();
  }
  auth.finish();
}

/// `http: 1.1` is a number to YAML, "1.1" a text; both mean the same.
void read_version(MapReader& reader, HttpVersion& out) {
  const Node* node = reader.child("http");
  if (node == nullptr) return;
  for (const HttpVersion version : {HttpVersion::kAuto, HttpVersion::k11, HttpVersion::k2}) {
    if (node->text != to_string(version)) continue;
    out = version;
    return;
  }
  reader.error("http", "expected auto, 1.1 or 2");
}

void read_connection(MapReader& reader, ConnectionMode& out) {
  std::string word;
  reader.text("connection", word);
  if (word.empty()) return;
  for (const auto mode : {ConnectionMode::kCold, ConnectionMode::kResume, ConnectionMode::kReuse}) {
    if (word != to_string(mode)) continue;
    out = mode;
    return;
  }
  reader.error("connection", one_of(word, {"cold", "resume", "reuse"}));
}

/// Bytes: a whole number, or one with KiB or MiB.
void read_body_max(MapReader& reader, std::uint32_t& out) {
  const Node* node = reader.child("body_max");
  if (node == nullptr) return;
  std::uint32_t value = 0;
  const std::string& text = node->text;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit =
      trim({end, static_cast<std::size_t>(text.data() + text.size() - end)});
  const std::uint32_t factor = unit.empty()    ? 1
                               : unit == "KiB" ? 1024
                               : unit == "MiB" ? 1 << 20
                                               : 0;
  if (error != std::errc{} || factor == 0 || value == 0 || value > UINT32_MAX / factor) {
    return reader.error("body_max", "expected bytes from 1KiB to 1MiB");
  }
  out = value * factor;
}

Node secret_node(const SecretRef& ref) {
  const bool stored = ref.kind == SecretRef::Kind::kStored;
  return Node::map({{stored ? "secret" : "file", Node::string(ref.name)}});
}

Node headers_to_node(const HttpTarget& http) {
  Node map = Node::map();
  Node list = Node::list();
  bool twice = false;  // Then only the list form can say it.
  const auto add = [&](const std::string& name, Node value, Node line) {
    twice = twice || map.find(name) != nullptr;
    map.set(name, std::move(value));
    list.items.push_back(std::move(line));
  };
  for (const Header& h : http.headers) {
    add(h.name, Node::string(h.value), Node::string(fmt::format("{}: {}", h.name, h.value)));
  }
  for (const SecretHeader& h : http.secret_headers) {
    add(h.name, secret_node(h.value), Node::map({{h.name, secret_node(h.value)}}));
  }
  return twice ? list : map;
}

/// Whether YAML and JSON can carry it as a text that a person may read.
bool is_text(std::string_view body) {
  return is_valid_utf8(body) && std::all_of(body.begin(), body.end(), [](char c) {
           return static_cast<unsigned char>(c) >= 0x20 || c == '\t' || c == '\n' || c == '\r';
         });
}

void set_credentials(Node& out, const HttpTarget& http) {
  switch (http.auth.kind) {
    case HttpAuth::Kind::kNone:
      break;
    case HttpAuth::Kind::kBasic:
      out.set("auth",
              Node::map({{"basic", Node::map({{"username", Node::string(http.auth.username)},
                                              {"password", secret_node(http.auth.secret)}})}}));
      break;
    case HttpAuth::Kind::kBearer:
      out.set("auth", Node::map({{"bearer", secret_node(http.auth.secret)}}));
      break;
  }
  if (!http.client_cert.empty()) out.set("client_certificate", secret_node(http.client_cert));
  if (!http.client_key.empty()) out.set("client_key", secret_node(http.client_key));
}

}  // namespace

HttpTarget read_http_target(MapReader& reader, Errors& errors) {
  HttpTarget http;
  reader.text("url", http.url);
  reader.text("method", http.method);
  read_headers(reader, http, errors);
  read_body(reader, http.body);
  reader.integer("redirects", 0, 10, http.redirects_max);
  reader.boolean("allow_downgrade", http.allow_downgrade);
  reader.boolean("verify", http.verify);
  reader.text("ca", http.ca_pem);
  read_auth(reader, http.auth, errors);
  read_secret(reader, "client_certificate", http.client_cert, errors);
  read_secret(reader, "client_key", http.client_key, errors);
  reader.text("server_name", http.server_name);
  reader.text("resolver", http.resolver);
  read_version(reader, http.version);
  reader.text("proxy", http.proxy);
  read_connection(reader, http.connection);
  read_body_max(reader, http.body_max);
  read_ocsp(reader, http.ocsp);
  return http;
}

void set_http_target(Node& out, const HttpTarget& http) {
  out.set("url", Node::string(http.url));
  out.set("method", Node::string(http.method));
  if (!http.headers.empty() || !http.secret_headers.empty()) {
    out.set("headers", headers_to_node(http));
  }
  if (is_text(http.body)) {
    if (!http.body.empty()) out.set("body", Node::string(http.body));
  } else {
    out.set("body_base64", Node::string(to_base64(as_bytes(http.body))));
  }
  out.set("redirects", Node::integer(http.redirects_max));
  if (http.allow_downgrade) out.set("allow_downgrade", Node::boolean(true));
  out.set("verify", Node::boolean(http.verify));
  if (!http.ca_pem.empty()) out.set("ca", Node::string(http.ca_pem));
  set_credentials(out, http);
  if (!http.server_name.empty()) out.set("server_name", Node::string(http.server_name));
  if (!http.resolver.empty()) out.set("resolver", Node::string(http.resolver));
  if (http.version != HttpVersion::kAuto) out.set("http", Node::string(to_string(http.version)));
  if (!http.proxy.empty()) out.set("proxy", Node::string(http.proxy));
  if (http.connection != ConnectionMode::kCold) {
    out.set("connection", Node::string(to_string(http.connection)));
  }
  if (http.body_max != 0) out.set("body_max", Node::integer(http.body_max));
  set_ocsp(out, http.ocsp);
}

}  // namespace tocsin::collector
