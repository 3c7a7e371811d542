#include "collector/ports/catalog_fields.h"

#include "common/base/strings.h"

namespace tocsin::collector {

using codec::MapReader;
using codec::Node;
using Errors = std::vector<FieldError>;

std::string one_of(std::string_view word, const std::vector<std::string_view>& known) {
  const std::string_view near = did_you_mean(word, known);
  std::vector<std::string> words(known.begin(), known.end());
  return fmt::format("expected one of {}, not '{}'{}", join(words, ", "), printable(word, 40),
                     near.empty() ? std::string{} : fmt::format("; did you mean '{}'?", near));
}

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

void read_title(MapReader& reader, std::string_view field, std::string& out) {
  reader.text(field, out);
  if (out.size() > kTextMax || !is_valid_utf8(out)) {
    reader.error(field, fmt::format("expected at most {} bytes of UTF-8", kTextMax));
  }
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

void read_ocsp(MapReader& reader, OcspMode& out) {
  std::string word;
  reader.text("ocsp", word);
  if (word.empty()) return;
  if (const auto mode = ocsp_mode_from_name(word)) {
    out = *mode;
  } else {
    reader.error("ocsp", one_of(word, {"off", "check", "require"}));
  }
}

void set_ocsp(Node& out, OcspMode mode) {
  if (mode != OcspMode::kOff) out.set("ocsp", Node::string(to_string(mode)));
}

Node texts(const std::vector<std::string>& words) {
  Node out = Node::list();
  for (const std::string& word : words) out.items.push_back(Node::string(word));
  return out;
}

Node duration_node(Duration d) { return Node::string(format_duration(d)); }

}  // namespace tocsin::collector
