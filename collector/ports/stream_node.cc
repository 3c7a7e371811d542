#include "collector/ports/stream_node.h"

#include "collector/ports/catalog_fields.h"
#include "common/base/bytes.h"
#include "common/codec/byte_text.h"

#include <charconv>

namespace tocsin::collector {

using codec::MapReader;
using codec::Node;

namespace {

/// "SCHEME://HOST[:PORT]", IPv6 addresses in brackets; `port` stays as it is without one.
bool split_url(std::string_view url, std::string_view scheme, std::string& host,
               std::uint16_t& port) {
  if (!url.starts_with(scheme)) return false;
  url.remove_prefix(scheme.size());
  std::string_view name = url;
  std::string_view rest;
  if (url.starts_with('[')) {
    const std::size_t end = url.find(']');
    if (end == std::string_view::npos || end < 2) return false;
    name = url.substr(1, end - 1);
    rest = url.substr(end + 1);
  } else {
    name = url.substr(0, url.find(':'));
    rest = url.substr(name.size());
    if (name.empty() || name.find_first_of("/@[]?#") != std::string_view::npos) return false;
  }
  host = name;
  if (rest.empty()) return port != 0;
  rest.remove_prefix(1);
  const auto [end, ec] = std::from_chars(rest.data(), rest.data() + rest.size(), port);
  return ec == std::errc{} && end == rest.data() + rest.size() && port != 0 &&
         url[url.size() - rest.size() - 1] == ':';
}

void read_place(MapReader& reader, const std::string& scheme, const char* expected,
                std::string& host, std::uint16_t& port) {
  std::string url;
  reader.text("url", url);
  if (!url.empty()) {
    if (!split_url(url, scheme, host, port)) reader.error("url", expected);
    if (reader.has("host") || reader.has("port")) {
      reader.error("url", "expected either url or host and port, not both");
    }
  }
  reader.text("host", host);
  int number = port;
  reader.integer("port", 1, 65535, number);
  port = static_cast<std::uint16_t>(number);
}

/// Text with escapes, or {base64: ...}.
void read_bytes(MapReader& reader, std::string_view field, std::string& out) {
  const Node* node = reader.child(field);
  if (node == nullptr) return;
  if (node->kind == Node::Kind::kMap) {
    const Node* base64 = node->find("base64");
    Bytes bytes;
    if (node->entries.size() != 1 || base64 == nullptr || base64->kind != Node::Kind::kString ||
        !from_base64(base64->text, bytes)) {
      return reader.error(field, "expected text or {base64: ...}, with padding");
    }
    out = std::move(bytes);
    return;
  }
  std::string text;
  reader.text(field, text);
  auto bytes = codec::read_byte_text(text);
  if (!bytes) return reader.error(field, bytes.error().text);
  out = *std::move(bytes);
}

void read_starttls(MapReader& reader, StartTls& out) {
  std::string word;
  reader.text("starttls", word);
  if (word.empty()) return;
  if (const auto protocol = starttls_from_name(word)) {
    out = *protocol;
  } else {
    reader.error("starttls", one_of(word, {"smtp", "imap", "pop3", "postgres"}));
  }
}

void set_verification(Node& out, const std::string& server_name, bool verify,
                      const std::string& ca_pem, OcspMode ocsp) {
  if (!server_name.empty()) out.set("server_name", Node::string(server_name));
  out.set("verify", Node::boolean(verify));
  if (!ca_pem.empty()) out.set("ca", Node::string(ca_pem));
  set_ocsp(out, ocsp);
}

}  // namespace

TcpTarget read_tcp_target(MapReader& reader) {
  TcpTarget tcp;
  read_place(reader, "tcp://", "expected tcp://HOST:PORT", tcp.host, tcp.port);
  read_bytes(reader, "send", tcp.send);
  read_bytes(reader, "expect", tcp.expect);
  read_starttls(reader, tcp.starttls);
  reader.text("server_name", tcp.server_name);
  reader.boolean("verify", tcp.verify);
  reader.text("ca", tcp.ca_pem);
  read_ocsp(reader, tcp.ocsp);
  return tcp;
}

TlsTarget read_tls_target(MapReader& reader) {
  TlsTarget tls;
  read_place(reader, "tls://", "expected tls://HOST or tls://HOST:PORT", tls.host, tls.port);
  read_starttls(reader, tls.starttls);
  reader.text("server_name", tls.server_name);
  reader.texts("alpn", tls.alpn);
  std::string version = "1.2";
  reader.text("min_version", version);
  if (version != "1.2" && version != "1.3") {
    reader.error("min_version", one_of(version, {"1.2", "1.3"}));
  }
  tls.tls13_only = version == "1.3";
  reader.boolean("verify", tls.verify);
  reader.text("ca", tls.ca_pem);
  read_ocsp(reader, tls.ocsp);
  return tls;
}

void set_tcp_target(Node& out, const TcpTarget& tcp) {
  out.set("host", Node::string(tcp.host));
  out.set("port", Node::integer(tcp.port));
  if (!tcp.send.empty()) out.set("send", Node::string(codec::byte_text(tcp.send)));
  if (!tcp.expect.empty()) out.set("expect", Node::string(codec::byte_text(tcp.expect)));
  if (tcp.starttls == StartTls::kNone) return;
  out.set("starttls", Node::string(to_string(tcp.starttls)));
  set_verification(out, tcp.server_name, tcp.verify, tcp.ca_pem, tcp.ocsp);
}

void set_tls_target(Node& out, const TlsTarget& tls) {
  out.set("host", Node::string(tls.host));
  out.set("port", Node::integer(tls.port));
  if (tls.starttls != StartTls::kNone) out.set("starttls", Node::string(to_string(tls.starttls)));
  if (!tls.alpn.empty()) out.set("alpn", texts(tls.alpn));
  out.set("min_version", Node::string(tls.tls13_only ? "1.3" : "1.2"));
  set_verification(out, tls.server_name, tls.verify, tls.ca_pem, tls.ocsp);
}

}  // namespace tocsin::collector
