#include "common/model/assertion.h"

#include <algorithm>

namespace tocsin {

const char* to_string(Subject subject) {
  switch (subject) {
    case Subject::kStatus:
      return "status";
    case Subject::kHeader:
      return "header";
    case Subject::kBody:
      return "body";
    case Subject::kJson:
      return "json";
    case Subject::kLatency:
      return "latency";
    case Subject::kPhase:
      return "phase";
    case Subject::kCertificateExpiry:
      return "certificate expires in";
    case Subject::kDnsRcode:
      return "dns rcode";
    case Subject::kDnsRecord:
      return "dns record";
    case Subject::kDnsCount:
      return "dns count";
    case Subject::kHttpVersion:
      return "http version";
    case Subject::kRedirects:
      return "redirects";
    case Subject::kDnsTtl:
      return "dns ttl";
    case Subject::kDnsFlags:
      return "dns flags";
    case Subject::kAddress:
      return "address";
    case Subject::kConnected:
      return "connected";
    case Subject::kLengthJson:
      return "length json";
    case Subject::kLengthBody:
      return "length body";
    case Subject::kCertificateChainExpiry:
      return "certificate chain expires in";
    case Subject::kTlsVersion:
      return "tls version";
    case Subject::kTlsCipher:
      return "tls cipher";
    case Subject::kTlsAlpn:
      return "tls alpn";
  }
  return "?";
}

const char* to_string(Compare compare) {
  switch (compare) {
    case Compare::kEq:
      return "==";
    case Compare::kNe:
      return "!=";
    case Compare::kLt:
      return "<";
    case Compare::kLe:
      return "<=";
    case Compare::kGt:
      return ">";
    case Compare::kGe:
      return ">=";
    case Compare::kContains:
      return "contains";
    case Compare::kNotContains:
      return "not contains";
    case Compare::kMatches:
      return "matches";
    case Compare::kNotMatches:
      return "not matches";
    case Compare::kExists:
      return "exists";
    case Compare::kNotExists:
      return "not exists";
    case Compare::kInRange:
      return "in";
  }
  return "?";
}

const char* to_string(GroupKind group) {
  switch (group) {
    case GroupKind::kNone:
      return "";
    case GroupKind::kAnd:
      return "and";
    case GroupKind::kOr:
      return "or";
    case GroupKind::kNot:
      return "not";
  }
  return "?";
}

std::size_t count_nodes(const std::vector<Condition>& conditions) {
  std::size_t out = conditions.size();
  for (const Condition& c : conditions) out += count_nodes(c.parts);
  return out;
}

std::size_t group_depth(const std::vector<Condition>& conditions) {
  std::size_t out = 0;
  for (const Condition& c : conditions) {
    if (c.group != GroupKind::kNone) out = std::max(out, 1 + group_depth(c.parts));
  }
  return out;
}

bool looks_at(const std::vector<Condition>& conditions, Subject subject) {
  return std::any_of(conditions.begin(), conditions.end(), [&](const Condition& c) {
    return c.group == GroupKind::kNone ? c.subject == subject : looks_at(c.parts, subject);
  });
}

}  // namespace tocsin
