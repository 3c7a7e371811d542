#pragma once
// Question answered here: what does an acknowledge link show?
//
// One HTML document without scripts, small enough for a telephone with a bad connection. What
// names, targets and regions say is inert text. The answer is never stored, indexed, framed or
// referred to.

#include "collector/core/rows.h"
#include "common/io/http_server.h"

#include <string>

namespace tocsin::collector {

/// What the reader is told, and with which status.
enum class AckAnswer : std::uint8_t {
  kAsk,       ///< 200: open; a button asks.
  kDone,      ///< 200: this request acknowledged it.
  kAlready,   ///< 200; 409 to a POST: somebody acknowledged it before.
  kResolved,  ///< 200; 409 to a POST.
  kUsed,      ///< 410: open again since the link was used.
  kExpired,   ///< 410
  kNobody,    ///< 403: whom it was sent to may not answer any more.
  kUnknown,   ///< 404: no link of ours.
  kTooMany,   ///< 429
  kLater,     ///< 503
};

struct AckPage {
  AckAnswer answer = AckAnswer::kUnknown;
  bool posted = false;
  IncidentRow incident;         ///< Empty id: not to be shown.
  NotificationContent content;  ///< Of the message the link came in.
  std::string who;              ///< Who is recorded, for people: "Ann Lee (ann)".
};

io::HttpResponse ack_response(const AckPage& page);

}  // namespace tocsin::collector
