#include "common/io/zmq_socket.h"

#include "common/base/check.h"
#include "common/io/random.h"

#include <zmq.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>

// Compiled into Debian's libzmq, but its header shows it only with the draft API.
#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif

namespace tocsin::io {

namespace {

constexpr int kMessageSizeMax = 512 * 1024;
constexpr int kHandshakeMs = 5'000;
constexpr int kConnectTimeoutMs = 10'000;
constexpr int kKeepaliveIdleS = 5;
constexpr int kKeepaliveEveryS = 5;
constexpr int kKeepaliveCount = 2;
constexpr int kUnacknowledgedMs = 15'000;
constexpr int kDealerSendQueue = 8;
constexpr int kDealerReceiveQueue = 64;
constexpr int kRouterSendQueue = 256;
constexpr int kRouterReceiveQueue = 8;
constexpr std::size_t kKeyText = 40;

Unexpected fail_zmq(std::string_view what, int error) {
  return fail(Errc::kIo, "{}: {}", what, zmq_strerror(error));
}

/// A zmq_msg_t that closes itself.
class Part {
 public:
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): zmq_msg_init does.
  Part() { zmq_msg_init(&message_); }

  ~Part() { zmq_msg_close(&message_); }

  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;

  zmq_msg_t* get() { return &message_; }

  std::string_view view() {
    return {static_cast<const char*>(zmq_msg_data(&message_)), zmq_msg_size(&message_)};
  }

  bool more() { return zmq_msg_more(&message_) != 0; }

 private:
  zmq_msg_t message_;
};

std::optional<ZmqEvent::Kind> kind_of(unsigned event) {
  using Kind = ZmqEvent::Kind;
  switch (event) {
    case ZMQ_EVENT_CONNECTED:
      return Kind::kConnected;
    case ZMQ_EVENT_CLOSED:
      // A connecting socket that failed; a listener or a connection that we closed ourselves
      // reports it too, after its owner has stopped asking.
      return Kind::kConnectFailed;
    case ZMQ_EVENT_LISTENING:
      return Kind::kListening;
    case ZMQ_EVENT_ACCEPTED:
      return Kind::kAccepted;
    case ZMQ_EVENT_ACCEPT_FAILED:
      return Kind::kAcceptFailed;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
      return Kind::kHandshakeSucceeded;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
      return Kind::kHandshakeRefused;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
      return Kind::kHandshakeFailed;
    case ZMQ_EVENT_DISCONNECTED:
      return Kind::kDisconnected;
    default:
      return std::nullopt;
  }
}

/// "tcp://127.0.0.1:7401". With IPV6 set, libzmq turns such an address into an IPv4-mapped one, and
/// its LAST_ENDPOINT into text that it cannot connect to.
bool is_literal_v4(std::string_view endpoint) {
  const auto host = endpoint.find("://");
  if (host == std::string_view::npos) return false;
  const std::string_view rest = endpoint.substr(host + 3);
  const std::string_view address = rest.substr(0, rest.rfind(':'));
  return !address.empty() && address.find_first_not_of("0123456789.") == std::string_view::npos;
}

/// A dual-stack listener sees IPv4 peers as "::ffff:192.0.2.1".
std::string without_v4_mapping(std::string_view address) {
  constexpr std::string_view kMapped = "::ffff:";
  if (address.starts_with(kMapped)) address.remove_prefix(kMapped.size());
  return std::string(address);
}

}  // namespace

// --- keys ---

Expected<CurveKeyPair> make_curve_keypair() {
  std::array<char, kKeyText + 1> public_key{};
  std::array<char, kKeyText + 1> secret_key{};
  if (zmq_curve_keypair(public_key.data(), secret_key.data()) != 0) {
    return fail_zmq("make a CURVE key pair", zmq_errno());
  }
  CurveKeyPair out{public_key.data(), Secret(secret_key.data())};
  secret_key.fill(0);
  return out;
}

Expected<std::string> curve_public_of(const Secret& secret_key) {
  if (!is_curve_key(secret_key.reveal())) {
    return fail(Errc::kInvalid, "the secret key is not 40 characters of Z85");
  }
  std::array<char, kKeyText + 1> public_key{};
  if (zmq_curve_public(public_key.data(), secret_key.reveal().c_str()) != 0) {
    return fail_zmq("derive a CURVE public key", zmq_errno());
  }
  return std::string(public_key.data());
}

