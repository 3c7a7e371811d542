#include "collector/ingest/rejection.h"

namespace tocsin::collector {

const char* to_string(Rejection why) {
  switch (why) {
    case Rejection::kUnknownKey:
      return "unknown_key";
    case Rejection::kRevoked:
      return "revoked";
    case Rejection::kEnrolmentUsed:
      return "enrolment_used";
    case Rejection::kEnrolmentExpired:
      return "enrolment_expired";
    case Rejection::kMechanism:
      return "mechanism";
    case Rejection::kHandshake:
      return "handshake";
    case Rejection::kNoSession:
      return "no_session";
    case Rejection::kVersion:
      return "version";
    case Rejection::kMalformed:
      return "malformed";
    case Rejection::kOversized:
      return "oversized";
    case Rejection::kUnknownMessage:
      return "unknown_message";
    case Rejection::kNotAuthorised:
      return "not_authorised";
    case Rejection::kSessionsFull:
      return "sessions_full";
    case Rejection::kSlowReader:
      return "slow_reader";
  }
  return "?";
}

const char* what_to_do(Rejection why) {
  switch (why) {
    case Rejection::kUnknownKey:
      return "enrol the agent again (tocsin-collector enroll --region R) if it is yours; nothing "
             "otherwise";
    case Rejection::kRevoked:
      return "stop the agent, or enrol it again to let it back in";
    case Rejection::kEnrolmentUsed:
      return "a bundle works once: make a new one with tocsin-collector enroll --region R; if "
             "nobody "
             "of yours used this one, revoke the agent it made";
    case Rejection::kEnrolmentExpired:
      return "make a new bundle with tocsin-collector enroll --region R";
    case Rejection::kMechanism:
      return "only tocsin agents with CURVE keys can connect; look for a stray client at that "
             "address";
    case Rejection::kHandshake:
      return "the peer does not know this collector's key or does not speak CURVE: compare "
             "server_keys in the agent's state with curve.public here, or enrol it again";
    case Rejection::kNoSession:
      return "nothing: the agent says hello again by itself after a restart of the collector";
    case Rejection::kVersion:
      return "update the older side: neighbouring versions work together";
    case Rejection::kMalformed:
      return "update the agent; if it runs this version, keep its log and report a bug";
    case Rejection::kOversized:
      return "update the agent: no version of it sends messages of this size";
    case Rejection::kUnknownMessage:
      return "nothing now; update the collector, the agent is newer";
    case Rejection::kNotAuthorised:
      return "look at that agent's machine: its state directory may be a copy of another agent's; "
             "revoke it if it is not yours";
    case Rejection::kSessionsFull:
      return "fewer agents per collector, or look for an agent that reconnects in a loop";
    case Rejection::kSlowReader:
      return "look at that agent's load and network; it reconnects by itself";
  }
  return "?";
}

}  // namespace tocsin::collector
