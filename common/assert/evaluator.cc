#include "common/assert/evaluator.h"

#include "common/assert/json_lookup.h"
#include "common/assert/json_path.h"
#include "common/assert/parser.h"
#include "common/assert/regex.h"
#include "common/base/check.h"
#include "common/base/strings.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

namespace tocsin::assertion {

namespace {

constexpr std::size_t kDetailMax = 250;  // printable() adds an ellipsis; Finding promises 256.

struct Compiled {
  Condition condition;
  std::optional<Regex> regex;
  JsonPath path;
};

/// Whether a condition holds, and what was there, in words for "got ...".
struct Answer {
  bool holds = false;
  std::string got;
};

Reason reason_of(Subject subject) {
  switch (subject) {
    case Subject::kStatus:
      return Reason::kAssertStatus;
    case Subject::kHeader:
      return Reason::kAssertHeader;
    case Subject::kBody:
      return Reason::kAssertBody;
    case Subject::kJson:
      return Reason::kAssertJson;
    case Subject::kLatency:
      return Reason::kAssertLatency;
    case Subject::kPhase:
      return Reason::kAssertPhase;
    case Subject::kCertificateExpiry:
      return Reason::kAssertCertificate;
    case Subject::kDnsRcode:
    case Subject::kDnsRecord:
    case Subject::kDnsCount:
      return Reason::kAssertDns;
    case Subject::kHttpVersion:
    case Subject::kRedirects:
      return Reason::kAssertOther;
  }
  return Reason::kAssertOther;
}

template <class T>
bool compare_ordered(const T& left, Compare compare, const T& right) {
  switch (compare) {
    case Compare::kEq:
      return left == right;
    case Compare::kNe:
      return left != right;
    case Compare::kLt:
      return left < right;
    case Compare::kLe:
      return left <= right;
    case Compare::kGt:
      return left > right;
    case Compare::kGe:
      return left >= right;
    case Compare::kContains:
    case Compare::kNotContains:
    case Compare::kMatches:
    case Compare::kNotMatches:
    case Compare::kExists:
    case Compare::kNotExists:
    case Compare::kInRange:
      break;
  }
  CHECK(false && "compile() lets no other operator through");
}

bool is_negation(Compare compare) {
  return compare == Compare::kNe || compare == Compare::kNotContains ||
         compare == Compare::kNotMatches || compare == Compare::kNotExists;
}

/// The positive form of a text operator: what a negation denies.
bool text_hit(std::string_view text, const Compiled& c) {
  switch (c.condition.compare) {
    case Compare::kEq:
    case Compare::kNe:
      return text == std::get<std::string>(c.condition.operand);
    case Compare::kContains:
    case Compare::kNotContains:
      return text.find(std::get<std::string>(c.condition.operand)) != std::string_view::npos;
    case Compare::kMatches:
    case Compare::kNotMatches:
      return c.regex->matches(text);
    case Compare::kExists:
    case Compare::kNotExists:
      return true;
    case Compare::kLt:
    case Compare::kLe:
    case Compare::kGt:
    case Compare::kGe:
    case Compare::kInRange:
      break;
  }
  CHECK(false && "compile() lets no other operator through");
}

Answer number_answer(double value, const Condition& c) {
  const double low = std::get<double>(c.operand);
  if (c.compare == Compare::kInRange) {
    return {value >= low && value <= std::get<double>(c.operand_high), fmt::format("{}", value)};
  }
  return {compare_ordered(value, c.compare, low), fmt::format("{}", value)};
}

Answer duration_answer(Duration value, const Condition& c) {
  return {compare_ordered(value, c.compare, std::get<Duration>(c.operand)),
          format_duration_short(value)};
}

Answer header_answer(const HttpFacts& http, const Compiled& c) {
  bool present = false;
  bool hit = false;
  std::string got = "no such header";
  for (const Header& header : http.headers) {
    if (header.name != c.condition.selector) continue;
    if (!present) got = fmt::format("\"{}\"", printable(header.value, 80));
    present = true;
    hit = hit || text_hit(header.value, c);
  }
  return {is_negation(c.condition.compare) ? !hit : hit, got};
}

Answer body_answer(const HttpFacts& http, const Compiled& c) {
  const Compare compare = c.condition.compare;
  const bool whole = compare == Compare::kEq || compare == Compare::kNe;
  const bool hit = text_hit(http.body, c);
  if (http.body_cut && (whole || !hit)) {
    return {false, fmt::format("a body of more than {} bytes, which was cut", http.body.size())};
  }
  return {is_negation(compare) ? !hit : hit,
          http.body.empty() ? "an empty body" : fmt::format("\"{}\"", printable(http.body, 80))};
}

Answer json_value_answer(const JsonValue& value, const Compiled& c) {
  const Compare compare = c.condition.compare;
  const std::string got = describe(value);
  const bool there = !std::holds_alternative<Nowhere>(value);
  if (compare == Compare::kExists || compare == Compare::kNotExists) {
    return {there == (compare == Compare::kExists), got};
  }
  if (!there || std::holds_alternative<Structure>(value)) return {false, got};
  const Operand& operand = c.condition.operand;
  if (compare == Compare::kEq || compare == Compare::kNe) {
    const bool equal = std::visit(
        [&](const auto& right) {
          using T = std::decay_t<decltype(right)>;
          if constexpr (std::is_same_v<T, Duration>) {
            return false;
          } else {
            const auto* left = std::get_if<T>(&value);
            return left != nullptr && *left == right;
          }
        },
        operand);
    return {equal == (compare == Compare::kEq), got};
  }
  if (const auto* number = std::get_if<double>(&operand)) {
    const auto* left = std::get_if<double>(&value);
    return {left != nullptr && compare_ordered(*left, compare, *number), got};
  }
  const auto* left = std::get_if<std::string>(&value);
  if (left == nullptr) return {false, got};
  const bool hit = text_hit(*left, c);
  return {is_negation(compare) ? !hit : hit, got};
}

Answer certificate_answer(const Observation& seen, const Condition& c, WallTime now) {
  if (!seen.tls || seen.tls->not_after.us == 0) return {false, "no certificate"};
  const Duration left = seen.tls->not_after - now;
  if (left < Duration{0}) {
    return {compare_ordered(left, c.compare, std::get<Duration>(c.operand)),
            fmt::format("expired {} ago", format_duration_short(-left))};
  }
  return duration_answer(left, c);
}

Answer phase_answer(const Phases& phases, const Condition& c) {
  const std::uint32_t us = c.selector == "dns"       ? phases.dns_us
                           : c.selector == "connect" ? phases.connect_us
                           : c.selector == "tls"     ? phases.tls_us
                           : c.selector == "send"    ? phases.send_us
                           : c.selector == "wait"    ? phases.wait_us
                                                     : phases.receive_us;
  return duration_answer(Duration{us}, c);
}

Answer records_answer(const DnsFacts& dns, const Compiled& c) {
  if (dns.rcode != "NOERROR" && dns.rcode != "NXDOMAIN") return {false, dns.rcode};
  bool hit = false;
  std::string got = dns.answers.empty() ? "no record" : "";
  for (const DnsRecord& record : dns.answers) {
    hit = hit || text_hit(record.data, c);
    if (got.size() < 80) got += (got.empty() ? "" : ", ") + printable(record.data, 80);
  }
  return {is_negation(c.condition.compare) ? !hit : hit, got};
}

/// One judgement: what was seen, and the JSON document, which is parsed at most once.
class Judgement {
 public:
  Judgement(const Observation& seen, WallTime now)
      : seen_(seen),
        now_(now) {}

