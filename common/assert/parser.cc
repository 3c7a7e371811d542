#include "common/assert/parser.h"

#include "common/assert/gatus.h"
#include "common/assert/grammar.h"
#include "common/assert/json_path.h"
#include "common/assert/regex.h"
#include "common/base/strings.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

namespace tocsin::assertion {

namespace {

struct Word {
  std::string_view text;
  std::size_t column = 1;
  bool quoted = false;  ///< `text` is what stands between the quotes, escapes untouched.
};

template <class... Args>
[[nodiscard]] Unexpected at_column(std::size_t column, fmt::format_string<Args...> format,
                                   Args&&... args) {
  return fail(Errc::kInvalid, "column {}: {}", column,
              fmt::format(format, std::forward<Args>(args)...));
}

class Words {
 public:
  explicit Words(std::string_view text)
      : text_(text) {}

  std::size_t column() {
    skip_blanks();
    return at_ + 1;
  }

  bool empty() {
    skip_blanks();
    return at_ == text_.size();
  }

  /// The next blank-delimited word without taking it; empty at the end.
  std::string_view peek() {
    skip_blanks();
    return text_.substr(at_, std::min(text_.find(' ', at_), text_.size()) - at_);
  }

  Word take() {
    const std::string_view word = peek();
    const Word out{word, at_ + 1, false};
    at_ += word.size();
    return out;
  }