bool is_curve_key(std::string_view text) {
  constexpr std::string_view kAlphabet =
      "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
  // libzmq's own decoder indexes a table with characters it did not check in some versions.
  if (text.size() != kKeyText || text.find_first_not_of(kAlphabet) != std::string_view::npos) {
    return false;
  }
  std::array<std::uint8_t, 32> raw{};
  return zmq_z85_decode(raw.data(), std::string(text).c_str()) != nullptr;
}

std::string curve_key_from_raw(ByteSpan raw) {
  std::array<char, kKeyText + 1> text{};
  if (raw.size() != 32 || zmq_z85_encode(text.data(), raw.data(), raw.size()) == nullptr) return "";
  return text.data();
}

// --- ZmqContext ---

ZmqContext::ZmqContext()
    : ZmqContext(Options{}) {}

ZmqContext::ZmqContext(Options options)
    : context_(zmq_ctx_new()) {
  CHECK(context_ != nullptr);
  zmq_ctx_set(context_, ZMQ_IO_THREADS, options.io_threads);
  zmq_ctx_set(context_, ZMQ_MAX_SOCKETS, options.sockets_max);
}

ZmqContext::~ZmqContext() {
  while (zmq_ctx_term(context_) != 0 && zmq_errno() == EINTR) {
  }
}

const char* to_string(ZmqEvent::Kind kind) {
  using Kind = ZmqEvent::Kind;
  switch (kind) {
    case Kind::kConnected:
      return "connected";
    case Kind::kConnectFailed:
      return "connect_failed";
    case Kind::kListening:
      return "listening";
    case Kind::kAccepted:
      return "accepted";
    case Kind::kAcceptFailed:
      return "accept_failed";
    case Kind::kHandshakeSucceeded:
      return "handshake_succeeded";
    case Kind::kHandshakeRefused:
      return "handshake_refused";
    case Kind::kHandshakeFailed:
      return "handshake_failed";
    case Kind::kDisconnected:
      return "disconnected";
  }
  return "?";
}

// --- ZmqSocket ---

ZmqSocket::ZmqSocket(void* socket, void* monitor)
    : socket_(socket),
      monitor_(monitor) {}

ZmqSocket::~ZmqSocket() {
  if (monitor_ != nullptr) {
    zmq_socket_monitor(socket_, nullptr, 0);
    zmq_close(monitor_);
  }
  zmq_close(socket_);
}

Expected<std::unique_ptr<ZmqSocket>> ZmqSocket::make(ZmqContext& context, int type,
                                                     bool monitored) {
  void* socket = zmq_socket(context.context_, type);
  if (socket == nullptr) return fail_zmq("make a ZeroMQ socket", zmq_errno());
  void* monitor = nullptr;
  if (monitored) {
    static std::atomic<std::uint64_t> next{0};
    const std::string endpoint = fmt::format("inproc://monitor.{}", next.fetch_add(1));
    monitor = zmq_socket(context.context_, ZMQ_PAIR);
    if (monitor == nullptr || zmq_socket_monitor(socket, endpoint.c_str(), ZMQ_EVENT_ALL) != 0 ||
        zmq_connect(monitor, endpoint.c_str()) != 0) {
      const int error = zmq_errno();
      if (monitor != nullptr) zmq_close(monitor);
      zmq_close(socket);
      return fail_zmq("watch a ZeroMQ socket", error);
    }
  }
  std::unique_ptr<ZmqSocket> out(new ZmqSocket(socket, monitor));
  TRY(out->set_common());
  return out;
}

Expected<void> ZmqSocket::set_common() {
  const std::int64_t size_max = kMessageSizeMax;
  if (zmq_setsockopt(socket_, ZMQ_MAXMSGSIZE, &size_max, sizeof size_max) != 0) {
    return fail_zmq("bound the message size", zmq_errno());
  }
  TRY(set_int(ZMQ_LINGER, 0));
  TRY(set_int(ZMQ_HANDSHAKE_IVL, kHandshakeMs));
  TRY(set_int(ZMQ_TCP_KEEPALIVE, 1));
  TRY(set_int(ZMQ_TCP_KEEPALIVE_IDLE, kKeepaliveIdleS));
  TRY(set_int(ZMQ_TCP_KEEPALIVE_INTVL, kKeepaliveEveryS));
  TRY(set_int(ZMQ_TCP_KEEPALIVE_CNT, kKeepaliveCount));
  TRY(set_int(ZMQ_TCP_MAXRT, kUnacknowledgedMs));
  return {};
}

