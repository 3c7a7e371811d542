#include "common/model/assertion.h"

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

}  // namespace tocsin