  Answer answer(const Compiled& c, DnsType asked) {
    switch (c.condition.subject) {
      case Subject::kStatus:
        return with_http(
            [&](const HttpFacts& http) { return number_answer(http.status, c.condition); });
      case Subject::kHeader:
        return with_http([&](const HttpFacts& http) { return header_answer(http, c); });
      case Subject::kBody:
        return with_http([&](const HttpFacts& http) { return body_answer(http, c); });
      case Subject::kJson:
        return with_http([&](const HttpFacts& http) { return json_answer(http, c); });
      case Subject::kHttpVersion:
        return with_http([&](const HttpFacts& http) {
          const bool hit = text_hit(http.version, c);
          return Answer{is_negation(c.condition.compare) ? !hit : hit, http.version};
        });
      case Subject::kRedirects:
        return with_http(
            [&](const HttpFacts& http) { return number_answer(http.redirects, c.condition); });
      case Subject::kCertificateExpiry:
        return certificate_answer(seen_, c.condition, now_);
      case Subject::kLatency:
        return duration_answer(Duration{seen_.phases.total_us}, c.condition);
      case Subject::kPhase:
        return phase_answer(seen_.phases, c.condition);
      case Subject::kDnsRcode:
        return with_dns([&](const DnsFacts& dns) {
          const bool hit = text_hit(dns.rcode, c);
          return Answer{is_negation(c.condition.compare) ? !hit : hit, dns.rcode};
        });
      case Subject::kDnsRecord:
        return with_dns([&](const DnsFacts& dns) { return records_answer(dns, c); });
      case Subject::kDnsCount:
        return with_dns([&](const DnsFacts& dns) {
          return number_answer(static_cast<double>(count_of(dns, asked)), c.condition);
        });
    }
    CHECK(false && "compile() lets no other subject through");
  }

