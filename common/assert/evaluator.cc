#include "common/assert/evaluator.h"

#include "common/assert/json_lookup.h"
#include "common/assert/json_path.h"
#include "common/assert/parser.h"
#include "common/assert/regex.h"
#include "common/base/check.h"
#include "common/base/ip_address.h"
#include "common/base/strings.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

namespace tocsin::assertion {

namespace {

constexpr std::size_t kDetailMax = 250;  // printable() adds an ellipsis; Finding promises 256.
constexpr std::size_t kGotMax = 80;
constexpr std::size_t kTextShownMax = 120;

struct Compiled {
  Condition condition;  ///< Without its parts.
  std::optional<Regex> regex;
  JsonPath path;
  std::optional<IpAddress> address;  ///< The operand, where addresses are compared.
  std::vector<Compiled> parts;
};

/// kUnseen: what the condition is about was not observed. It satisfies nothing, nor does its
/// negation.
enum class Truth : std::uint8_t { kFails, kUnseen, kHolds };

/// Whether a condition holds, and what was there, in words for "got ...".
struct Answer {
  Truth truth = Truth::kUnseen;
  std::string got;
};

Answer seen_as(bool holds, std::string got) {
  return {holds ? Truth::kHolds : Truth::kFails, std::move(got)};
}

Answer unseen(std::string got) { return {Truth::kUnseen, std::move(got)}; }

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
    case Subject::kCertificateChainExpiry:
      return Reason::kAssertCertificate;
    case Subject::kTlsVersion:
    case Subject::kTlsCipher:
    case Subject::kTlsAlpn:
      return Reason::kAssertTls;
    case Subject::kDnsRcode:
    case Subject::kDnsRecord:
    case Subject::kDnsCount:
    case Subject::kDnsTtl:
    case Subject::kDnsFlags:
      return Reason::kAssertDns;
    case Subject::kLengthJson:
      return Reason::kAssertJson;
    case Subject::kLengthBody:
      return Reason::kAssertBody;
    case Subject::kAddress:
      return Reason::kAssertAddress;
    case Subject::kRedirects:
      return Reason::kAssertRedirects;
    case Subject::kHttpVersion:
      return Reason::kAssertVersion;
    case Subject::kConnected:
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
    return seen_as(value >= low && value <= std::get<double>(c.operand_high),
                   fmt::format("{}", value));
  }
  return seen_as(compare_ordered(value, c.compare, low), fmt::format("{}", value));
}

Answer duration_answer(Duration value, const Condition& c) {
  return seen_as(compare_ordered(value, c.compare, std::get<Duration>(c.operand)),
                 format_duration_short(value));
}

Answer text_answer(std::string_view value, const Compiled& c) {
  const bool hit = text_hit(value, c);
  return seen_as(is_negation(c.condition.compare) ? !hit : hit, printable(value, kGotMax));
}

Answer header_answer(const HttpFacts& http, const Compiled& c) {
  bool present = false;
  bool hit = false;
  std::string got = "no such header";
  for (const Header& header : http.headers) {
    if (header.name != c.condition.selector) continue;
    if (!present) got = fmt::format("\"{}\"", printable(header.value, kGotMax));
    present = true;
    hit = hit || text_hit(header.value, c);
  }
  return seen_as(is_negation(c.condition.compare) ? !hit : hit, got);
}

std::string cut_body(const HttpFacts& http) {
  return fmt::format("a body of more than {} bytes, which was cut", http.body.size());
}

Answer body_answer(const HttpFacts& http, const Compiled& c) {
  const Compare compare = c.condition.compare;
  const bool whole = compare == Compare::kEq || compare == Compare::kNe;
  const bool hit = text_hit(http.body, c);
  if (http.body_cut && (whole || !hit)) return unseen(cut_body(http));
  return seen_as(
      is_negation(compare) ? !hit : hit,
      http.body.empty() ? "an empty body" : fmt::format("\"{}\"", printable(http.body, kGotMax)));
}

