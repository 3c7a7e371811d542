#pragma once
// Question answered here: what happens when somebody follows an acknowledge link?
//
//   GET  /ack/{token}   shows what is wrong and asks; changes nothing, however often programs that
//                       look into mail fetch it
//   POST /ack/{token}   acknowledges, in the name of whom the message was sent to
//
// The link is the permission: whoever holds it may answer this one incident once, whatever role the
// person has. It ends with the person (deleted, disabled), after kAckLinkValid, and with the key.
//
// Links that are not ours cost their address what strangers may ask of the API; ours are limited
// each by itself, so that nobody's guesses keep a person from answering.

#include "collector/api/ack_page.h"
#include "collector/api/router.h"
#include "collector/core/ack_link.h"
#include "collector/ports/event_sink.h"
#include "collector/ports/query_port.h"
#include "collector/ports/view_source.h"
#include "common/base/rate_limiter.h"
#include "common/io/event_loop.h"
#include "common/io/secret.h"

#include <memory>

namespace tocsin::collector {

/// One thread: `net`.
class AckLinks {
 public:
  static constexpr RateLimiter::Options kForged{std::chrono::seconds{1}, 20, 10'000};
  /// Of one link.
  static constexpr RateLimiter::Options kLink{std::chrono::seconds{1}, 20, 10'000};

  struct Ports {
    io::EventLoop& loop;
    ViewSource& views;
    EventSink& engine;
    QueryPort& query;
    io::Secret key;
  };

  explicit AckLinks(Ports ports);
  AckLinks(const AckLinks&) = delete;
  AckLinks& operator=(const AckLinks&) = delete;

  /// `router` does not outlive this.
  void add_routes(Router& router);

 private:
  /// One request on its way.
  struct Call {
    AckLink link;
    bool post = false;
    /// Shared because answers are copied into functions; answered once.
    std::shared_ptr<io::HttpResponder> responder;
  };

  struct Found {
    OutboxRow row;
    IncidentRow incident;
  };

  void on_request(const codec::HttpRequest& request, std::string_view token,
                  io::HttpResponder responder);
  /// Reads what the link is about, then `then` on the loop. Answers by itself when it cannot.
  void look_up(const Call& call, std::function<void(const Found&)> then);
  void act(const Call& call, const Found& found);
  AckPage page_of(const Call& call, const Found& found) const;
  static void answer(const Call& call, const AckPage& page);
  void answer(const Call& call, AckAnswer answer) const;

  Ports ports_;
  RateLimiter forged_{kForged};
  RateLimiter links_{kLink};
};

}  // namespace tocsin::collector
