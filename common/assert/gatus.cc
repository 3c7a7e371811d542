#include "common/assert/gatus.h"

#include "common/assert/grammar.h"
#include "common/assert/json_path.h"
#include "common/assert/parser.h"
#include "common/base/strings.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace tocsin::assertion {

namespace {

constexpr std::string_view kPlaceholders =
    "[STATUS], [BODY], [RESPONSE_TIME], [IP], [CONNECTED], [CERTIFICATE_EXPIRATION] or [DNS_RCODE]";

/// A piece of the line and where it begins, counted from 1.
struct Piece {
  std::string_view text;
  std::size_t column = 1;
};

template <class... Args>
[[nodiscard]] Unexpected at(const Piece& piece, fmt::format_string<Args...> format,
                            Args&&... args) {
  return fail(Errc::kInvalid, "column {}: {}", piece.column,
              fmt::format(format, std::forward<Args>(args)...));
}

Piece trimmed(Piece piece) {
  while (piece.text.starts_with(' ')) {
    piece.text.remove_prefix(1);
    ++piece.column;
  }
  while (piece.text.ends_with(' ')) piece.text.remove_suffix(1);
  return piece;
}

/// What is inside of NAME(...), if this is one.
std::optional<Piece> call_of(std::string_view name, const Piece& piece) {
  if (!piece.text.starts_with(name) || !piece.text.ends_with(')') ||
      piece.text.substr(name.size()).size() < 2 || piece.text[name.size()] != '(') {
    return std::nullopt;
  }
  return trimmed({piece.text.substr(name.size() + 1, piece.text.size() - name.size() - 2),
                  piece.column + name.size() + 1});
}

struct Line {
  Piece left;
  Compare compare = Compare::kEq;
  Piece op;
  Piece right;
};

Expected<Line> split_line(std::string_view text) {
  // The operator stands between blanks; the first one counts, because the right side is free text.
  std::size_t found = std::string_view::npos;
  Line out;
  for (const Compare compare :
       {Compare::kEq, Compare::kNe, Compare::kLe, Compare::kGe, Compare::kLt, Compare::kGt}) {
    const std::size_t here = text.find(fmt::format(" {} ", to_string(compare)));
    if (here >= found) continue;
    found = here;
    out.compare = compare;
  }
  if (found == std::string_view::npos) {
    return at({text, text.size() + 1},
              "expected ==, !=, <, <=, > or >= between blanks, and a value");
  }
  const std::size_t size = std::string_view{to_string(out.compare)}.size();
  out.left = trimmed({text.substr(0, found), 1});
  out.op = {text.substr(found + 1, size), found + 2};
  out.right = trimmed({text.substr(found + size + 2), found + size + 3});
  if (out.right.text.empty()) {
    return at(out.right, "expected something to compare with after '{}'", to_string(out.compare));
  }
  return out;
}

/// The left side: which subject, and how its operand reads.
struct Left {
  Subject subject = Subject::kStatus;
  std::string selector;
  bool is_has = false;
};

Expected<std::string> json_path_of(const Piece& rest) {
  std::string path = "$" + std::string{rest.text};
  const auto parsed = parse_json_path(path);
  // Its own text counts from '$', which stands for the closing bracket.
  if (!parsed) return at(rest, "{}", parsed.error().text);
  return path;
}

Expected<Left> read_body(const Piece& rest, const Piece& whole, const Target& target, bool length) {
  if (std::holds_alternative<DnsTarget>(target)) {
    if (length || !rest.text.empty()) {
      return at(whole, "[BODY] of a dns monitor is a record: expected [BODY] alone");
    }
    return Left{Subject::kDnsRecord, {}, false};
  }
  if (rest.text.empty()) {
    return Left{length ? Subject::kLengthBody : Subject::kBody, {}, false};
  }
  TRY_ASSIGN(std::string path, json_path_of(rest));
  return Left{length ? Subject::kLengthJson : Subject::kJson, std::move(path), false};
}

Expected<Left> read_placeholder(const Piece& piece, const Target& target, bool length) {
  constexpr std::string_view kBody = "[BODY]";
  if (piece.text.starts_with(kBody)) {
    return read_body({piece.text.substr(kBody.size()), piece.column + kBody.size()}, piece, target,
                     length);
  }
  if (length) return at(piece, "expected [BODY] or [BODY].path in len()");

  struct Row {
    std::string_view name;
    Subject subject;
  };

  static constexpr Row kRows[] = {{"[STATUS]", Subject::kStatus},
                                  {"[RESPONSE_TIME]", Subject::kLatency},
                                  {"[IP]", Subject::kAddress},
                                  {"[CONNECTED]", Subject::kConnected},
                                  {"[CERTIFICATE_EXPIRATION]", Subject::kCertificateExpiry},
                                  {"[DNS_RCODE]", Subject::kDnsRcode}};
  for (const Row& row : kRows) {
    if (piece.text == row.name) return Left{row.subject, {}, false};
  }
  if (piece.text == "[DOMAIN_EXPIRATION]") {
    return at(piece, "[DOMAIN_EXPIRATION] is not supported: no registry is asked");
  }
  return at(piece, "expected {}, not '{}'", kPlaceholders, printable(piece.text, 60));
}

Expected<Left> read_left(const Piece& piece, const Target& target) {
  if (const auto inner = call_of("len", piece)) return read_placeholder(*inner, target, true);
  if (const auto inner = call_of("has", piece)) {
    TRY_ASSIGN(Left out, read_placeholder(*inner, target, false));
    if (out.subject != Subject::kJson) return at(*inner, "expected [BODY].path in has()");
    out.is_has = true;
    return out;
  }
  return read_placeholder(piece, target, false);
}

/// `*` is anything; the rest is meant as it is.
std::string pattern_of(std::string_view glob) {
  std::string out = "(?s)\\A";
  for (const char c : glob) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || static_cast<std::uint8_t>(c) >= 0x80;
    if (c == '*') {
      out += ".*";
    } else {
      if (!plain) out += '\\';
      out += c;
    }
  }
  return out + "\\z";
}

