#pragma once
// Question answered here: who follows the committed events, and how far has each come?
//
// Server-sent events (WHATWG HTML, 9.2) at /api/v1/events: "id" is the event's number, "event" its
// topic, "data" a JSON object. Events come from the store, so nobody sees one that was not
// committed, and a reader that comes back with Last-Event-ID misses none, also across a restart.
//
// Specification
//  EF1 A reader begins after Last-Event-ID, or with what is committed from now on. It gets every
//      event of its topics once, in order.
//  EF2 Every kHeartbeatEvery a comment is sent; then the reader's token or session is looked at
//  again, and the
//      stream ends when it is no longer good.
//  EF3 A reader with more than kBufferedMax unread bytes, or more than kBehindMax events behind, is
//      sent "event: resync" and its stream ends: it reads the present anew.
//  EF4 One read of the store is under way at a time, for all readers.

#include "collector/api/authorize.h"
#include "collector/ports/query_port.h"
#include "collector/ports/view_source.h"
#include "common/io/event_loop.h"
#include "common/io/http_server.h"

#include <cstdint>
#include <list>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace tocsin::collector {

/// One event as it is sent.
std::string event_text(const EventRow& row);

/// One thread: `net`.
class EventFeed {
 public:
  static constexpr Duration kHeartbeatEvery = std::chrono::seconds{15};
  static constexpr std::size_t kBufferedMax = std::size_t{256} << 10;
  static constexpr std::uint64_t kBehindMax = 10'000;
  static constexpr std::size_t kReadAtOnce = 500;

  /// `cookie`: name of the session's.
  EventFeed(io::EventLoop& loop, ViewSource& views, QueryPort& query, std::string cookie);
  ~EventFeed();
  EventFeed(const EventFeed&) = delete;
  EventFeed& operator=(const EventFeed&) = delete;

  /// `topics` empty: all. `after` 0 and `from_now`: only what comes.
  void follow(codec::HttpRequest request, std::set<std::string> topics, std::uint64_t after,
              bool from_now, io::HttpResponder responder);

  /// A view came: there may be new events.
  void look();

  std::size_t readers() const { return readers_.size(); }

 private:
  struct Reader {
    std::unique_ptr<io::HttpStream> stream;
    codec::HttpRequest request;  ///< For its token, again and again.
    std::set<std::string> topics;
    std::uint64_t sent = 0;  ///< Events up to this one are done with.
  };

  void read_on();
  void on_events(const std::vector<EventRow>& events, std::uint64_t asked_after);
  void beat();
  void resync(Reader& reader);
  void forget_closed();

  io::EventLoop& loop_;
  ViewSource& views_;
  QueryPort& query_;
  const std::string cookie_;
  std::list<Reader> readers_;
  bool reading_ = false;
  io::TimerHandle beat_;
  /// Answers of the store that arrive after us find this gone.
  std::shared_ptr<EventFeed*> self_ = std::make_shared<EventFeed*>(this);
};

}  // namespace tocsin::collector
