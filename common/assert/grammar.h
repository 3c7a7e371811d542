#pragma once
// Question answered here: which subjects exist for which kind of monitor, and which operators and
// operands go with each? Shared by the parser and the check of conditions that were never text.

#include "common/model/assertion.h"
#include "common/model/monitor_spec.h"

#include <cstdint>
#include <span>
#include <string_view>

namespace tocsin::assertion {

enum class OperandKind : std::uint8_t {
  kInteger,  ///< Not negative, whole.
  kText,
  kDuration,
  kRcode,  ///< A text that names a DNS response code.
  kJson,   ///< Null, boolean, number or text.
  kFlag,   ///< A text that names a flag of a DNS answer.
  kTrue,   ///< Only true: what else could not hold when it is judged.
};

enum class SelectorKind : std::uint8_t { kNone, kHeaderName, kJsonPath, kPhase };

struct SubjectRule {
  Subject subject;
  std::string_view spelling;  ///< One to three words.
  /// Kinds of monitor that have it, blank-separated; "starttls" is tcp with it, "dot" dns over
  /// TLS. Empty: all.
  std::string_view kinds;
  SelectorKind selector;
  OperandKind operand;
  std::span<const Compare> compares;
};

std::span<const SubjectRule> subject_rules();

/// Null when the number is none of ours.
const SubjectRule* find_rule(Subject subject);

bool applies_to(const SubjectRule& rule, const Target& target);

/// "status, header, body ..." for the kind of monitor.
std::string subjects_of(const Target& target);

bool takes_operand(Compare compare);

inline constexpr std::string_view kPhaseNames[] = {"dns",  "connect", "tls",
                                                   "send", "wait",    "receive"};
bool is_phase_name(std::string_view name);

/// Whether operand and operand_high have the types and ranges that subject and operator ask for.
/// The subject is one of ours.
Expected<void> check_operand(const Condition& condition);

/// [a-z0-9-] and the other token characters of RFC 9110, lower case, 1 to 100 bytes.
bool is_header_selector(std::string_view name);

}  // namespace tocsin::assertion