  static std::ptrdiff_t count_of(const DnsFacts& dns, DnsType asked) {
    return std::count_if(dns.answers.begin(), dns.answers.end(),
                         [&](const DnsRecord& record) { return record.type == asked; });
  }

 private:
  template <class F>
  Answer with_http(F f) const {
    return seen_.http ? f(*seen_.http) : Answer{false, "no HTTP response"};
  }

  template <class F>
  Answer with_dns(F f) const {
    return seen_.dns ? f(*seen_.dns) : Answer{false, "no DNS answer"};
  }

  Answer json_answer(const HttpFacts& http, const Compiled& c) {
    if (http.body_cut) {
      return {false, fmt::format("a body of more than {} bytes, which was cut", http.body.size())};
    }
    if (!document_) document_ = JsonDocument::parse(http.body);
    if (!*document_) {
      return {false, fmt::format("a body that is not JSON ({})", document_->error().text)};
    }
    return json_value_answer((**document_)->at(c.path), c);
  }

  const Observation& seen_;
  WallTime now_;
  std::optional<Expected<std::unique_ptr<JsonDocument>>> document_;
};

Finding finding(Outcome outcome, Reason reason, std::string_view detail) {
  return {outcome, reason, printable(detail, kDetailMax)};
}

Finding expected_finding(Reason reason, std::string_view wanted, std::string_view got) {
  return finding(Outcome::kDown, reason,
                 fmt::format("expected {}, got {}", printable(wanted, 120), got));
}

Expected<Compiled> compile_condition(const Condition& condition, const Target& target) {
  TRY(check_condition(condition, target));
  Compiled out;
  out.condition = condition;
  if (out.condition.text.empty()) {
    out.condition.text = fmt::format("{}{}{} {}", to_string(condition.subject),
                                     condition.selector.empty() ? "" : " ", condition.selector,
                                     to_string(condition.compare));
  }
  if (condition.compare == Compare::kMatches || condition.compare == Compare::kNotMatches) {
    TRY_ASSIGN(Regex regex, Regex::compile(std::get<std::string>(condition.operand)));
    out.regex = std::move(regex);
  }
  if (condition.subject == Subject::kJson) {
    TRY_ASSIGN(out.path, parse_json_path(condition.selector));
  }
  return out;
}

Expected<std::vector<Compiled>> compile_all(std::string_view what,
                                            const std::vector<Condition>& conditions,
                                            const Target& target) {
  std::vector<Compiled> out;
  for (std::size_t i = 0; i < conditions.size(); ++i) {
    auto compiled = compile_condition(conditions[i], target);
    if (!compiled) {
      return fail(compiled.error().code, "{}[{}]: {}", what, i, compiled.error().text);
    }
    out.push_back(*std::move(compiled));
  }
  return out;
}

}  // namespace

struct Evaluator::Program {
  Target target;  ///< Only its kind and, for DNS, the type that was asked for.
  std::vector<Compiled> assertions;
  std::vector<Compiled> degraded;