Answer json_value_answer(const JsonValue& value, const Compiled& c) {
  const Compare compare = c.condition.compare;
  const std::string got = describe(value);
  const bool there = !std::holds_alternative<Nowhere>(value);
  if (compare == Compare::kExists || compare == Compare::kNotExists) {
    return seen_as(there == (compare == Compare::kExists), got);
  }
  if (!there || std::holds_alternative<Structure>(value)) return unseen(got);
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
    return seen_as(equal == (compare == Compare::kEq), got);
  }
  if (const auto* number = std::get_if<double>(&operand)) {
    const auto* left = std::get_if<double>(&value);
    if (left == nullptr) return unseen(got);
    return seen_as(compare_ordered(*left, compare, *number), got);
  }
  const auto* left = std::get_if<std::string>(&value);
  if (left == nullptr) return unseen(got);
  const bool hit = text_hit(*left, c);
  return seen_as(is_negation(compare) ? !hit : hit, got);
}

Answer json_length_answer(const JsonValue& value, const Condition& c) {
  if (const auto* structure = std::get_if<Structure>(&value)) {
    return number_answer(static_cast<double>(structure->size), c);
  }
  if (const auto* text = std::get_if<std::string>(&value)) {
    return number_answer(static_cast<double>(text->size()), c);
  }
  return unseen(describe(value));
}

bool is_about_certificate(Subject subject) {
  return subject == Subject::kCertificateExpiry || subject == Subject::kCertificateChainExpiry;
}

Answer certificate_answer(const Observation& seen, const Condition& c, WallTime now) {
  if (!seen.tls || seen.tls->not_after.us == 0) return unseen("no certificate");
  const bool chain = c.subject == Subject::kCertificateChainExpiry;
  const Duration left = (chain ? seen.tls->chain_not_after : seen.tls->not_after) - now;
  if (left < Duration{0}) {
    return seen_as(compare_ordered(left, c.compare, std::get<Duration>(c.operand)),
                   fmt::format("expired {} ago", format_duration_short(-left)));
  }
  return duration_answer(left, c);
}

/// "TLSv1.3" without its first letters.
std::string_view tls_version(const TlsFacts& tls) {
  std::string_view out = tls.version;
  if (out.starts_with("TLSv")) out.remove_prefix(4);
  return out;
}