Expected<std::unique_ptr<ZmqSocket>> ZmqSocket::dealer(ZmqContext& context,
                                                       const DealerOptions& options) {
  if (!is_curve_key(options.server_key)) {
    return fail(Errc::kInvalid, "the server key is not 40 characters of Z85");
  }
  TRY_ASSIGN(auto out, make(context, ZMQ_DEALER, true));
  TRY(out->set_int(ZMQ_IMMEDIATE, 1));
  TRY(out->set_int(ZMQ_RECONNECT_IVL, -1));
  TRY(out->set_int(ZMQ_CONNECT_TIMEOUT, kConnectTimeoutMs));
  TRY(out->set_int(ZMQ_SNDHWM, kDealerSendQueue));
  TRY(out->set_int(ZMQ_RCVHWM, kDealerReceiveQueue));
  std::array<std::uint8_t, 16> routing_id{};
  fill_random(routing_id);
  routing_id[0] |= 1;  // libzmq keeps ids that begin with zero for itself.
  TRY(out->set_text(ZMQ_ROUTING_ID, as_view(routing_id)));
  TRY(out->set_text(ZMQ_CURVE_SERVERKEY, options.server_key));
  TRY(out->set_text(ZMQ_CURVE_PUBLICKEY, options.keys.public_key));
  TRY(out->set_text(ZMQ_CURVE_SECRETKEY, options.keys.secret_key.reveal()));
  return out;
}

Expected<std::unique_ptr<ZmqSocket>> ZmqSocket::router(ZmqContext& context,
                                                       const RouterOptions& options) {
  TRY_ASSIGN(auto out, make(context, ZMQ_ROUTER, true));
  TRY(out->set_int(ZMQ_ROUTER_MANDATORY, 1));
  TRY(out->set_int(ZMQ_ROUTER_HANDOVER, 0));
  TRY(out->set_int(ZMQ_SNDHWM, kRouterSendQueue));
  TRY(out->set_int(ZMQ_RCVHWM, kRouterReceiveQueue));
  TRY(out->set_int(ZMQ_CURVE_SERVER, 1));
  TRY(out->set_text(ZMQ_CURVE_SECRETKEY, options.secret_key.reveal()));
  TRY(out->set_text(ZMQ_ZAP_DOMAIN, kZapDomain));
  TRY(out->set_int(ZMQ_ZAP_ENFORCE_DOMAIN, 1));
  return out;
}

Expected<std::unique_ptr<ZmqSocket>> ZmqSocket::replier(ZmqContext& context) {
  return make(context, ZMQ_REP, false);
}

Expected<void> ZmqSocket::set_text(int option, std::string_view value) {
  if (zmq_setsockopt(socket_, option, value.data(), value.size()) != 0) {
    // The value may be a secret: it never goes into the text.
    return fail(Errc::kInvalid, "set ZeroMQ option {}: {}", option, zmq_strerror(zmq_errno()));
  }
  return {};
}

Expected<void> ZmqSocket::set_int(int option, int value) {
  if (zmq_setsockopt(socket_, option, &value, sizeof value) != 0) {
    return fail(Errc::kInvalid, "set ZeroMQ option {} to {}: {}", option, value,
                zmq_strerror(zmq_errno()));
  }
  return {};
}

Expected<void> ZmqSocket::connect(const std::string& endpoint) {
  TRY(set_int(ZMQ_IPV6, is_literal_v4(endpoint) ? 0 : 1));
  if (zmq_connect(socket_, endpoint.c_str()) != 0) {
    return fail_zmq(fmt::format("connect to {}", endpoint), zmq_errno());
  }
  return {};
}

Expected<void> ZmqSocket::bind(const std::string& endpoint) {
  TRY(set_int(ZMQ_IPV6, is_literal_v4(endpoint) ? 0 : 1));
  if (zmq_bind(socket_, endpoint.c_str()) != 0) {
    return fail_zmq(fmt::format("listen on {}", endpoint), zmq_errno());
  }
  return {};
}

std::string ZmqSocket::bound_endpoint() const {
  std::array<char, 256> text{};
  std::size_t size = text.size();
  if (zmq_getsockopt(socket_, ZMQ_LAST_ENDPOINT, text.data(), &size) != 0) return "";
  return text.data();
}

