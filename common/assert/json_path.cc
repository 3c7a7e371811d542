#include "common/assert/json_path.h"

#include "common/base/strings.h"

namespace tocsin::assertion {

namespace {

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

class PathReader {
 public:
  explicit PathReader(std::string_view text)
      : text_(text) {}

  Expected<JsonPath> read() {
    if (!take('$')) return expected("'$' at the start of a JSON path");
    JsonPath path;
    while (at_ < text_.size()) {
      if (path.steps.size() == JsonPath::kStepsMax) return expected("at most 32 steps");
      TRY_ASSIGN(JsonPath::Step step, read_step());
      path.steps.push_back(std::move(step));
    }
    return path;
  }

 private:
  Expected<JsonPath::Step> read_step() {
    if (take('.')) {
      const std::size_t start = at_;
      while (at_ < text_.size() && is_name_char(text_[at_])) ++at_;
      if (at_ == start) return expected("a name of letters, digits, _ and - after '.'");
      return JsonPath::Step{std::string{text_.substr(start, at_ - start)}};
    }
    if (!take('[')) return expected("'.name', '[\"name\"]' or '[index]'");
    const char next = at_ < text_.size() ? text_[at_] : ']';
    const bool quoted = next == '"' || next == '\'';
    if (quoted) ++at_;
    TRY_ASSIGN(JsonPath::Step step, quoted ? read_quoted(next) : read_index());
    if (!take(']')) return expected("']'");
    return step;
  }

  Expected<JsonPath::Step> read_quoted(char quote) {
    std::string name;
    while (at_ < text_.size() && text_[at_] != quote) {
      if (text_[at_] == '\\') {
        ++at_;
        if (at_ == text_.size() || (text_[at_] != quote && text_[at_] != '\\')) {
          return expected("the quote or '\\' after a backslash");
        }
      }
      name += text_[at_++];
    }
    if (!take(quote)) return expected(fmt::format("{} at the end of the name", quote));
    return JsonPath::Step{std::move(name)};
  }

  Expected<JsonPath::Step> read_index() {
    std::uint32_t index = 0;
    const std::size_t start = at_;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9' && at_ - start < 7) {
      index = index * 10 + static_cast<std::uint32_t>(text_[at_++] - '0');
    }
    if (at_ == start) return expected("an index or a name in quotes after '['");
    return JsonPath::Step{index};
  }

  bool take(char c) {
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  Unexpected expected(std::string_view what) const {
    return fail(Errc::kInvalid, "JSON path '{}': expected {} at byte {}", printable(text_, 80),
                what, at_ + 1);
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

Expected<JsonPath> parse_json_path(std::string_view text) { return PathReader{text}.read(); }

}  // namespace tocsin::assertion
