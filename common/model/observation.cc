#include "common/model/observation.h"

namespace tocsin {

const char* to_string(ConnectionUse use) {
  switch (use) {
    case ConnectionUse::kCold:
      return "cold";
    case ConnectionUse::kResumed:
      return "resumed";
    case ConnectionUse::kReused:
      return "reused";
  }
  return "?";
}

const char* to_string(OcspStatus status) {
  switch (status) {
    case OcspStatus::kNotAsked:
      return "not asked";
    case OcspStatus::kNone:
      return "none";
    case OcspStatus::kGood:
      return "good";
    case OcspStatus::kRevoked:
      return "revoked";
    case OcspStatus::kUnknown:
      return "unknown";
    case OcspStatus::kUnusable:
      return "unusable";
  }
  return "?";
}

const char* to_string(TcpState state) {
  switch (state) {
    case TcpState::kEstablished:
      return "established";
    case TcpState::kSynSent:
      return "syn-sent";
    case TcpState::kSynReceived:
      return "syn-received";
    case TcpState::kFinWait1:
      return "fin-wait-1";
    case TcpState::kFinWait2:
      return "fin-wait-2";
    case TcpState::kTimeWait:
      return "time-wait";
    case TcpState::kClosed:
      return "closed";
    case TcpState::kCloseWait:
      return "close-wait";
    case TcpState::kLastAck:
      return "last-ack";
    case TcpState::kListen:
      return "listen";
    case TcpState::kClosing:
      return "closing";
  }
  return "?";
}

}  // namespace tocsin