Answer tls_answer(const Observation& seen, const Compiled& c) {
  if (!seen.tls || seen.tls->cipher.empty()) return unseen("no TLS");
  const TlsFacts& tls = *seen.tls;
  if (c.condition.subject == Subject::kTlsVersion) {
    const std::string_view version = tls_version(tls);
    return seen_as(compare_ordered(version, c.condition.compare,
                                   std::string_view{std::get<std::string>(c.condition.operand)}),
                   std::string{version});
  }
  const std::string& text = c.condition.subject == Subject::kTlsCipher ? tls.cipher : tls.alpn;
  const bool hit = text_hit(text, c);
  return seen_as(is_negation(c.condition.compare) ? !hit : hit, text.empty() ? "none" : text);
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

/// "192.0.2.1:443" and "[2001:db8::1]:443" without the port.
std::string_view without_port(std::string_view remote) {
  if (remote.starts_with('[')) return remote.substr(1, remote.find(']') - 1);
  return remote.substr(0, remote.rfind(':'));
}

Answer address_answer(const Observation& seen, const Compiled& c) {
  if (seen.remote.empty()) return unseen("no address");
  const std::string_view used = without_port(seen.remote);
  const Compare compare = c.condition.compare;
  if (!c.address) return text_answer(used, c);
  const auto address = IpAddress::parse(used);
  const bool equal = address.has_value() && *address == *c.address;
  return seen_as(equal == (compare == Compare::kEq), std::string{used});
}

// --- DNS ---

/// What an answer without usable data is called, or nothing: only NOERROR and NXDOMAIN say which
/// records there are.
std::optional<Answer> no_dns_data(const DnsFacts& dns) {
  if (dns.rcode == "NOERROR" || dns.rcode == "NXDOMAIN") return std::nullopt;
  return unseen(dns.rcode);
}

bool is_address_type(DnsType type) { return type == DnsType::kA || type == DnsType::kAaaa; }

/// Types whose data consists of names and numbers, so that case and a final dot do not matter.
bool is_name_type(DnsType type) {
  return type == DnsType::kNs || type == DnsType::kCname || type == DnsType::kPtr ||
         type == DnsType::kMx || type == DnsType::kSrv || type == DnsType::kSoa;
}

std::string_view without_dot(std::string_view name) {
  return name.ends_with('.') ? name.substr(0, name.size() - 1) : name;
}

bool record_hit(const DnsRecord& record, const Compiled& c) {
  const Compare compare = c.condition.compare;
  if (compare == Compare::kEq || compare == Compare::kNe) {
    if (c.address && is_address_type(record.type)) {
      const auto address = IpAddress::parse(record.data);
      return address.has_value() && *address == *c.address;
    }
    if (is_name_type(record.type)) {
      return iequals(without_dot(record.data),
                     without_dot(std::get<std::string>(c.condition.operand)));
    }
  }
  return text_hit(record.data, c);
}

Answer records_answer(const DnsFacts& dns, const Compiled& c) {
  if (auto none = no_dns_data(dns)) return *std::move(none);
  bool hit = false;
  std::string got = dns.answers.empty() ? "no record" : "";
  for (const DnsRecord& record : dns.answers) {
    hit = hit || record_hit(record, c);
    if (got.size() < kGotMax) got += (got.empty() ? "" : ", ") + printable(record.data, kGotMax);
  }
  return seen_as(is_negation(c.condition.compare) ? !hit : hit, got);
}

Answer ttl_answer(const DnsFacts& dns, DnsType asked, const Condition& c) {
  std::optional<std::uint32_t> lowest;
  for (const DnsRecord& record : dns.answers) {
    if (record.type == asked) lowest = std::min(lowest.value_or(record.ttl), record.ttl);
  }
  if (!lowest) return unseen("no record");
  return duration_answer(std::chrono::seconds{*lowest}, c);
}

Answer flags_answer(const DnsFacts& dns, const Condition& c) {
  std::string got;
  for (const auto& [name, is_set] :
       {std::pair{"aa", dns.authoritative}, std::pair{"tc", dns.truncated_udp},
        std::pair{"ra", dns.recursion_available}, std::pair{"ad", dns.authentic_data}}) {
    if (is_set) got += (got.empty() ? "" : " ") + std::string{name};
  }
  // The operand is one of these words, and none is part of another.
  const bool hit = got.find(std::get<std::string>(c.operand)) != std::string::npos;
  return seen_as(is_negation(c.compare) ? !hit : hit, got.empty() ? "no flag" : got);
}

/// Why a group or condition is not what was wanted.
struct Culprit {
  Subject subject = Subject::kStatus;
  std::string path;  ///< "assert[2].or[1]"
  std::string text;  ///< "expected status == 200, got 503"
};

/// One judgement: what was seen, and the JSON document, which is parsed at most once.
class Judgement {
 public:
  Judgement(const Observation& seen, WallTime now, DnsType asked)
      : seen_(seen),
        now_(now),
        asked_(asked) {}

  Truth truth(const Compiled& c) {
    switch (c.condition.group) {
      case GroupKind::kNone:
        return answer(c).truth;
      case GroupKind::kAnd: {
        Truth least = Truth::kHolds;
        for (const Compiled& part : c.parts) {
          least = std::min(least, truth(part));
          if (least == Truth::kFails) break;
        }
        return least;
      }
      case GroupKind::kOr: {
        Truth most = Truth::kFails;
        for (const Compiled& part : c.parts) {
          most = std::max(most, truth(part));
          if (most == Truth::kHolds) break;
        }
        return most;
      }
      case GroupKind::kNot:
        switch (truth(c.parts.front())) {
          case Truth::kFails:
            return Truth::kHolds;
          case Truth::kUnseen:
            return Truth::kUnseen;
          case Truth::kHolds:
            return Truth::kFails;
        }
    }
    return Truth::kUnseen;
  }

  /// Which node is to blame that `c`, which stands at `path`, does not hold (`wanted`) or has not
  /// been seen to fail (not `wanted`). The first one in reading order.
  Culprit blame(const Compiled& c, const std::string& path, bool wanted) {
    if (c.condition.group == GroupKind::kNone || !c.condition.text.empty()) {
      const Compiled& leaf = first_leaf(c);
      return {leaf.condition.subject, path,
              fmt::format("expected {}{}, got {}", wanted ? "" : "not ",
                          printable(c.condition.text, kTextShownMax), answer(leaf).got)};
    }
    if (c.condition.group == GroupKind::kNot) {
      return blame(c.parts.front(), path + ".not", !wanted);
    }
    const bool all_to_blame = (c.condition.group == GroupKind::kOr) == wanted;
    if (!all_to_blame) {
      const Truth fine = wanted ? Truth::kHolds : Truth::kFails;
      for (std::size_t i = 0; i < c.parts.size(); ++i) {
        if (truth(c.parts[i]) != fine) return blame(c.parts[i], part_path(c, path, i), wanted);
      }
    }
    return blame_all(c, path, wanted);
  }

  /// A short word on why `c` holds: what was seen where it was decided.
  Culprit credit(const Compiled& c, const std::string& path) {
    if (c.condition.group == GroupKind::kOr && c.condition.text.empty()) {
      for (std::size_t i = 0; i < c.parts.size(); ++i) {
        if (truth(c.parts[i]) == Truth::kHolds) return credit(c.parts[i], part_path(c, path, i));
      }
    }
    const Compiled& leaf = first_leaf(c);
    const std::string& text = c.condition.text.empty() ? leaf.condition.text : c.condition.text;
    return {leaf.condition.subject, path,
            fmt::format("{}: {}", printable(text, kTextShownMax), answer(leaf).got)};
  }

 private:
  static constexpr std::size_t kBlamedMax = 3;  ///< Branches that one finding names.

  static std::string part_path(const Compiled& c, const std::string& path, std::size_t i) {
    return fmt::format("{}.{}[{}]", path, to_string(c.condition.group), i);
  }

  static const Compiled& first_leaf(const Compiled& c) {
    return c.parts.empty() ? c : first_leaf(c.parts.front());
  }

  /// Every branch of an `or` failed, or every part of a denied `and` held.
  Culprit blame_all(const Compiled& c, const std::string& path, bool wanted) {
    Culprit out;
    for (std::size_t i = 0; i < c.parts.size() && i < kBlamedMax; ++i) {
      Culprit one = blame(c.parts[i], part_path(c, path, i), wanted);
      if (i == 0) {
        out = {one.subject, path, one.text};
        if (c.parts.size() == 1) return one;
        out.text = fmt::format("{}: {}", one.path.substr(path.size() + 1), one.text);
      } else {
        out.text += fmt::format("; {}: {}", one.path.substr(path.size() + 1), one.text);
      }
    }
    if (c.parts.size() > kBlamedMax) {
      out.text += fmt::format("; and {} more", c.parts.size() - kBlamedMax);
    }
    return out;
  }

  Answer answer(const Compiled& c) {
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
      case Subject::kLengthJson:
        return with_http([&](const HttpFacts& http) { return json_answer(http, c); });
      case Subject::kLengthBody:
        return with_http([&](const HttpFacts& http) {
          if (http.body_cut) return unseen(cut_body(http));
          return number_answer(static_cast<double>(http.body.size()), c.condition);
        });
      case Subject::kHttpVersion:
        return with_http([&](const HttpFacts& http) { return text_answer(http.version, c); });
      case Subject::kRedirects:
        return with_http(
            [&](const HttpFacts& http) { return number_answer(http.redirects, c.condition); });
      case Subject::kCertificateExpiry:
      case Subject::kCertificateChainExpiry:
        return certificate_answer(seen_, c.condition, now_);
      case Subject::kTlsVersion:
      case Subject::kTlsCipher:
      case Subject::kTlsAlpn:
        return tls_answer(seen_, c);
      case Subject::kLatency:
        return duration_answer(Duration{seen_.phases.total_us}, c.condition);
      case Subject::kPhase:
        return phase_answer(seen_.phases, c.condition);
      case Subject::kAddress:
        return address_answer(seen_, c);
      case Subject::kConnected:
        return seen_as(true, "true");
      case Subject::kDnsRcode:
        return with_dns([&](const DnsFacts& dns) { return text_answer(dns.rcode, c); });
      case Subject::kDnsRecord:
        return with_dns([&](const DnsFacts& dns) { return records_answer(dns, c); });
      case Subject::kDnsCount:
        return with_dns([&](const DnsFacts& dns) {
          if (auto none = no_dns_data(dns)) return *std::move(none);
          return number_answer(dns.count, c.condition);
        });
      case Subject::kDnsTtl:
        return with_dns([&](const DnsFacts& dns) { return ttl_answer(dns, asked_, c.condition); });
      case Subject::kDnsFlags:
        return with_dns([&](const DnsFacts& dns) { return flags_answer(dns, c.condition); });
    }
    CHECK(false && "compile() lets no other subject through");
  }

  template <class F>
  Answer with_http(F f) const {
    return seen_.http ? f(*seen_.http) : unseen("no HTTP response");
  }

  template <class F>
  Answer with_dns(F f) const {
    return seen_.dns ? f(*seen_.dns) : unseen("no DNS answer");
  }

  Answer json_answer(const HttpFacts& http, const Compiled& c) {
    if (http.body_cut) return unseen(cut_body(http));
    if (!document_) document_ = JsonDocument::parse(http.body);
    if (!*document_) {
      return unseen(fmt::format("a body that is not JSON ({})", document_->error().text));
    }
    const JsonValue value = (**document_)->at(c.path);
    return c.condition.subject == Subject::kJson ? json_value_answer(value, c)
                                                 : json_length_answer(value, c.condition);
  }

  const Observation& seen_;
  WallTime now_;
  DnsType asked_;
  std::optional<Expected<std::unique_ptr<JsonDocument>>> document_;
};