  /// As take(), but blanks inside brackets belong to the word: $["a b"].
  Word take_path() {
    skip_blanks();
    const std::size_t start = at_;
    char quote = '\0';
    for (; at_ < text_.size() && (quote != '\0' || text_[at_] != ' '); ++at_) {
      const char c = text_[at_];
      if (quote == '\0' && (c == '"' || c == '\'')) {
        quote = c;
      } else if (c == quote) {
        quote = '\0';
      }
      if (quote != '\0' && text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
    }
    return {text_.substr(start, at_ - start), start + 1, false};
  }

  /// A bare word or a quoted text.
  Expected<Word> take_operand() {
    skip_blanks();
    if (at_ == text_.size() || text_[at_] != '"') return take();
    const std::size_t start = at_++;
    while (at_ < text_.size() && text_[at_] != '"') {
      at_ += text_[at_] == '\\' && at_ + 1 < text_.size() ? 2U : 1U;
    }
    if (at_ >= text_.size()) return at_column(start + 1, "this text has no closing '\"'");
    const Word out{text_.substr(start + 1, at_ - start - 1), start + 1, true};
    ++at_;
    if (at_ < text_.size() && text_[at_] != ' ') {
      return at_column(at_ + 1, "expected a blank or the end after the closing '\"'");
    }
    return out;
  }

 private:
  void skip_blanks() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

std::string shown(std::string_view word) {
  return word.empty() ? "the end" : fmt::format("'{}'", printable(word, 60));
}

std::vector<std::string> nth_words(std::size_t n, std::string_view prefix, const Target& target) {
  std::vector<std::string> out;
  for (const SubjectRule& rule : subject_rules()) {
    if (!applies_to(rule, target) || !rule.spelling.starts_with(prefix)) continue;
    const std::vector<std::string_view> words = split(rule.spelling, ' ');
    if (n < words.size()) {
      const std::string word{words[n]};
      if (std::find(out.begin(), out.end(), word) == out.end()) out.push_back(word);
    }
  }
  return out;
}

Expected<const SubjectRule*> parse_subject(Words& words, const Target& target) {
  const std::size_t start = words.column();
  std::string so_far;
  for (std::size_t n = 0;; ++n) {
    const Word word = words.take();
    const std::string longer = so_far + std::string{word.text};
    const SubjectRule* elsewhere = nullptr;
    bool longer_exists = false;
    for (const SubjectRule& rule : subject_rules()) {
      if (rule.spelling == longer) {
        if (applies_to(rule, target)) return &rule;
        elsewhere = &rule;
      }
      longer_exists = longer_exists || rule.spelling.starts_with(longer + " ");
    }
    if (elsewhere != nullptr || (longer_exists && nth_words(n + 1, longer, target).empty())) {
      return at_column(start, "a {} monitor has no '{}': expected one of {}", type_name(target),
                       longer, subjects_of(target));
    }
    if (!longer_exists) {
      if (n > 0) {
        return at_column(word.column, "expected {} after '{}', not {}",
                         join(nth_words(n, so_far, target), " or "), trim(so_far),
                         shown(word.text));
      }
      std::vector<std::string_view> known;
      for (const SubjectRule& rule : subject_rules()) {
        if (applies_to(rule, target)) known.push_back(rule.spelling);
      }
      const std::string_view near = did_you_mean(word.text, known);
      return at_column(word.column, "expected one of {}, not {}{}", subjects_of(target),
                       shown(word.text),
                       near.empty() ? "" : fmt::format(" (did you mean {}?)", near));
    }
    so_far = longer + " ";
  }
}

Expected<std::string> parse_selector(Words& words, SelectorKind kind) {
  switch (kind) {
    case SelectorKind::kNone:
      return std::string{};
    case SelectorKind::kHeaderName: {
      const Word word = words.take();
      std::string name = to_lower(word.text);
      if (!is_header_selector(name)) {
        return at_column(word.column, "expected a header's name, not {}", shown(word.text));
      }
      return name;
    }
    case SelectorKind::kJsonPath: {
      const Word word = words.take_path();
      const auto path = parse_json_path(word.text);
      if (!path) return at_column(word.column, "{}", path.error().text);
      return std::string{word.text};
    }
    case SelectorKind::kPhase: {
      const Word word = words.take();
      if (!is_phase_name(word.text)) {
        return at_column(word.column, "expected dns, connect, tls, send, wait or receive, not {}",
                         shown(word.text));
      }
      return std::string{word.text};
    }
  }
  return std::string{};
}

std::string operators_of(const SubjectRule& rule) {
  std::vector<std::string> names;
  for (const Compare compare : rule.compares) names.emplace_back(to_string(compare));
  return join(names, ", ");
}

Expected<Compare> parse_operator(Words& words, const SubjectRule& rule) {
  const std::size_t column = words.column();
  std::string name{words.take().text};
  if (name == "not") name += " " + std::string{words.take().text};
  for (const Compare compare : rule.compares) {
    if (name == to_string(compare)) return compare;
  }
  return at_column(column, "expected one of {} after '{}', not {}", operators_of(rule),
                   rule.spelling, shown(trim(name)));
}

Expected<std::string> unescape(const Word& word) {
  std::string out;
  for (std::size_t i = 0; i < word.text.size(); ++i) {
    char c = word.text[i];
    if (c == '\\') {
      switch (word.text[++i]) {  // A quoted text never ends in a single backslash.
        case 'n':
          c = '\n';
          break;
        case 'r':
          c = '\r';
          break;
        case 't':
          c = '\t';
          break;
        case '"':
        case '\\':
          c = word.text[i];
          break;
        default:
          return at_column(word.column + i, "unknown escape: expected \\\" \\\\ \\n \\r or \\t");
      }
    }
    out += c;
  }
  return out;
}

/// Only \" is an escape; everything else is RE2's.
std::string unescape_pattern(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) {
      if (text[i + 1] != '"') out += '\\';
      ++i;
    }
    out += text[i];
  }
  return out;
}

Expected<std::string> read_text(const Word& word, Compare compare) {
  if (!word.quoted) return std::string{word.text};
  if (compare == Compare::kMatches || compare == Compare::kNotMatches) {
    return unescape_pattern(word.text);
  }
  return unescape(word);
}

std::optional<double> read_integer(std::string_view text) {
  if (text.empty() || text.size() > 9) return std::nullopt;
  double value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

/// A JSON number (RFC 8259 section 6).
std::optional<double> read_json_number(std::string_view text) {
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  if (digits.empty() || digits[0] < '0' || digits[0] > '9' || digits.size() > 40)
    return std::nullopt;
  if (digits.size() > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9') {
    return std::nullopt;
  }
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.ends_with('.')) {
    return std::nullopt;
  }
  return value;
}

Expected<Operand> parse_json_operand(const Word& word, Compare compare) {
  if (!word.quoted) {
    const bool ordered = compare == Compare::kLt || compare == Compare::kLe ||
                         compare == Compare::kGt || compare == Compare::kGe;
    const bool equality = compare == Compare::kEq || compare == Compare::kNe;
    if (ordered || equality) {
      if (const auto number = read_json_number(word.text)) return Operand{*number};
    }
    if (equality && word.text == "true") return Operand{true};
    if (equality && word.text == "false") return Operand{false};
    if (equality && word.text == "null") return Operand{Null{}};
    if (ordered) return at_column(word.column, "expected a number, not {}", shown(word.text));
  }
  TRY_ASSIGN(std::string text, read_text(word, compare));
  return Operand{std::move(text)};
}

/// Fills operand and operand_high.
Expected<void> parse_operand(Words& words, const SubjectRule& rule, Condition& out) {
  const std::size_t column = words.column();
  if (words.empty()) {
    return at_column(column, "expected something to compare with after '{}'",
                     to_string(out.compare));
  }
  TRY_ASSIGN(const Word word, words.take_operand());
  switch (rule.operand) {
    case OperandKind::kInteger: {
      const bool range = out.compare == Compare::kInRange;
      const std::size_t dots = range ? word.text.find("..") : std::string_view::npos;
      const auto low = read_integer(word.text.substr(0, dots));
      const auto high =
          dots == std::string_view::npos ? std::nullopt : read_integer(word.text.substr(dots + 2));
      if (word.quoted || !low || (range && !high)) {
        return at_column(column, "expected {}, not {}",
                         range ? "a range such as 200..299" : "a whole number", shown(word.text));
      }
      out.operand = *low;
      if (range) out.operand_high = high.value_or(0);
      break;
    }
    case OperandKind::kDuration: {
      const auto duration = parse_duration(word.text);
      if (word.quoted || !duration) {
        return at_column(column, "expected a duration such as 500ms, 2s or 14d, not {}",
                         shown(word.text));
      }
      out.operand = *duration;
      break;
    }
    case OperandKind::kText: {
      TRY_ASSIGN(std::string text, read_text(word, out.compare));
      out.operand = std::move(text);
      break;
    }
    case OperandKind::kRcode:
    case OperandKind::kFlag:
      out.operand = std::string{word.text};
      break;
    case OperandKind::kTrue:
      out.operand = word.text == "true";
      break;
    case OperandKind::kJson: {
      TRY_ASSIGN(out.operand, parse_json_operand(word, out.compare));
      break;
    }
  }
  // What fits the operator but not the subject is found here, while the column is known.
  if (auto fits = check_operand(out); !fits) return at_column(column, "{}", fits.error().text);
  return {};
}

}  // namespace

Expected<Condition> parse_condition(std::string_view text, const Target& target) {
  if (text.size() > kConditionSizeMax) {
    return at_column(kConditionSizeMax + 1, "expected at most {} bytes", kConditionSizeMax);
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (static_cast<std::uint8_t>(text[i]) < 0x20 || text[i] == 0x7f) {
      return at_column(i + 1,
                       "a control character is not allowed: write it as an escape in quotes");
    }
  }
  if (!is_valid_utf8(text)) return at_column(1, "expected UTF-8");
  if (is_gatus(text)) return parse_gatus(text, target);
  Words words{text};
  Condition out;
  TRY_ASSIGN(const SubjectRule* rule, parse_subject(words, target));
  out.subject = rule->subject;
  TRY_ASSIGN(out.selector, parse_selector(words, rule->selector));
  TRY_ASSIGN(out.compare, parse_operator(words, *rule));
  if (takes_operand(out.compare)) TRY(parse_operand(words, *rule, out));
  if (!words.empty()) {
    return at_column(words.column(), "expected the end, not {} (put a text with blanks in quotes)",
                     shown(words.peek()));
  }
  out.text = trim(text);
  return out;
}

namespace {

Expected<void> check_group(const Condition& group, const Target& target, std::size_t depth) {
  if (group.group > GroupKind::kNot) {
    return fail(Errc::kUnsupported, "group {} is not known to this version",
                static_cast<int>(group.group));
  }
  if (depth == Assertions::kGroupDepthMax) {
    return fail(Errc::kLimit, "expected groups at most {} deep", Assertions::kGroupDepthMax);
  }
  if (group.parts.empty() || (group.group == GroupKind::kNot && group.parts.size() != 1)) {
    return fail(
        Errc::kInvalid, "'{}' needs {}", to_string(group.group),
        group.group == GroupKind::kNot ? "exactly one condition" : "at least one condition");
  }
  for (std::size_t i = 0; i < group.parts.size(); ++i) {
    const Condition& part = group.parts[i];
    auto fits = part.group == GroupKind::kNone ? check_condition(part, target)
                                               : check_group(part, target, depth + 1);
    if (!fits) {
      return fail(fits.error().code, "{}[{}]: {}", to_string(group.group), i, fits.error().text);
    }
  }
  return {};
}

}  // namespace

std::pair<std::size_t, std::string_view> split_column(const Error& error) {
  constexpr std::string_view kStart = "column ";
  const std::string_view text = error.text;
  if (!text.starts_with(kStart)) return {0, text};
  std::size_t column = 0;
  const auto [end, failed] =
      std::from_chars(text.data() + kStart.size(), text.data() + text.size(), column);
  const auto used = static_cast<std::size_t>(end - text.data());
  if (failed != std::errc{} || text.substr(used, 2) != ": ") return {0, text};
  return {column, text.substr(used + 2)};
}

Expected<void> check_condition(const Condition& condition, const Target& target) {
  if (condition.group != GroupKind::kNone) {
    if (condition.text.size() > kConditionSizeMax) {
      return fail(Errc::kInvalid, "expected at most {} bytes of text", kConditionSizeMax);
    }
    return check_group(condition, target, 0);
  }
  const SubjectRule* rule = find_rule(condition.subject);
  if (rule == nullptr) {
    return fail(Errc::kUnsupported, "assertion subject {} is not known to this version",
                static_cast<int>(condition.subject));
  }
  if (!applies_to(*rule, target)) {
    return fail(Errc::kInvalid, "a {} monitor has no '{}'", type_name(target), rule->spelling);
  }
  if (std::find(rule->compares.begin(), rule->compares.end(), condition.compare) ==
      rule->compares.end()) {
    return fail(Errc::kUnsupported, "operator {} ({}) is not known after '{}'",
                static_cast<int>(condition.compare), to_string(condition.compare), rule->spelling);
  }
  const bool selector_fits = [&] {
    switch (rule->selector) {
      case SelectorKind::kNone:
        return condition.selector.empty();
      case SelectorKind::kHeaderName:
        return is_header_selector(condition.selector);
      case SelectorKind::kJsonPath:
        return parse_json_path(condition.selector).has_value();
      case SelectorKind::kPhase:
        return is_phase_name(condition.selector);
    }
    return false;
  }();
  if (!selector_fits) {
    return fail(Errc::kInvalid, "'{}' cannot follow '{}'", printable(condition.selector, 80),
                rule->spelling);
  }
  if (condition.text.size() > kConditionSizeMax) {
    return fail(Errc::kInvalid, "expected at most {} bytes of text", kConditionSizeMax);
  }
  return check_operand(condition);
}

}  // namespace tocsin::assertion
