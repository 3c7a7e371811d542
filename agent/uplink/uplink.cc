#include "agent/uplink/uplink.h"

#include "agent/uplink/backoff.h"
#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/crash_point.h"
#include "common/base/rng.h"
#include "common/wire/messages.h"

#include <algorithm>
#include <array>
#include <deque>
#include <optional>

namespace tocsin::agent {

namespace {

constexpr Duration kConnectMax = std::chrono::seconds{10};
/// How long a closing thread tries to get rid of what it was given.
constexpr Duration kLinger = std::chrono::seconds{1};
/// Events kept free for ups and downs, which must never be lost.
constexpr std::size_t kEventsReserved = 64;
/// Messages taken from the socket before the other things get their turn.
constexpr int kReceiveBurst = 64;

}  // namespace

const char* to_string(LinkTrouble trouble) {
  switch (trouble) {
    case LinkTrouble::kUnreachable:
      return "unreachable";
    case LinkTrouble::kWrongServer:
      return "wrong_server";
    case LinkTrouble::kKeyRefused:
      return "key_refused";
    case LinkTrouble::kDisconnected:
      return "disconnected";
    case LinkTrouble::kDropped:
      return "dropped";
    case LinkTrouble::kOverflow:
      return "overflow";
  }
  return "?";
}

std::string advice(LinkTrouble trouble) {
  switch (trouble) {
    case LinkTrouble::kUnreachable:
      return "is the collector running, and is its agent port reachable from here?";
    case LinkTrouble::kWrongServer:
      return "compare server_keys in this agent's file with the collector's public key, and check "
             "that the endpoint is the collector's agent port (7401 by default)";
    case LinkTrouble::kKeyRefused:
      return "the collector does not know this agent's key, or it was revoked: make a bundle with "
             "tocsin-collector enroll and run tocsin-agent enroll with it";
    case LinkTrouble::kDisconnected:
    case LinkTrouble::kDropped:
    case LinkTrouble::kOverflow:
      return "";
  }
  return "";
}

// --- the ZeroMQ thread ---

class Uplink::Thread {
 public:
  Thread(Uplink& owner, Options options)
      : owner_(owner),
        options_(std::move(options)),
        rng_(options_.seed) {}

  void run() {
    while (!(owner_.commands_.closed() && owner_.commands_.size() == 0)) turn();
    if (up_) flush_before_closing();
    socket_.reset();
  }

 private:
  MonoTime now() { return clock_.now().mono; }

  void turn() {
    if (!socket_ && now() >= connect_at_) connect();
    wait();
    take_commands();
    if (socket_) take_socket_events();
    if (socket_ && up_) {
      send_waiting();
      receive();
    }
    if (socket_ && !up_ && now() >= give_up_at_) {
      fail_link(LinkTrouble::kUnreachable, "no answer in 10s");
    }
  }

  /// How long until something must be done though nothing became ready.
  Duration patience() {
    const MonoTime next = socket_ ? (up_ ? MonoTime::never() : give_up_at_) : connect_at_;
    if (next == MonoTime::never()) return std::chrono::seconds{10};
    return std::clamp(next - now(), Duration::zero(), Duration(std::chrono::seconds{10}));
  }

  void wait() {
    std::vector<io::ZmqWaitItem> items{{.fd = owner_.commands_.fd()}};
    if (socket_) {
      items.push_back({.socket = socket_.get(), .events = true});
      const bool room = owner_.events_.size() + kEventsReserved < kEventsMax;
      if (up_ && (room || !waiting_.empty())) {
        items.push_back({.socket = socket_.get(), .writable = !waiting_.empty()});
      }
      // A loop that does not take its events: look again soon instead of spinning on the socket.
      Duration at_most = patience();
      if (up_ && !room) at_most = std::chrono::milliseconds{20};
      (void)io::zmq_wait(items, at_most);
      return;
    }
    (void)io::zmq_wait(items, patience());
  }

