#include "agent/app/bundle.h"

#include "agent/app/agent_config.h"
#include "common/base/strings.h"
#include "common/codec/node.h"
#include "common/io/yaml.h"

namespace tocsin::agent {

namespace {

constexpr int kFormat = 1;

void read(const codec::Node& tree, Bundle& out, std::vector<FieldError>& errors) {
  codec::MapReader reader(tree, "", errors);
  int format = 0;
  reader.integer("tocsin_enrolment", 0, 1'000, format);
  if (format != kFormat) {
    reader.error(
        "tocsin_enrolment",
        fmt::format("expected {}; is this what tocsin-collector enroll printed?", kFormat));
  }
  reader.texts("endpoints", out.endpoints);
  if (out.endpoints.empty()) reader.error("endpoints", "missing");
  for (const std::string& endpoint : out.endpoints) {
    if (!is_collector_endpoint(endpoint)) {
      reader.error("endpoints",
                   fmt::format("expected tcp://HOST:PORT, got \"{}\"", printable(endpoint, 80)));
    }
  }
  reader.texts("server_keys", out.server_keys);
  if (out.server_keys.empty()) reader.error("server_keys", "missing");
  for (const std::string& key : out.server_keys) {
    if (!io::is_curve_key(key)) reader.error("server_keys", "expected 40 characters of Z85");
  }
  reader.text("region", out.region);
  if (!is_key(out.region)) reader.error("region", "expected a region's key");
  std::string agent;
  reader.text("agent", agent);
  if (!agent.empty()) {
    if (const auto id = AgentId::parse(agent); id) {
      out.agent = *id;
    } else {
      reader.error("agent", id.error().text);
    }
  }
  std::string secret;
  reader.text("public_key", out.keys.public_key);
  reader.text("secret_key", secret);
  out.keys.secret_key = io::Secret(std::move(secret));
  const auto derived = io::curve_public_of(out.keys.secret_key);
  if (!derived || *derived != out.keys.public_key) {
    reader.error("secret_key", "does not belong to public_key; was the bundle cut or changed?");
  }
  std::string expires;
  reader.text("expires", expires);
  const auto when = parse_rfc3339(expires);
  if (when) {
    out.expires = *when;
  } else {
    reader.error("expires", when.error().text);
  }
  reader.finish();
}

}  // namespace

tl::expected<Bundle, std::vector<std::string>> parse_bundle(std::string_view text,
                                                            std::string_view name) {
  const auto tree = io::parse_yaml(text, name);
  if (!tree) return tl::unexpected(std::vector<std::string>{tree.error().text});
  Bundle out;
  std::vector<FieldError> errors;
  read(*tree, out, errors);
  if (errors.empty()) return out;
  std::vector<std::string> lines;
  for (const FieldError& error : errors) lines.push_back(io::locate(name, error));
  return tl::unexpected(std::move(lines));
}

}  // namespace tocsin::agent
