#pragma once
// Question answered here: what is an HttpServer made of?
//
// For its sources alone: http_server.cc (the server, its turns and deadlines, and who answers),
// http_admission.cc (who comes in), http_connection.cc (one connection from request to answer),
// http_connection_io.cc (its bytes), http_stream.cc (answers that are streamed). One thread: the
// loop's.

#include "common/base/ip_address.h"
#include "common/io/fd.h"
#include "common/io/http_server.h"
#include "common/io/log.h"
#include "common/io/tls_stream.h"

#include <array>
#include <deque>
#include <span>
#include <unordered_map>

namespace tocsin::io {

/// Also the most that one TLS record holds, so that OpenSSL keeps nothing back.
inline constexpr std::size_t kReadBytes = std::size_t{16} << 10;

/// A descriptor to give up when there is no other to turn a client away with.
Fd open_spare();

/// Who counts as one client: an IPv4 address, or an IPv6 network of the size that one site gets.
std::string client_key(const IpAddress& address);

/// What a connection waits for: the deadline that runs.
enum class Wait : std::uint8_t {
  kNone,
  kIdle,
  kHeader,
  kBody,
  kAnswer,
  kLinger,
  kWrite,
  kStream,
};

/// Those before kWrite have a limit of their own, the same for every connection.
inline constexpr std::size_t kFixedWaits = static_cast<std::size_t>(Wait::kWrite);

/// What one read or write of a connection came to.
enum class Io : std::uint8_t { kMoved, kNotNow, kEnd, kBroken };

struct HttpServer::Impl {
  /// Connections with the same limit, by their deadline: it is the order in which they came.
  struct Queue {
    Connection* first = nullptr;
    Connection* last = nullptr;
    Duration limit{0};
    TimerHandle timer;  ///< Armed at or before the first one's deadline.
  };

  Impl(EventLoop& loop_, HttpServerOptions options_, Handler handler_, Fd listener_,
       std::shared_ptr<const TlsContext> tls_);
  ~Impl();

  void on_acceptable();
  void take(Fd fd, const IpAddress& peer);
  /// Of those without a request under way the one that has waited longest; null if all have one.
  Connection* displaceable() const;
  /// Accepts while there is room; waits otherwise.
  void update_accepting();
  void pause_accepting(const char* why);
  void remove(std::uint64_t id);
  /// Removes in a later turn, for callers that must not lose the connection under their feet.
  void doom(std::uint64_t id);
  Connection* find(std::uint64_t id, std::uint64_t serial);
  void answer(std::uint64_t id, std::uint64_t serial, HttpResponse response);
  void finish_drain();
  void arm(Queue& queue);
  void expire(Queue& queue);
  /// HS7: false when this turn has no work left for this connection.
  bool has_budget();
  void spend(std::size_t cost);
  void defer(std::uint64_t id);
  void run_deferred();
  const std::string& date();

  EventLoop& loop;
  HttpServerOptions options;
  Handler handler;
  HttpServerStats stats;
  Fd listener;
  Fd spare = open_spare();  ///< Given up for a moment to turn a client away when there is no other.
  std::uint16_t port = 0;
  /// What new connections get; older ones may still use what came before.
  std::shared_ptr<const TlsContext> tls;
  std::array<Queue, kFixedWaits> queues;
  std::unordered_map<std::string, std::size_t> per_client;
  std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections;
  std::uint64_t next_id = 1;
  bool draining = false;
  bool paused = false;
  std::function<void()> drained;
  std::int64_t date_second = -1;
  std::string date_text;
  log::RateLimit warnings{std::chrono::minutes{1}};
  std::uint64_t turn = 0;
  std::size_t turn_cost = 0;
  bool running_deferred = false;
  bool starved = false;  ///< Somebody waits because a turn was used up: nobody overtakes.
  std::deque<std::uint64_t> deferred;  ///< Each connection at most once.
  std::vector<std::uint64_t> doomed;
  /// What responders hold: gone with the server.
  std::shared_ptr<Impl*> self = std::make_shared<Impl*>(this);
  WatchHandle watch;
  TimerHandle accept_timer;
  TimerHandle drain_timer;
  TimerHandle deferred_timer;
  TimerHandle doomed_timer;
};

/// States, by what is waited for:
///   header -> body -> answer -> write -> (idle -> header ...) or linger -> gone
///                     answer -> stream -> linger -> gone
class HttpServer::Connection {
 public:
  Connection(Impl& server, std::uint64_t id, Fd fd, const IpAddress& peer,
             std::unique_ptr<TlsStream> tls);
  ~Connection();

