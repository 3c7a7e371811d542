#include "collector/ports/store.h"

namespace tocsin::collector {

const char* to_string(OutboxState state) {
  switch (state) {
    case OutboxState::kPending:
      return "pending";
    case OutboxState::kClaimed:
      return "claimed";
    case OutboxState::kSent:
      return "sent";
    case OutboxState::kCancelled:
      return "cancelled";
    case OutboxState::kDead:
      return "dead";
  }
  return "?";
}

}  // namespace tocsin::collector