  DnsType asked() const {
    const auto* dns = std::get_if<DnsTarget>(&target);
    return dns == nullptr ? DnsType::kA : dns->type;
  }

  std::optional<Finding> default_failure(const Observation& seen) const;
};

/// What must hold when the user wrote no assertion.
std::optional<Finding> Evaluator::Program::default_failure(const Observation& seen) const {
  if (std::holds_alternative<HttpTarget>(target)) {
    const int status = seen.http ? seen.http->status : 0;
    if (status >= 200 && status <= 299) return std::nullopt;
    return expected_finding(Reason::kAssertStatus, "status in 200..299",
                            seen.http ? fmt::format("{}", status) : "no HTTP response");
  }
  if (std::holds_alternative<DnsTarget>(target)) {
    if (!seen.dns || seen.dns->rcode != "NOERROR") {
      return expected_finding(Reason::kDnsRcode, "dns rcode == NOERROR",
                              seen.dns ? seen.dns->rcode : "no DNS answer");
    }
    if (Judgement::count_of(*seen.dns, asked()) == 0) {
      return expected_finding(Reason::kDnsNodata,
                              fmt::format("a record of type {}", to_string(asked())), "none");
    }
  }
  return std::nullopt;
}

Evaluator::Evaluator(std::shared_ptr<const Program> program)
    : program_(std::move(program)) {}

Expected<Evaluator> Evaluator::compile(const ProbeSpec& spec) {
  if (spec.assertions.all.size() > Assertions::kMaxConditions) {
    return fail(Errc::kLimit, "assert: expected at most {} conditions", Assertions::kMaxConditions);
  }
  if (spec.degraded.size() > 4)
    return fail(Errc::kLimit, "degraded: expected at most 4 conditions");
  auto program = std::make_shared<Program>();
  program->target = spec.target;
  TRY_ASSIGN(program->assertions, compile_all("assert", spec.assertions.all, spec.target));
  TRY_ASSIGN(program->degraded, compile_all("degraded", spec.degraded, spec.target));
  return Evaluator{std::move(program)};
}

Finding Evaluator::judge(const Observation& observation, WallTime now) const {
  if (observation.failure) {
    const Reason reason = observation.failure->reason;
    return finding(blames_target(reason) ? Outcome::kDown : Outcome::kNoData, reason,
                   observation.failure->detail);
  }
  Judgement judgement{observation, now};
  const DnsType asked = program_->asked();
  if (program_->assertions.empty()) {
    if (auto failed = program_->default_failure(observation)) return *failed;
  }
  for (const Compiled& compiled : program_->assertions) {
    const Answer answer = judgement.answer(compiled, asked);
    if (!answer.holds) {
      return expected_finding(reason_of(compiled.condition.subject), compiled.condition.text,
                              answer.got);
    }
  }
  for (const Compiled& compiled : program_->degraded) {
    const Answer answer = judgement.answer(compiled, asked);
    if (answer.holds) {
      return finding(Outcome::kDegraded, reason_of(compiled.condition.subject),
                     fmt::format("{}: {}", printable(compiled.condition.text, 120), answer.got));
    }
  }
  return {};
}

bool looks_at_body(const ProbeSpec& spec) {
  const auto looks = [](const Condition& condition) {
    return condition.subject == Subject::kBody || condition.subject == Subject::kJson;
  };
  return std::any_of(spec.assertions.all.begin(), spec.assertions.all.end(), looks) ||
         std::any_of(spec.degraded.begin(), spec.degraded.end(), looks);
}

}  // namespace tocsin::assertion