  void on_ready(Interest ready);
  /// The turn has come that HS7 made this connection wait for.
  void go_on();
  /// Does all that can be done now. False: the connection has ended.
  bool advance();
  void take_answer(HttpResponse response);
  void set_gone(std::function<void()> callback);
  std::unique_ptr<HttpStream> start_stream(const HttpResponse& head);
  void on_deadline();

  /// For the stream's owner.
  void stream_send(const HttpPiece& piece);
  void stream_drop_buffered();
  void stream_close();
  /// Nothing follows what is buffered; the owner is told, unless it is the one who says so.
  void end_stream();

  std::size_t stream_buffered() const { return stream_ ? stream_->buffered : 0; }

  bool streams() const { return stream_ != nullptr; }

  std::uint64_t id() const { return id_; }

  /// Nothing of a request has arrived and nothing is unsent.
  bool idle() const {
    return wait_ == Wait::kIdle || (wait_ == Wait::kHeader && !parser_.started());
  }

  bool answers(std::uint64_t serial) const { return answering_ && serial == serial_; }

  bool inside_handler() const { return inside_handler_; }

  const std::string& client() const { return client_; }

 private:
  friend struct HttpServer::Impl;

  struct Stream {
    HttpStream* owner = nullptr;  ///< Null once it has let go or was told of the end.
    /// From `first` on: not sent yet, the first one perhaps in part. A vector, because an idle
    /// stream should cost next to nothing.
    std::vector<HttpPiece> pieces;
    std::size_t first = 0;
    std::size_t offset = 0;  ///< Sent of the first piece.
    std::size_t buffered = 0;
    std::uint64_t sent = 0;
    std::uint64_t owed = 0;  ///< `sent` must have come so far when the deadline comes.
    bool chunked = true;
    bool ending = false;
    TimerHandle deadline;
  };

  std::string_view bytes_of(const HttpPiece& piece) const {
    return stream_->chunked ? std::string_view{*piece.framed_}
                            : std::string_view{*piece.framed_}.substr(piece.begin_, piece.size_);
  }

  Io read(std::span<char> into, std::size_t& moved);
  Io write(std::string_view head, std::string_view body, std::size_t& moved);
  bool shake_hands();
  bool read_some();
  /// While the answer is awaited: whether the client has left. What it sent stays unread.
  bool look_whether_gone();
  bool flush();
  bool flush_stream();
  void watch_stream_rate();
  void set_stream_buffered(std::size_t bytes);
  void detach_stream();
  void cut_stream(const char* why);
  bool linger();
  void wait(Wait what);
  void unqueue();
  void queue(HttpResponse response, bool keep);
  void refuse(HttpResponse problem);
  void set_unsent(std::size_t bytes);
  void set_body(std::size_t bytes);
  void handle_request();

  std::size_t unsent() const { return out_.size() + body_.size() - sent_; }

  Impl& server_;
  const std::uint64_t id_;
  Fd fd_;
  std::unique_ptr<TlsStream> tls_;  ///< Null: plain.
  codec::HttpRequestParser parser_;
  std::string peer_;
  std::string client_;
  std::optional<IpAddress> proxy_;  ///< One of ours: its requests are others'.
  std::string in_;                  ///< Read and not parsed yet; at most kReadBytes.
  std::string out_;                 ///< Head, and small bodies.
  std::string body_;                ///< A large body, not copied.
  std::size_t sent_ = 0;
  std::size_t counted_ = 0;       ///< Our share of stats.unsent_bytes.
  std::size_t body_counted_ = 0;  ///< Our share of stats.body_bytes.
  std::uint64_t serial_ = 0;
  std::size_t lingered_ = 0;
  std::unique_ptr<Stream> stream_;
  // What the answer under way depends on of its request.
  codec::HttpMethod method_ = codec::HttpMethod::kGet;
  int minor_version_ = 1;
  std::string if_none_match_;
  bool keep_ = true;        ///< What the request under way allows.
  bool answering_ = false;  ///< The handler has the request.
  bool inside_handler_ = false;
  bool close_after_ = false;
  bool continued_ = false;
  bool eof_ = false;
  bool first_ = true;  ///< No request has been completed yet.
  bool deferred_ = false;
  bool doomed_ = false;
  bool secure_ = false;           ///< The handshake is complete, or there is none.
  bool tls_wants_write_ = false;  ///< OpenSSL has something of its own to say first.
  Wait wait_ = Wait::kNone;
  // The place in the queue of wait_.
  Connection* before_ = nullptr;
  Connection* behind_ = nullptr;
  MonoTime due_{};
  WatchHandle watch_;
  TimerHandle write_deadline_;
  std::function<void()> gone_;  ///< Of the request under way; empty: nobody asks.
};

}  // namespace tocsin::io
