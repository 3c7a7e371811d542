#include "agent/app/identity.h"

#include "common/codec/node.h"
#include "common/io/file.h"
#include "common/io/yaml.h"

#include <sys/stat.h>

namespace tocsin::agent {

namespace {

constexpr int kFormat = 1;

/// A key that others can read is not a secret any more; better found at start than by an attacker.
Expected<void> check_private(const std::string& path) {
  struct stat st {};

  if (::stat(path.c_str(), &st) != 0) return {};  // Reading it will say what is wrong.
  if ((st.st_mode & 077) == 0) return {};
  return fail(Errc::kDenied,
              "{} can be read by others (mode {:o}): run chmod 600 on it, and enrol again if "
              "somebody may have copied it",
              path, st.st_mode & 0777U);
}

Expected<void> report(const std::string& path, const std::vector<FieldError>& errors) {
  if (errors.empty()) return {};
  return fail(Errc::kInvalid, "{}", io::locate(path, errors.front()));
}

void read_keys(codec::MapReader& reader, io::CurveKeyPair& keys) {
  std::string secret;
  reader.text("public_key", keys.public_key);
  reader.text("secret_key", secret);
  keys.secret_key = io::Secret(std::move(secret));
  const auto derived = io::curve_public_of(keys.secret_key);
  if (!derived || *derived != keys.public_key) {
    reader.error("public_key", "is not the public half of secret_key");
  }
}

void check_format(codec::MapReader& reader, const char* key) {
  int format = 0;
  reader.integer(key, 0, 1'000, format);
  if (format != kFormat) reader.error(key, fmt::format("expected {}", kFormat));
}

}  // namespace

std::string yaml_quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string yaml_quoted_list(const std::vector<std::string>& items) {
  std::string out = "[";
  for (const std::string& item : items) {
    if (out.size() > 1) out += ", ";
    out += yaml_quoted(item);
  }
  return out + "]";
}

Expected<Identity> load_identity(const std::string& path) {
  TRY(check_private(path));
  TRY_ASSIGN(const codec::Node tree, io::load_yaml(path));
  std::vector<FieldError> errors;
  codec::MapReader reader(tree, "", errors);
  Identity out;
  check_format(reader, "tocsin_agent");
  std::string agent;
  reader.text("agent", agent);
  const auto id = AgentId::parse(agent);
  if (id && !id->empty()) {
    out.agent = *id;
  } else {
    reader.error("agent", "expected the agent's id");
  }
  reader.text("region", out.region);
  read_keys(reader, out.keys);
  reader.texts("endpoints", out.endpoints);
  reader.texts("server_keys", out.server_keys);
  TRY(report(path, errors));
  return out;
}

Expected<void> store_identity(const std::string& path, const Identity& identity) {
  const std::string text = fmt::format(
      "# Made by tocsin-agent enroll. Two agents must never share it.\n"
      "tocsin_agent: {}\n"
      "agent: {}\n"
      "region: {}\n"
      "public_key: {}\n"
      "secret_key: {}\n"
      "endpoints: {}\n"
      "server_keys: {}\n",
      kFormat, identity.agent.str(), yaml_quoted(identity.region),
      yaml_quoted(identity.keys.public_key), yaml_quoted(identity.keys.secret_key.reveal()),
      yaml_quoted_list(identity.endpoints), yaml_quoted_list(identity.server_keys));
  return io::replace_file(path, as_bytes(text));
}

Expected<io::CurveKeyPair> load_pending_keys(const std::string& path) {
  TRY(check_private(path));
  TRY_ASSIGN(const codec::Node tree, io::load_yaml(path));
  std::vector<FieldError> errors;
  codec::MapReader reader(tree, "", errors);
  io::CurveKeyPair out;
  check_format(reader, "tocsin_pending");
  read_keys(reader, out);
  TRY(report(path, errors));
  return out;
}

Expected<void> store_pending_keys(const std::string& path, const io::CurveKeyPair& keys) {
  const std::string text = fmt::format(
      "# Offered to a collector; run tocsin-agent enroll again to learn what became of it.\n"
      "tocsin_pending: {}\n"
      "public_key: {}\n"
      "secret_key: {}\n",
      kFormat, yaml_quoted(keys.public_key), yaml_quoted(keys.secret_key.reveal()));
  return io::replace_file(path, as_bytes(text));
}

}  // namespace tocsin::agent
