#include "common/assert/regex.h"

#include "common/assert/parser.h"
#include "common/base/strings.h"

#include <re2/re2.h>

namespace tocsin::assertion {

namespace {

constexpr std::int64_t kMemoryMax = 1 << 20;

RE2::Options options() {
  RE2::Options out;
  out.set_max_mem(kMemoryMax);
  out.set_log_errors(false);
  return out;
}

}  // namespace

struct Regex::Program {
  explicit Program(std::string_view pattern)
      : re(re2::StringPiece(pattern.data(), pattern.size()), options()) {}

  RE2 re;
};

Regex::Regex(std::shared_ptr<const Program> program)
    : program_(std::move(program)) {}

Expected<Regex> Regex::compile(std::string_view pattern) {
  if (pattern.size() > kPatternSizeMax) {
    return fail(Errc::kLimit, "expected a regular expression of at most {} bytes", kPatternSizeMax);
  }
  auto program = std::make_shared<const Program>(pattern);
  if (!program->re.ok()) {
    return fail(Errc::kInvalid, "'{}' is not a regular expression: {}", printable(pattern, 100),
                printable(program->re.error(), 100));
  }
  return Regex{std::move(program)};
}

bool Regex::matches(std::string_view text) const {
  return RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), program_->re);
}

std::optional<RegexMatch> Regex::find(std::string_view text) const {
  const re2::StringPiece whole{text.data(), text.size()};
  std::vector<re2::StringPiece> pieces(
      static_cast<std::size_t>(program_->re.NumberOfCapturingGroups()) + 1);
  if (!program_->re.Match(whole, 0, text.size(), RE2::UNANCHORED, pieces.data(),
                          static_cast<int>(pieces.size()))) {
    return std::nullopt;
  }
  RegexMatch out;
  for (const re2::StringPiece& piece : pieces) out.groups.emplace_back(piece.data(), piece.size());
  for (const auto& [name, number] : program_->re.NamedCapturingGroups()) {
    out.named.emplace(name, out.groups.at(static_cast<std::size_t>(number)));
  }
  return out;
}

}  // namespace tocsin::assertion
