#include "common/assert/grammar.h"

#include "common/assert/parser.h"
#include "common/assert/regex.h"
#include "common/base/check.h"
#include "common/base/strings.h"

#include <algorithm>
#include <cmath>

namespace tocsin::assertion {

namespace {

using enum Compare;

constexpr Compare kNumberOps[] = {kEq, kNe, kLt, kLe, kGt, kGe, kInRange};
constexpr Compare kDurationOps[] = {kLt, kLe, kGt, kGe};
constexpr Compare kTextOps[] = {kEq, kNe, kContains, kNotContains, kMatches, kNotMatches};
constexpr Compare kHeaderOps[] = {kEq,      kNe,         kContains, kNotContains,
                                  kMatches, kNotMatches, kExists,   kNotExists};
constexpr Compare kJsonOps[] = {kEq,      kNe,         kLt,       kLe,
                                kGt,      kGe,         kContains, kNotContains,
                                kMatches, kNotMatches, kExists,   kNotExists};
constexpr Compare kEqualityOps[] = {kEq, kNe};
constexpr Compare kSetOps[] = {kContains, kNotContains};
constexpr Compare kIsOps[] = {kEq};
constexpr Compare kVersionOps[] = {kEq, kNe, kLt, kLe, kGt, kGe};

constexpr SubjectRule kRules[] = {
    {Subject::kStatus, "status", "http", SelectorKind::kNone, OperandKind::kInteger, kNumberOps},
    {Subject::kHeader, "header", "http", SelectorKind::kHeaderName, OperandKind::kText, kHeaderOps},
    {Subject::kBody, "body", "http", SelectorKind::kNone, OperandKind::kText, kTextOps},
    {Subject::kJson, "json", "http", SelectorKind::kJsonPath, OperandKind::kJson, kJsonOps},
    {Subject::kHttpVersion, "http version", "http", SelectorKind::kNone, OperandKind::kText,
     kEqualityOps},
    {Subject::kRedirects, "redirects", "http", SelectorKind::kNone, OperandKind::kInteger,
     kNumberOps},
    {Subject::kCertificateExpiry, "certificate expires in", "http dot tls starttls",
     SelectorKind::kNone, OperandKind::kDuration, kDurationOps},
    {Subject::kCertificateChainExpiry, "certificate chain expires in", "http dot tls starttls",
     SelectorKind::kNone, OperandKind::kDuration, kDurationOps},
    {Subject::kTlsVersion, "tls version", "http dot tls starttls", SelectorKind::kNone,
     OperandKind::kText, kVersionOps},
    {Subject::kTlsCipher, "tls cipher", "http dot tls starttls", SelectorKind::kNone,
     OperandKind::kText, kTextOps},
    {Subject::kTlsAlpn, "tls alpn", "http tls", SelectorKind::kNone, OperandKind::kText,
     kEqualityOps},
    {Subject::kLatency, "latency", "", SelectorKind::kNone, OperandKind::kDuration, kDurationOps},
    {Subject::kPhase, "phase", "", SelectorKind::kPhase, OperandKind::kDuration, kDurationOps},
    {Subject::kDnsRcode, "dns rcode", "dns", SelectorKind::kNone, OperandKind::kRcode,
     kEqualityOps},
    {Subject::kDnsRecord, "dns record", "dns", SelectorKind::kNone, OperandKind::kText, kTextOps},
    {Subject::kDnsCount, "dns count", "dns", SelectorKind::kNone, OperandKind::kInteger,
     kNumberOps},
    {Subject::kDnsTtl, "dns ttl", "dns", SelectorKind::kNone, OperandKind::kDuration, kDurationOps},
    {Subject::kDnsFlags, "dns flags", "dns", SelectorKind::kNone, OperandKind::kFlag, kSetOps},
    {Subject::kLengthJson, "length json", "http", SelectorKind::kJsonPath, OperandKind::kInteger,
     kNumberOps},
    {Subject::kLengthBody, "length body", "http", SelectorKind::kNone, OperandKind::kInteger,
     kNumberOps},
    {Subject::kAddress, "address", "", SelectorKind::kNone, OperandKind::kText, kTextOps},
    {Subject::kConnected, "connected", "", SelectorKind::kNone, OperandKind::kTrue, kIsOps},
};

constexpr std::string_view kDnsFlags[] = {"aa", "tc", "ra", "ad"};
constexpr std::string_view kHttpVersions[] = {"1.0", "1.1", "2"};
constexpr std::string_view kTlsVersions[] = {"1.2", "1.3"};

template <std::size_t N>
bool is_one_of(const std::string_view (&names)[N], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

bool is_pattern(Compare compare) { return compare == kMatches || compare == kNotMatches; }

Expected<void> check_integer(const Condition& condition) {
  const auto whole = [](const Operand& operand) {
    const auto* number = std::get_if<double>(&operand);
    return number != nullptr && *number >= 0 && *number <= 1e9 && std::floor(*number) == *number;
  };
  const bool range = condition.compare == kInRange;
  if (!whole(condition.operand) || (range && !whole(condition.operand_high))) {
    return fail(Errc::kInvalid, "expected a whole number");
  }
  const double low = std::get<double>(condition.operand);
  const double high = range ? std::get<double>(condition.operand_high) : low;
  if (low > high) return fail(Errc::kInvalid, "expected a range whose end is not before its start");
  if (condition.subject == Subject::kStatus && (low < 100 || high > 599)) {
    return fail(Errc::kInvalid, "expected a status from 100 to 599");
  }
  return {};
}

Expected<void> check_text(const Condition& condition) {
  const auto* text = std::get_if<std::string>(&condition.operand);
  if (text == nullptr) return fail(Errc::kInvalid, "expected a text");
  if (text->size() > kConditionSizeMax) return fail(Errc::kInvalid, "the text is too long");
  if (condition.subject == Subject::kHttpVersion && !is_one_of(kHttpVersions, *text)) {
    return fail(Errc::kInvalid, "expected 1.0, 1.1 or 2, not '{}'", printable(*text, 60));
  }
  if (condition.subject == Subject::kTlsVersion && !is_one_of(kTlsVersions, *text)) {
    return fail(Errc::kInvalid, "expected 1.2 or 1.3, not '{}'", printable(*text, 60));
  }
  const bool contains = condition.compare == kContains || condition.compare == kNotContains;
  if (contains && text->empty()) return fail(Errc::kInvalid, "expected a text that is not empty");
  if (!is_pattern(condition.compare)) return {};
  TRY(Regex::compile(*text));
  return {};
}

Expected<void> check_json(const Condition& condition) {
  const bool equality = condition.compare == kEq || condition.compare == kNe;
  if (std::holds_alternative<std::string>(condition.operand)) {
    const bool ordered = condition.compare == kLt || condition.compare == kLe ||
                         condition.compare == kGt || condition.compare == kGe;
    if (ordered) return fail(Errc::kInvalid, "expected a number");
    return check_text(condition);
  }
  if (const auto* number = std::get_if<double>(&condition.operand)) {
    if (!std::isfinite(*number)) return fail(Errc::kInvalid, "expected a finite number");
    const bool text_only = is_pattern(condition.compare) || condition.compare == kContains ||
                           condition.compare == kNotContains;
    if (text_only) return fail(Errc::kInvalid, "expected a text");
    return {};
  }
  if (std::holds_alternative<Duration>(condition.operand) || !equality) {
    return fail(Errc::kInvalid, "expected a {}", equality ? "JSON value" : "number or text");
  }
  return {};
}

}  // namespace

std::span<const SubjectRule> subject_rules() { return kRules; }

const SubjectRule* find_rule(Subject subject) {
  const auto* at = std::find_if(std::begin(kRules), std::end(kRules),
                                [&](const SubjectRule& rule) { return rule.subject == subject; });
  return at == std::end(kRules) ? nullptr : at;
}

bool applies_to(const SubjectRule& rule, const Target& target) {
  if (rule.kinds.empty()) return true;
  const std::vector<std::string_view> kinds = split(rule.kinds, ' ');
  const auto has = [&](std::string_view kind) {
    return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
  };
  const auto* tcp = std::get_if<TcpTarget>(&target);
  const auto* dns = std::get_if<DnsTarget>(&target);
  return has(type_name(target)) ||
         (tcp != nullptr && tcp->starttls != StartTls::kNone && has("starttls")) ||
         (dns != nullptr && dns->transport == DnsTransport::kTls && has("dot"));
}

std::string subjects_of(const Target& target) {
  std::vector<std::string> names;
  for (const SubjectRule& rule : kRules) {
    if (applies_to(rule, target)) names.emplace_back(rule.spelling);
  }
  return join(names, ", ");
}

bool takes_operand(Compare compare) { return compare != kExists && compare != kNotExists; }

Expected<void> check_operand(const Condition& condition) {
  const SubjectRule* rule = find_rule(condition.subject);
  CHECK(rule != nullptr);
  if (!takes_operand(condition.compare)) {
    if (std::holds_alternative<Null>(condition.operand)) return {};
    return fail(Errc::kInvalid, "'{}' takes nothing to compare with", to_string(condition.compare));
  }
  switch (rule->operand) {
    case OperandKind::kInteger:
      return check_integer(condition);
    case OperandKind::kText:
      return check_text(condition);
    case OperandKind::kDuration:
      if (std::holds_alternative<Duration>(condition.operand)) return {};
      return fail(Errc::kInvalid, "expected a duration");
    case OperandKind::kRcode: {
      const auto* name = std::get_if<std::string>(&condition.operand);
      if (name != nullptr && is_rcode_name(*name)) return {};
      return fail(Errc::kInvalid, "expected a response code such as NOERROR, NXDOMAIN or SERVFAIL");
    }
    case OperandKind::kJson:
      return check_json(condition);
    case OperandKind::kFlag: {
      const auto* name = std::get_if<std::string>(&condition.operand);
      if (name != nullptr && is_one_of(kDnsFlags, *name)) return {};
      return fail(Errc::kInvalid, "expected a flag: aa, tc, ra or ad");
    }
    case OperandKind::kTrue: {
      const auto* value = std::get_if<bool>(&condition.operand);
      if (value != nullptr && *value) return {};
      return fail(
          Errc::kInvalid,
          "expected true: a target that cannot be reached is down before it is asserted on");
    }
  }
  return fail(Errc::kUnsupported, "unknown kind of operand");
}

bool is_phase_name(std::string_view name) {
  return std::find(std::begin(kPhaseNames), std::end(kPhaseNames), name) != std::end(kPhaseNames);
}

bool is_header_selector(std::string_view name) {
  return !name.empty() && name.size() <= 100 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           std::string_view{"!#$%&'*+-.^_`|~"}.find(c) != std::string_view::npos;
  });
}

}  // namespace tocsin::assertion