Finding finding(Outcome outcome, Reason reason, std::string_view detail) {
  return {outcome, reason, printable(detail, kDetailMax)};
}

Finding expected_finding(Reason reason, std::string_view wanted, std::string_view got) {
  return finding(Outcome::kDown, reason,
                 fmt::format("expected {}, got {}", printable(wanted, 120), got));
}

/// A finding about one node; its path survives a long text.
Finding finding_at(Outcome outcome, const Culprit& culprit) {
  const std::string place = fmt::format(" ({})", culprit.path);
  const std::size_t room = kDetailMax - std::min(place.size() + 3, kDetailMax);
  return {outcome, reason_of(culprit.subject), printable(culprit.text, room) + place};
}

/// check_condition has been here: the depth is bounded.
Expected<Compiled> compile_node(const Condition& condition) {
  Compiled out;
  out.condition = condition;
  out.condition.parts.clear();
  if (condition.group != GroupKind::kNone) {
    for (const Condition& part : condition.parts) {
      TRY_ASSIGN(Compiled one, compile_node(part));
      out.parts.push_back(std::move(one));
    }
    return out;
  }
  if (out.condition.text.empty()) {
    out.condition.text = fmt::format("{}{}{} {}", to_string(condition.subject),
                                     condition.selector.empty() ? "" : " ", condition.selector,
                                     to_string(condition.compare));
  }
  if (condition.compare == Compare::kMatches || condition.compare == Compare::kNotMatches) {
    TRY_ASSIGN(Regex regex, Regex::compile(std::get<std::string>(condition.operand)));
    out.regex = std::move(regex);
  }
  if (condition.subject == Subject::kJson || condition.subject == Subject::kLengthJson) {
    TRY_ASSIGN(out.path, parse_json_path(condition.selector));
  }
  const bool equality = condition.compare == Compare::kEq || condition.compare == Compare::kNe;
  if (equality &&
      (condition.subject == Subject::kAddress || condition.subject == Subject::kDnsRecord)) {
    const auto address = IpAddress::parse(std::get<std::string>(condition.operand));
    if (address) out.address = *address;
  }
  return out;
}