  void connect() {
    const std::size_t endpoints = options_.endpoints.size();
    const std::size_t turn = attempts_++;
    endpoint_ = options_.endpoints[turn % endpoints];
    const std::string& key = options_.server_keys[(turn / endpoints) % options_.server_keys.size()];
    ++link_;
    up_ = false;
    give_up_at_ = now() + kConnectMax;
    auto socket = io::ZmqSocket::dealer(context_, {.keys = options_.keys, .server_key = key});
    if (!socket) return fail_link(LinkTrouble::kUnreachable, socket.error().text);
    socket_ = std::move(*socket);
    const auto connected = socket_->connect(endpoint_);
    if (!connected) fail_link(LinkTrouble::kUnreachable, connected.error().text);
  }

  void take_socket_events() {
    using Kind = io::ZmqEvent::Kind;
    while (socket_) {
      const auto event = socket_->next_event();
      if (!event) return;
      switch (event->kind) {
        case Kind::kConnected:
        case Kind::kListening:
        case Kind::kAccepted:
        case Kind::kAcceptFailed:
          break;
        case Kind::kHandshakeSucceeded:
          up_ = true;
          up_since_ = now();
          put(UplinkUp{endpoint_});
          break;
        case Kind::kConnectFailed:
          fail_link(LinkTrouble::kUnreachable, "connection refused or unreachable");
          break;
        case Kind::kHandshakeRefused:
          fail_link(LinkTrouble::kKeyRefused, "the collector refused this agent's key");
          break;
        case Kind::kHandshakeFailed:
          fail_link(LinkTrouble::kWrongServer, "the handshake failed");
          break;
        case Kind::kDisconnected:
          if (up_) {
            fail_link(LinkTrouble::kDisconnected, "the connection ended");
          } else {
            fail_link(LinkTrouble::kWrongServer, "the connection ended during the handshake");
          }
          break;
      }
    }
  }

  void fail_link(LinkTrouble trouble, const std::string& why, Duration at_least = Duration{0}) {
    // Welcomed for a while: whatever ended it, the next try may be quick.
    if (up_ && now() - up_since_ >= std::chrono::seconds{10}) backoff_.reset();
    const Duration wait = std::max(backoff_.next(rng_), at_least);
    connect_at_ = now() + wait;
    const bool was_up = up_;
    up_ = false;
    socket_.reset();
    waiting_.clear();
    waiting_bytes_ = 0;
    put(UplinkDown{trouble, fmt::format("{}: {}", endpoint_, why), was_up, wait});
  }

  void take_commands() {
    while (auto command = owner_.commands_.try_pop()) {
      if (auto* send = std::get_if<Send>(&*command)) {
        if (send->link != link_ || !up_) continue;
        waiting_bytes_ += send->body.size();
        waiting_.push_back(std::move(*send));
        if (waiting_bytes_ > kSendBytesMax) {
          fail_link(LinkTrouble::kOverflow, "too much waits to be sent");
        }
        continue;
      }
      const Drop& drop = std::get<Drop>(*command);
      if (drop.link != link_ || !up_) continue;
      fail_link(drop.trouble, drop.why, drop.at_least);
    }
  }

  void send_waiting() {
    while (!waiting_.empty()) {
      const Send& next = waiting_.front();
      if (next.frame) TOCSIN_CRASH_POINT("uplink.send.before");
      const std::array<std::string_view, 2> parts{next.head, next.body};
      const auto sent = socket_->send(parts);
      if (!sent) {
        if (sent.error().code == Errc::kUnavailable) return;
        return fail_link(LinkTrouble::kDisconnected, sent.error().text);
      }
      if (next.frame) TOCSIN_CRASH_POINT("uplink.send.after");
      owner_.sent_bytes_.fetch_add(next.head.size() + next.body.size(), std::memory_order_relaxed);
      waiting_bytes_ -= next.body.size();
      waiting_.pop_front();
    }
  }

  void receive() {
    for (int i = 0; i < kReceiveBurst; ++i) {
      if (owner_.events_.size() + kEventsReserved >= kEventsMax) return;
      auto message = socket_->receive();
      if (!message) return fail_link(LinkTrouble::kDisconnected, message.error().text);
      if (!*message) return;
      read(**message);
    }
  }

