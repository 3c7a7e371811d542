#pragma once
// Question answered here: what must hold of an observation?
//
// The typed tree that common/assert parses from text, that travels to the agent and that the agent
// evaluates. A value: no compiled regular expression in here (common/assert keeps those).

#include "common/base/time.h"

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace tocsin {

/// What the left side of an assertion looks at. The numbers are wire values.
enum class Subject : std::uint8_t {
  kStatus = 1,             ///< Number: the HTTP status code.
  kHeader = 2,             ///< Text: `selector` is the header's name in lower case.
  kBody = 3,               ///< Text: the body, cut at the body limit.
  kJson = 4,               ///< JSON value: `selector` is the path, "$.a.b[0]".
  kLatency = 5,            ///< Duration: the attempt's total.
  kPhase = 6,              ///< Duration: `selector` is dns connect tls send wait receive.
  kCertificateExpiry = 7,  ///< Duration: how long the leaf certificate is still valid.
  kDnsRcode = 8,           ///< Text: "NOERROR", "NXDOMAIN" ...
  kDnsRecord = 9,          ///< Texts: the answers in presentation form; any may match.
  kDnsCount = 10,          ///< Number: answers of the asked type.
  kHttpVersion = 11,       ///< Text: "1.0", "1.1", "2".
  kRedirects = 12,         ///< Number: hops followed.
  kDnsTtl = 20,            ///< Duration: the lowest TTL among the answers of the asked type.
  kDnsFlags = 21,          ///< Flags of the answer: aa, tc, ra, ad.
  kAddress = 22,           ///< Text: the address that was used, without its port.
  kConnected = 23,   ///< Always true: a failed connection is down before anything is asserted.
  kLengthJson = 24,  ///< Number: items, members or bytes of the JSON value at `selector`.
  kLengthBody = 25,  ///< Number: bytes of the body.
  kCertificateChainExpiry = 30,  ///< Duration: until the first of the chain ends.
  kTlsVersion = 31,              ///< Text: "1.2", "1.3"; ordered.
  kTlsCipher = 32,               ///< Text.
  kTlsAlpn = 33,                 ///< Text: the protocol that was chosen; empty: none.
};

enum class Compare : std::uint8_t {
  kEq = 1,
  kNe = 2,
  kLt = 3,
  kLe = 4,
  kGt = 5,
  kGe = 6,
  kContains = 7,
  kNotContains = 8,
  kMatches = 9,  ///< RE2, unanchored.
  kNotMatches = 10,
  kExists = 11,
  kNotExists = 12,
  kInRange = 13,  ///< status in 200..299; `operand` low and `operand_high` inclusive.
};

const char* to_string(Subject subject);
const char* to_string(Compare compare);

struct Null {
  friend bool operator==(const Null&, const Null&) = default;
};

/// The right side. Durations are for kLatency, kPhase and kCertificateExpiry; JSON takes any but
/// those.
using Operand = std::variant<Null, bool, double, std::string, Duration>;

/// How the parts of a group count. The numbers are wire values.
enum class GroupKind : std::uint8_t {
  kNone = 0,  ///< A condition of its own.
  kAnd = 1,   ///< All parts must hold.
  kOr = 2,    ///< At least one part must hold.
  kNot = 3,   ///< Its only part must have been seen not to hold.
};

/// "and", "or", "not"; "" for a condition of its own.
const char* to_string(GroupKind group);

/// One condition, or a group of them.
struct Condition {
  Subject subject = Subject::kStatus;
  std::string selector;  ///< Header name, JSON path or phase; empty otherwise.
  Compare compare = Compare::kEq;
  Operand operand;
  Operand operand_high;  ///< Only kInRange.
  /// As the user wrote it; shown in evidence. A group has one only if it was one line.
  std::string text;
  GroupKind group = GroupKind::kNone;  ///< Of a group only `parts` and `text` mean something.
  std::vector<Condition> parts;        ///< Of a group; kNot has exactly one.

  friend bool operator==(const Condition&, const Condition&) = default;
};

/// All conditions must hold. At most kMaxConditions, and with what is inside of groups kNodesMax.
struct Assertions {
  static constexpr std::size_t kMaxConditions = 32;
  static constexpr std::size_t kNodesMax = 64;      ///< Conditions and groups in all.
  static constexpr std::size_t kGroupDepthMax = 4;  ///< Groups inside of each other.
  std::vector<Condition> all;

  friend bool operator==(const Assertions&, const Assertions&) = default;
};

/// Conditions and groups in all.
std::size_t count_nodes(const std::vector<Condition>& conditions);

/// Groups inside of each other: 0 without any.
std::size_t group_depth(const std::vector<Condition>& conditions);

/// Whether one of these or one inside of them looks at that.
bool looks_at(const std::vector<Condition>& conditions, Subject subject);

}  // namespace tocsin
