#include "common/codec/query_string.h"

#include "common/base/strings.h"

#include <algorithm>
#include <charconv>

namespace tocsin::codec {

namespace {

/// Which control characters a value may hold.
enum class Controls : std::uint8_t { kNone, kTabsAndLineBreaks };

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_allowed(char c, Controls controls) {
  const auto u = static_cast<unsigned char>(c);
  if (u >= 0x20 && u != 0x7f) return true;
  return controls == Controls::kTabsAndLineBreaks && (c == '\t' || c == '\r' || c == '\n');
}

/// `offset` is where `raw` stands in the whole text; `what` names it in errors.
Expected<std::string> decode(std::string_view raw, std::size_t offset, std::string_view what,
                             Controls controls) {
  std::string out;
  out.reserve(raw.size());
  for (std::size_t i = 0; i < raw.size(); ++i) {
    const std::size_t at = offset + i;
    char c = raw[i];
    if (c == '+') {
      c = ' ';
    } else if (c == '%') {
      const int high = i + 1 < raw.size() ? hex_value(raw[i + 1]) : -1;
      const int low = i + 2 < raw.size() ? hex_value(raw[i + 2]) : -1;
      if (high < 0 || low < 0) {
        return fail(Errc::kInvalid, "{}: byte {}: expected two hexadecimal digits after '%'", what,
                    at);
      }
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (!is_allowed(c, controls)) {
      return fail(Errc::kInvalid, "{}: byte {}: a control character", what, at);
    }
    out += c;
  }
  if (!is_valid_utf8(out)) return fail(Errc::kInvalid, "{}: byte {}: not UTF-8", what, offset);
  return out;
}

std::string quoted(std::string_view name) { return "\"" + printable(name, 64) + "\""; }

Expected<Fields> parse(std::string_view text, FieldLimits limits, std::string_view whole,
                       Controls controls) {
  if (text.size() > limits.bytes) {
    return fail(Errc::kLimit, "{}: {} bytes; at most {}", whole, text.size(), limits.bytes);
  }
  std::vector<Field> fields;
  if (text.empty()) return Fields{};
  std::size_t offset = 0;
  while (true) {
    const std::string_view piece =
        text.substr(offset, std::min(text.find('&', offset), text.size()) - offset);
    const std::size_t number = fields.size() + 1;
    if (number > limits.fields) {
      return fail(Errc::kLimit, "{}: more than {} fields", whole, limits.fields);
    }
    if (piece.empty()) {
      return fail(Errc::kInvalid, "{}: byte {}: field {} is empty", whole, offset, number);
    }
    const std::size_t equals = std::min(piece.find('='), piece.size());
    TRY_ASSIGN(std::string name,
               decode(piece.substr(0, equals), offset, fmt::format("{}: field {}", whole, number),
                      Controls::kNone));
    if (name.empty()) {
      return fail(Errc::kInvalid, "{}: byte {}: field {} has no name", whole, offset, number);
    }
    std::string value;
    if (equals < piece.size()) {
      TRY_ASSIGN(value, decode(piece.substr(equals + 1), offset + equals + 1,
                               fmt::format("{}: {}", whole, quoted(name)), controls));
    }
    fields.push_back({std::move(name), std::move(value)});
    offset += piece.size();
    if (offset == text.size()) return Fields{std::move(fields)};
    ++offset;  // The '&'; what follows is another field, and an empty one is refused above.
  }
}

}  // namespace

Expected<std::optional<std::string_view>> Fields::one(std::string_view name) const {
  std::optional<std::string_view> found;
  for (const Field& field : fields_) {
    if (field.name != name) continue;
    if (found) return fail(Errc::kInvalid, "{} is given twice", quoted(name));
    found = field.value;
  }
  return found;
}

std::vector<std::string_view> Fields::each(std::string_view name) const {
  std::vector<std::string_view> out;
  for (const Field& field : fields_) {
    if (field.name == name) out.emplace_back(field.value);
  }
  return out;
}

Expected<std::uint64_t> Fields::number(std::string_view name, std::uint64_t min, std::uint64_t max,
                                       std::uint64_t otherwise) const {
  TRY_ASSIGN(const std::optional<std::string_view> text, one(name));
  if (!text) return otherwise;
  std::uint64_t out = 0;
  const char* const end = text->data() + text->size();
  const auto [stopped, ec] = std::from_chars(text->data(), end, out);
  const bool padded = text->size() > 1 && text->front() == '0';
  if (text->empty() || ec != std::errc{} || stopped != end || padded || out < min || out > max) {
    return fail(Errc::kInvalid, "{}: expected a number from {} to {}, not {}", quoted(name), min,
                max, quoted(*text));
  }
  return out;
}

Expected<void> Fields::only(const std::vector<std::string_view>& known) const {
  for (const Field& field : fields_) {
    if (std::find(known.begin(), known.end(), field.name) != known.end()) continue;
    const std::string_view near = did_you_mean(field.name, known);
    if (near.empty()) return fail(Errc::kInvalid, "{} is not known here", quoted(field.name));
    return fail(Errc::kInvalid, "{} is not known here; did you mean \"{}\"?", quoted(field.name),
                near);
  }
  return {};
}

Expected<Fields> parse_query(std::string_view query, FieldLimits limits) {
  return parse(query, limits, "query", Controls::kNone);
}

Expected<Fields> parse_form(std::string_view body, FieldLimits limits) {
  return parse(body, limits, "form", Controls::kTabsAndLineBreaks);
}

bool is_form(std::string_view content_type) {
  return iequals(trim(content_type.substr(0, content_type.find(';'))),
                 "application/x-www-form-urlencoded");
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kPlain = "-._~";
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       kPlain.find(c) != std::string_view::npos;
    if (plain) {
      out += c;
      continue;
    }
    const auto u = static_cast<unsigned char>(c);
    out += '%';
    out += kHex[u >> 4U];
    out += kHex[u & 15U];
  }
  return out;
}

}  // namespace tocsin::codec
