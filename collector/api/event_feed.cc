#include "collector/api/event_feed.h"

#include "collector/api/answers.h"
#include "common/base/strings.h"
#include "common/codec/json.h"
#include "common/io/log.h"

#include <fmt/format.h>

#include <algorithm>

namespace tocsin::collector {

using codec::Node;

std::string event_text(const EventRow& row) {
  const Node data = Node::map({{"seq", Node::integer(static_cast<std::int64_t>(row.seq))},
                               {"at", time_node(row.at)},
                               {"topic", Node::string(row.topic)},
                               {"subject", Node::string(printable(row.subject, 256))},
                               {"text", Node::string(printable(row.text, 1024))}});
  return fmt::format("id: {}\nevent: {}\ndata: {}\n\n", row.seq, row.topic,
                     codec::print_json(data));
}

EventFeed::EventFeed(io::EventLoop& loop, ViewSource& views, QueryPort& query, std::string cookie)
    : loop_(loop),
      views_(views),
      query_(query),
      cookie_(std::move(cookie)) {
  beat();
}

EventFeed::~EventFeed() { *self_ = nullptr; }

void EventFeed::follow(codec::HttpRequest request, std::set<std::string> topics,
                       std::uint64_t after, bool from_now, io::HttpResponder responder) {
  const auto view = views_.view();
  const std::uint64_t newest = view == nullptr ? 0 : view->event_seq;
  io::HttpResponse head;
  head.content_type = "text/event-stream";
  head.headers.push_back({"Cache-Control", "no-store"});
  head.headers.push_back({"X-Accel-Buffering", "no"});  // nginx would hold events back.
  head.body = "retry: 2000\n\n";
  Reader reader;
  reader.stream = std::move(responder).start_stream(head);
  if (reader.stream == nullptr) return;
  reader.request = std::move(request);
  reader.topics = std::move(topics);
  reader.sent = from_now ? newest : after;
  if (newest > reader.sent + kBehindMax || reader.sent > newest) {
    // Too far behind, or of another store: what was missed cannot be told.
    resync(reader);
    return;
  }
  readers_.push_back(std::move(reader));
  look();
}

void EventFeed::look() {
  forget_closed();
  if (!reading_) read_on();
}

/// From the reader that is furthest behind; the others take what they have not seen.
void EventFeed::read_on() {
  const auto view = views_.view();
  if (readers_.empty() || view == nullptr) return;
  std::uint64_t after = UINT64_MAX;
  for (const Reader& reader : readers_) after = std::min(after, reader.sent);
  if (after >= view->event_seq) return;
  reading_ = query_.try_read([&loop = loop_, self = self_, after](StoreReader& store) {
    auto events = store.events_after(after, kReadAtOnce);
    loop.post([self, after, events = std::move(events)] {
      EventFeed* feed = *self;
      if (feed == nullptr) return;
      feed->reading_ = false;
      if (events) {
        feed->on_events(*events, after);
      } else {
        log::warning("events cannot be read", {{"error", events.error()}});
      }
    });
  });
}

void EventFeed::on_events(const std::vector<EventRow>& events, std::uint64_t asked_after) {
  for (const EventRow& row : events) {
    const io::HttpPiece piece{event_text(row)};  // Framed once for all readers.
    for (Reader& reader : readers_) {
      if (reader.sent < asked_after || row.seq <= reader.sent) continue;
      reader.sent = row.seq;
      if (!reader.topics.empty() && !reader.topics.contains(row.topic)) continue;
      reader.stream->send(piece);
      if (reader.stream->buffered() > kBufferedMax) resync(reader);
    }
  }
  forget_closed();
  if (!events.empty()) read_on();
}

void EventFeed::resync(Reader& reader) {
  reader.stream->drop_buffered();
  reader.stream->send("event: resync\ndata: {}\n\n");
  reader.stream->close();
}

void EventFeed::beat() {
  const auto view = views_.view();
  const WallTime now = loop_.now().wall;
  const io::HttpPiece comment{":\n\n"};
  for (Reader& reader : readers_) {
    if (view == nullptr) break;
    const auto principal = authenticate(reader.request, *view, now, cookie_);
    if (!principal || authorize(*principal, Action::kRead, {"events", {}})) {
      reader.stream->close();
    } else {
      reader.stream->send(comment);
    }
  }
  forget_closed();
  beat_ = loop_.after(kHeartbeatEvery, [this] {
    beat();
    look();
  });
}

void EventFeed::forget_closed() {
  readers_.remove_if([](const Reader& reader) { return !reader.stream->open(); });
}

}  // namespace tocsin::collector