std::optional<double> read_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Expected<Operand> read_duration(const Piece& piece) {
  const bool digits = std::all_of(piece.text.begin(), piece.text.end(),
                                  [](char c) { return c >= '0' && c <= '9'; });
  const auto value = parse_duration(std::string{piece.text} + (digits ? "ms" : ""));
  if (!value) {
    return at(piece, "expected milliseconds or a duration such as 500ms, 2s or 48h, not '{}'",
              printable(piece.text, 60));
  }
  return Operand{*value};
}

Operand json_operand(std::string_view text, Compare compare) {
  if (text.size() >= 2 && text.starts_with('"') && text.ends_with('"')) {
    return std::string{text.substr(1, text.size() - 2)};
  }
  if (const auto number = read_number(text)) return *number;
  if (compare == Compare::kEq || compare == Compare::kNe) {
    if (text == "true" || text == "false") return text == "true";
    if (text == "null") return Null{};
  }
  return std::string{text};
}

Expected<Operand> read_operand(const Left& left, const Piece& piece, Compare compare) {
  switch (find_rule(left.subject)->operand) {
    case OperandKind::kInteger: {
      const auto number = read_number(piece.text);
      if (!number) {
        return at(piece, "expected a whole number, not '{}'", printable(piece.text, 60));
      }
      return Operand{*number};
    }
    case OperandKind::kDuration:
      return read_duration(piece);
    case OperandKind::kJson:
      return json_operand(piece.text, compare);
    case OperandKind::kTrue:
      return Operand{piece.text == "true"};
    case OperandKind::kText:
    case OperandKind::kRcode:
    case OperandKind::kFlag:
      return Operand{std::string{piece.text}};
  }
  return Operand{};
}

