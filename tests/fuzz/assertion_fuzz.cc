// A condition that is accepted compiles, reads back equal from its text, and is judged on any body
// without harm; groups around it follow from it. The input is a condition, a NUL, and a body.

#include "common/assert/evaluator.h"
#include "common/assert/parser.h"
#include "common/base/bytes.h"
#include "common/base/check.h"

namespace {

using tocsin::assertion::Evaluator;

tocsin::Observation observed(std::string_view body) {
  tocsin::Observation seen;
  seen.phases.total_us = 1000;
  seen.http.emplace();
  seen.http->status = 200;
  seen.http->version = "1.1";
  seen.http->headers = {{"content-type", std::string{body.substr(0, 100)}}};
  seen.http->body = body;
  seen.http->body_bytes = body.size();
  seen.dns.emplace();
  seen.dns->rcode = "NOERROR";
  seen.dns->count = 1;
  seen.dns->answers = {{"a.", tocsin::DnsType::kA, 1, std::string{body.substr(0, 100)}}};
  return seen;
}

tocsin::Condition around(tocsin::GroupKind kind, std::vector<tocsin::Condition> parts) {
  tocsin::Condition out;
  out.group = kind;
  out.parts = std::move(parts);
  return out;
}

/// What only this condition says. No default of the DNS comes in between: it asks for the type that
/// `observed` has.
bool holds(const tocsin::Target& target, tocsin::Condition condition,
           const tocsin::Observation& seen) {
  tocsin::ProbeSpec spec;
  spec.target = target;
  spec.assertions.all = {std::move(condition)};
  const auto evaluator = Evaluator::compile(spec);
  CHECK(evaluator.has_value());
  const tocsin::Finding finding = evaluator->judge(seen, tocsin::WallTime{1});
  CHECK(finding == evaluator->judge(seen, tocsin::WallTime{1}));
  CHECK(finding.detail.size() <= 256);
  const bool up = finding.outcome == tocsin::Outcome::kUp;
  CHECK(up || finding.detail.find("(assert[0]") != std::string::npos);
  return up;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const tocsin::Target targets[] = {tocsin::HttpTarget{}, tocsin::TcpTarget{},
                                           tocsin::TlsTarget{}, tocsin::DnsTarget{}};
  const std::string_view input = tocsin::as_view({data, size});
  const std::size_t end = std::min(input.find('\0'), input.size());
  const std::string_view text = input.substr(0, end);
  const std::string_view body = input.substr(std::min(end + 1, input.size()));
  for (const tocsin::Target& target : targets) {
    const auto condition = tocsin::assertion::parse_condition(text, target);
    if (!condition) {
      CHECK(condition.error().text.starts_with("column "));
      continue;
    }
    CHECK(tocsin::assertion::check_condition(*condition, target).has_value());
    const auto again = tocsin::assertion::parse_condition(condition->text, target);
    CHECK(again.has_value());
    CHECK(*again == *condition);
    const tocsin::Observation seen = observed(body);
    using enum tocsin::GroupKind;
    const tocsin::Condition denial = around(kNot, {*condition});
    const bool yes = holds(target, *condition, seen);
    const bool no = holds(target, denial, seen);
    CHECK(!(yes && no));
    CHECK(holds(target, around(kNot, {denial}), seen) == yes);
    CHECK(holds(target, around(kOr, {denial, *condition}), seen) == (yes || no));
    CHECK(!holds(target, around(kAnd, {denial, *condition}), seen));
    CHECK(holds(target, around(kNot, {around(kAnd, {denial, *condition})}), seen) == (yes || no));
  }
  return 0;
}