Expected<Compiled> compile_condition(const Condition& condition, const Target& target) {
  TRY(check_condition(condition, target));
  return compile_node(condition);
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
  Target target;  ///< Only its kind and, for DNS, what was asked for and expected.
  std::vector<Compiled> assertions;
  std::vector<Compiled> degraded;
  bool rcode_asserted = false;
  bool count_asserted = false;

  DnsType asked() const {
    const auto* dns = std::get_if<DnsTarget>(&target);
    return dns == nullptr ? DnsType::kA : dns->type;
  }

  std::optional<Finding> default_failure(const Observation& seen) const;
  std::optional<Finding> dns_failure(const DnsTarget& dns, const Observation& seen) const;
};

namespace {

/// The first assertion about the certificate that must hold and does not, in words; empty: none.
std::string certificate_note(const std::vector<Compiled>& all, const Observation& seen,
                             WallTime now) {
  for (const Compiled& c : all) {
    if (c.condition.group == GroupKind::kAnd) {
      if (std::string note = certificate_note(c.parts, seen, now); !note.empty()) return note;
    }
    if (c.condition.group != GroupKind::kNone) continue;
    if (!is_about_certificate(c.condition.subject)) continue;
    const Answer answer = certificate_answer(seen, c.condition, now);
    if (answer.truth != Truth::kHolds) {
      return fmt::format("expected {}, got {}", printable(c.condition.text, 60), answer.got);
    }
  }
  return {};
}

}  // namespace

