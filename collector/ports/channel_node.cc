#include "collector/ports/catalog_fields.h"
#include "collector/ports/catalog_node.h"
#include "common/base/strings.h"

#include <algorithm>

namespace tocsin::collector {

using codec::MapReader;
using codec::Node;
using Errors = std::vector<FieldError>;

namespace {

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

/// A channel's or a contact method's.
template <class Destination>
Node destination_node(const Destination& destination) {
  Node out = Node::map();
  out.set("key", Node::string(destination.key));
  out.set("type", Node::string(to_string(destination.type)));
  if (!destination.url.empty()) out.set("url", Node::string(destination.url));
  if (!destination.to.empty()) out.set("to", Node::string(destination.to));
  if (destination.rate.count > 0) out.set("rate", Node::string(format_rate(destination.rate)));
  if (!destination.secret_file.empty()) {
    out.set("secret", Node::map({{"file", Node::string(destination.secret_file)}}));
  }
  return out;
}

}  // namespace

ChannelSpec read_channel(const Node& node, const std::string& path, Errors& errors) {
  ChannelSpec out;
  MapReader reader{node, path, errors};
  if (node.kind != Node::Kind::kMap) return out;
  read_key(reader, "key", out.key);
  read_destination(reader, out.type, out.to, out.url, out.secret_file, out.rate, errors);
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

Node to_node(const ChannelSpec& channel) { return destination_node(channel); }

Node to_node(const ContactMethod& contact) { return destination_node(contact); }

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