void ZmqSocket::set_linger(Duration at_most) {
  const int ms = static_cast<int>(at_most.count() / 1000);
  CHECK(zmq_setsockopt(socket_, ZMQ_LINGER, &ms, sizeof ms) == 0);
}

Expected<void> ZmqSocket::send(std::span<const std::string_view> parts) {
  CHECK(!parts.empty());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const int flags = ZMQ_DONTWAIT | (i + 1 < parts.size() ? ZMQ_SNDMORE : 0);
    if (zmq_send(socket_, parts[i].data(), parts[i].size(), flags) >= 0) continue;
    const int error = zmq_errno();
    // Only the first part can meet a full queue or a missing peer: libzmq takes the others with it.
    if (i == 0 && error == EAGAIN) return fail(Errc::kUnavailable, "the send queue is full");
    if (i == 0 && error == EHOSTUNREACH) return fail(Errc::kNotFound, "the peer is gone");
    return fail_zmq("send", error);
  }
  return {};
}

Expected<std::optional<ZmqMessage>> ZmqSocket::receive() {
  ZmqMessage out;
  while (true) {
    Part part;
    if (zmq_msg_recv(part.get(), socket_, ZMQ_DONTWAIT) < 0) {
      const int error = zmq_errno();
      if (error == EAGAIN || error == EINTR) return std::optional<ZmqMessage>{};
      return fail_zmq("receive", error);
    }
    if (out.parts.size() < ZmqMessage::kPartsMax) {
      out.parts.emplace_back(part.view());
    } else {
      out.overlong = true;
    }
    if (part.more()) continue;
    if (const char* user = zmq_msg_gets(part.get(), "User-Id")) out.user_id = user;
    if (const char* peer = zmq_msg_gets(part.get(), "Peer-Address")) {
      out.peer_address = without_v4_mapping(peer);
    }
    out.source_fd = zmq_msg_get(part.get(), ZMQ_SRCFD);
    return std::optional<ZmqMessage>{std::move(out)};
  }
}

std::optional<ZmqEvent> ZmqSocket::next_event() {
  CHECK(monitor_ != nullptr);
  while (true) {
    Part head;
    if (zmq_msg_recv(head.get(), monitor_, ZMQ_DONTWAIT) < 0) return std::nullopt;
    Part endpoint;
    if (!head.more() || zmq_msg_recv(endpoint.get(), monitor_, ZMQ_DONTWAIT) < 0) continue;
    const std::string_view bytes = head.view();
    if (bytes.size() < 6) continue;
    std::uint16_t event = 0;
    std::int32_t value = 0;
    std::memcpy(&event, bytes.data(), sizeof event);  // Host order: zmq_socket_monitor(3).
    std::memcpy(&value, bytes.data() + 2, sizeof value);
    const auto kind = kind_of(event);
    if (!kind) continue;
    return ZmqEvent{*kind, value, std::string(endpoint.view())};
  }
}

// --- waiting ---

Expected<void> zmq_wait(std::span<ZmqWaitItem> items, Duration at_most) {
  std::vector<zmq_pollitem_t> polled;
  polled.reserve(items.size());
  for (const ZmqWaitItem& item : items) {
    zmq_pollitem_t p{};
    p.events = ZMQ_POLLIN;
    if (item.socket != nullptr) {
      p.socket = item.events ? item.socket->monitor_ : item.socket->socket_;
      CHECK(p.socket != nullptr);
    } else {
      p.fd = item.fd;
    }
    if (item.writable) p.events = static_cast<short>(p.events | ZMQ_POLLOUT);
    polled.push_back(p);
  }
  const long ms = static_cast<long>(std::max<std::int64_t>(0, (at_most.count() + 999) / 1000));
  const int n = zmq_poll(polled.data(), static_cast<int>(polled.size()), ms);
  if (n < 0 && zmq_errno() != EINTR) return fail_zmq("wait for ZeroMQ", zmq_errno());
  for (std::size_t i = 0; i < items.size(); ++i) {
    items[i].can_read = n > 0 && (polled[i].revents & ZMQ_POLLIN) != 0;
    items[i].can_write = n > 0 && (polled[i].revents & ZMQ_POLLOUT) != 0;
  }
  return {};
}

}  // namespace tocsin::io