/// What must hold besides what the user wrote.
std::optional<Finding> Evaluator::Program::default_failure(const Observation& seen) const {
  if (const auto* dns = std::get_if<DnsTarget>(&target)) return dns_failure(*dns, seen);
  if (std::holds_alternative<HttpTarget>(target) && assertions.empty()) {
    const int status = seen.http ? seen.http->status : 0;
    if (status >= 200 && status <= 299) return std::nullopt;
    return expected_finding(Reason::kAssertStatus, "status in 200..299",
                            seen.http ? fmt::format("{}", status) : "no HTTP response");
  }
  return std::nullopt;
}

/// Whatever is asserted of records or latency, a lookup that failed is never up.
std::optional<Finding> Evaluator::Program::dns_failure(const DnsTarget& dns,
                                                       const Observation& seen) const {
  if (!seen.dns) return expected_finding(Reason::kDnsRcode, "a DNS answer", "none");
  const std::string& rcode = seen.dns->rcode;
  if (!rcode_asserted && rcode != dns.rcode) {
    return expected_finding(dns.rcode == "NOERROR" ? reason_of_rcode(rcode) : Reason::kDnsRcode,
                            fmt::format("dns rcode == {}", dns.rcode), rcode);
  }
  if (!count_asserted && rcode == "NOERROR" && seen.dns->count == 0) {
    return expected_finding(Reason::kDnsNodata,
                            fmt::format("a record of type {}", to_string(dns.type)), "none");
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
  for (const auto* list : {&spec.assertions.all, &spec.degraded}) {
    if (count_nodes(*list) > Assertions::kNodesMax) {
      return fail(Errc::kLimit, "assert: expected at most {} conditions and groups in all",
                  Assertions::kNodesMax);
    }
  }
  auto program = std::make_shared<Program>();
  program->target = spec.target;
  TRY_ASSIGN(program->assertions, compile_all("assert", spec.assertions.all, spec.target));
  TRY_ASSIGN(program->degraded, compile_all("degraded", spec.degraded, spec.target));
  program->rcode_asserted = looks_at(spec.assertions.all, Subject::kDnsRcode);
  program->count_asserted = looks_at(spec.assertions.all, Subject::kDnsCount);
  return Evaluator{std::move(program)};
}

Finding Evaluator::judge(const Observation& observation, WallTime now) const {
  if (observation.failure) {
    const Reason reason = observation.failure->reason;
    std::string detail = observation.failure->detail;
    if (is_verify_failure(reason)) {
      // The certificate was seen: what was asserted of it is answered as well.
      const std::string note = certificate_note(program_->assertions, observation, now);
      if (!note.empty()) {
        detail =
            printable(detail, kDetailMax - std::min(note.size() + 8, kDetailMax / 2)) + "; " + note;
      }
    }
    return finding(blames_target(reason) ? Outcome::kDown : Outcome::kNoData, reason, detail);
  }
  if (auto failed = program_->default_failure(observation)) return *failed;
  Judgement judgement{observation, now, program_->asked()};
  for (std::size_t i = 0; i < program_->assertions.size(); ++i) {
    const Compiled& one = program_->assertions[i];
    if (judgement.truth(one) != Truth::kHolds) {
      return finding_at(Outcome::kDown, judgement.blame(one, fmt::format("assert[{}]", i), true));
    }
  }
  for (std::size_t i = 0; i < program_->degraded.size(); ++i) {
    const Compiled& one = program_->degraded[i];
    if (judgement.truth(one) == Truth::kHolds) {
      return finding_at(Outcome::kDegraded, judgement.credit(one, fmt::format("degraded[{}]", i)));
    }
  }
  return {};
}

bool looks_at_body(const ProbeSpec& spec) {
  for (const Subject subject :
       {Subject::kBody, Subject::kJson, Subject::kLengthJson, Subject::kLengthBody}) {
    if (looks_at(spec.assertions.all, subject) || looks_at(spec.degraded, subject)) return true;
  }
  return false;
}

}  // namespace tocsin::assertion