/// One value, or pat(): a condition without text.
Expected<Condition> read_value(const Left& left, const Line& line, const Piece& value) {
  Condition out;
  out.subject = left.subject;
  out.selector = left.selector;
  out.compare = line.compare;
  if (const auto glob = call_of("pat", value)) {
    if (line.compare != Compare::kEq && line.compare != Compare::kNe) {
      return at(line.op, "expected == or != before pat()");
    }
    out.compare = line.compare == Compare::kEq ? Compare::kMatches : Compare::kNotMatches;
    out.operand = pattern_of(glob->text);
  } else {
    TRY_ASSIGN(out.operand, read_operand(left, value, line.compare));
  }
  const SubjectRule& rule = *find_rule(left.subject);
  if (std::find(rule.compares.begin(), rule.compares.end(), out.compare) == rule.compares.end()) {
    return at(line.op, "'{}' cannot be used with {}",
              out.compare == line.compare ? to_string(line.compare) : "pat()",
              printable(line.left.text, 60));
  }
  if (auto fits = check_operand(out); !fits) return at(value, "{}", fits.error().text);
  return out;
}

Expected<std::vector<Piece>> split_any(const Piece& inner, const Piece& whole) {
  std::vector<Piece> out;
  std::size_t start = 0;
  std::size_t depth = 0;
  for (std::size_t i = 0; i <= inner.text.size(); ++i) {
    const char c = i < inner.text.size() ? inner.text[i] : ',';
    if (c == '(') ++depth;
    if (c == ')' && depth > 0) --depth;
    if (c != ',' || (depth > 0 && i < inner.text.size())) continue;
    out.push_back(trimmed({inner.text.substr(start, i - start), inner.column + start}));
    if (out.back().text.empty()) return at(out.back(), "expected a value in any()");
    start = i + 1;
  }
  if (out.size() > kAlternativesMax) {
    return at(whole, "expected at most {} values in any()", kAlternativesMax);
  }
  return out;
}

Expected<Condition> read_has(const Left& left, const Line& line) {
  const bool wants = line.right.text == "true";
  if (!wants && line.right.text != "false") {
    return at(line.right, "expected true or false, not '{}'", printable(line.right.text, 60));
  }
  if (line.compare != Compare::kEq && line.compare != Compare::kNe) {
    return at(line.op, "expected == or != after has()");
  }
  Condition out;
  out.subject = Subject::kJson;
  out.selector = left.selector;
  out.compare = wants == (line.compare == Compare::kEq) ? Compare::kExists : Compare::kNotExists;
  return out;
}

Expected<Condition> read_any(const Left& left, const Line& line, const Piece& inner) {
  if (line.compare != Compare::kEq && line.compare != Compare::kNe) {
    return at(line.op, "expected == or != before any()");
  }
  TRY_ASSIGN(const std::vector<Piece> values, split_any(inner, line.right));
  Condition out;
  out.group = line.compare == Compare::kEq ? GroupKind::kOr : GroupKind::kAnd;
  for (const Piece& value : values) {
    TRY_ASSIGN(Condition one, read_value(left, line, value));
    out.parts.push_back(std::move(one));
  }
  return out;
}

}  // namespace

bool is_gatus(std::string_view text) {
  const std::string_view line = trim(text);
  return line.starts_with('[') || line.starts_with("len(") || line.starts_with("has(");
}

Expected<Condition> parse_gatus(std::string_view text, const Target& target) {
  TRY_ASSIGN(const Line line, split_line(text));
  TRY_ASSIGN(const Left left, read_left(line.left, target));
  const SubjectRule& rule = *find_rule(left.subject);
  if (!applies_to(rule, target)) {
    return at(line.left, "a {} monitor has no {}: expected one of {}", type_name(target),
              printable(line.left.text, 60), subjects_of(target));
  }
  Condition out;
  if (left.is_has) {
    TRY_ASSIGN(out, read_has(left, line));
  } else if (const auto inner = call_of("any", line.right)) {
    TRY_ASSIGN(out, read_any(left, line, *inner));
  } else {
    TRY_ASSIGN(out, read_value(left, line, line.right));
  }
  out.text = trim(text);
  return out;
}

}  // namespace tocsin::assertion
