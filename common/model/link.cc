#include "common/model/link.h"

namespace tocsin {

const char* to_string(AgentHealth health) {
  switch (health) {
    case AgentHealth::kHealthy:
      return "healthy";
    case AgentHealth::kSuspect:
      return "suspect";
    case AgentHealth::kBlind:
      return "blind";
  }
  return "?";
}

const char* to_string(NackCode code) {
  switch (code) {
    case NackCode::kOutOfOrder:
      return "out_of_order";
    case NackCode::kFork:
      return "fork";
    case NackCode::kBusy:
      return "busy";
    case NackCode::kMalformed:
      return "malformed";
  }
  return "?";
}

const char* to_string(RefusalCode code) {
  switch (code) {
    case RefusalCode::kVersion:
      return "version";
    case RefusalCode::kRevoked:
      return "revoked";
    case RefusalCode::kNoSession:
      return "no_session";
    case RefusalCode::kCloned:
      return "cloned";
    case RefusalCode::kEnrolment:
      return "enrolment";
  }
  return "?";
}

}  // namespace tocsin