  void read(const io::ZmqMessage& message) {
    for (const Bytes& part : message.parts) {
      owner_.received_bytes_.fetch_add(part.size(), std::memory_order_relaxed);
    }
    if (message.parts.size() != 2 || message.overlong) {
      return put(UplinkUnreadable{false, "not a message of two parts"});
    }
    const auto head = wire::decode_head(as_bytes(message.parts[0]));
    if (!head) return put(UplinkUnreadable{false, head.error().text});
    if (head->kind != wire::PartKind::kCollector) {
      return put(UplinkUnreadable{true, "a part of a kind that collectors do not send"});
    }
    auto decoded = wire::decode_collector_message(as_bytes(message.parts[1]));
    if (!decoded) {
      const bool unsupported = decoded.error().code == Errc::kUnsupported;
      return put(UplinkUnreadable{unsupported, decoded.error().text});
    }
    put(UplinkMessage{std::move(*decoded)});
  }

  void put(UplinkEvent event) {
    Tagged tagged{link_, std::move(event)};
    // Only ups and downs use the reserve, one pair per connection and at most ten connections a
    // second: a loop that is behind by more than that is stuck, and its watchdog will say so.
    // NOLINTNEXTLINE(bugprone-use-after-move): a mailbox without room leaves the value alone.
    while (!owner_.events_.push(std::move(tagged))) {
      if (owner_.commands_.closed()) return;
      (void)io::zmq_wait({}, std::chrono::milliseconds{20});
    }
  }

  void flush_before_closing() {
    const MonoTime end = now() + kLinger;
    while (socket_ && !waiting_.empty() && now() < end) {
      std::vector<io::ZmqWaitItem> items{{.socket = socket_.get(), .writable = true}};
      (void)io::zmq_wait(items, std::chrono::milliseconds{50});
      send_waiting();
    }
    if (socket_) socket_->set_linger(kLinger);
  }

  Uplink& owner_;
  const Options options_;
  SystemClock clock_;
  Rng rng_;
  io::ZmqContext context_;
  std::unique_ptr<io::ZmqSocket> socket_;
  Backoff backoff_;
  std::string endpoint_;
  std::size_t attempts_ = 0;
  std::uint64_t link_ = 0;
  bool up_ = false;
  MonoTime up_since_;
  MonoTime connect_at_;
  MonoTime give_up_at_;
  std::deque<Send> waiting_;
  std::size_t waiting_bytes_ = 0;
};

// --- the loop's side ---

Uplink::Uplink(io::EventLoop& loop, Options options, OnEvent on_event)
    : on_event_(std::move(on_event)) {
  CHECK(!options.endpoints.empty() && !options.server_keys.empty());
  events_watch_ =
      loop.watch(events_.fd(), io::Interest::kRead, [this](io::Interest) { this->on_event(); });
  thread_ = std::thread(
      [this, options = std::move(options)]() mutable { Thread(*this, std::move(options)).run(); });
}

Uplink::~Uplink() {
  commands_.close();
  thread_.join();
}

void Uplink::on_event() {
  // One event per call, because it may destroy this object; the watch is level-triggered.
  auto tagged = events_.try_pop();
  if (!tagged) return;
  if (std::holds_alternative<UplinkUp>(tagged->event)) {
    up_ = true;
    dropping_ = false;
    link_ = tagged->link;
  } else if (std::holds_alternative<UplinkDown>(tagged->event)) {
    up_ = false;
  } else if (dropping_) {
    return;  // The owner has said that this connection is over.
  }
  on_event_(std::move(tagged->event));
}

void Uplink::send(const AgentMessage& message) {
  if (!up_ || dropping_) return;
  hand_over(Send{link_, wire::encode_head(wire::PartKind::kAgent), wire::encode(message), false});
}

void Uplink::send_frame(Bytes frame) {
  if (!up_ || dropping_) return;
  hand_over(Send{link_, wire::encode_head(wire::PartKind::kFrame), std::move(frame), true});
}

void Uplink::drop(std::string why, Duration at_least) {
  if (!up_ || dropping_) return;
  dropping_ = true;
  hand_over(Drop{link_, std::move(why), at_least, LinkTrouble::kDropped});
}

void Uplink::hand_over(Command command) {
  if (commands_.push(std::move(command))) return;
  // The thread has not taken 4096 commands: it is stuck in a send or a slow machine. Sending on
  // with a hole would look like a fork, so the connection goes; make room for saying so.
  (void)commands_.try_pop();
  dropping_ = true;
  (void)commands_.push(Drop{link_, "4096 commands wait", Duration{0}, LinkTrouble::kOverflow});
}

}  // namespace tocsin::agent
