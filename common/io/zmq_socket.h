#pragma once
// Question answered here: how do the two ends of the link use ZeroMQ, safely and alike?
//
// Thin handles over libzmq: a context, CURVE dealers (agents), a CURVE router and the replier for
// ZAP (collector). A socket and its monitor belong to one thread, the ZeroMQ thread; nothing here
// blocks but `zmq_wait`.
//
// What every socket gets, and why:
//   MAXMSGSIZE 512 KiB   libzmq's default lets strangers announce 256 MiB before they have
//                        authenticated; our largest message is 512 KiB (common/wire/messages.h).
//   LINGER 0             what was not sent is still in the spool; closing never waits.
//   HANDSHAKE_IVL 5 s    a peer that connects and says nothing is gone after that.
//   TCP_KEEPALIVE 5 s,   a half-open connection is found in 15 s on either side, by the kernel.
//   TCP_MAXRT 15 s       libzmq's own heartbeats stay off: in 4.3 one that meets a connection which
//                        broke while its messages wait for room in the queue (RCVHWM) ends the
//                        process ("Assertion failed: !_io_error"; issues 4364, 4229, 3937 of
//                        libzmq). Whether the peer's program is alive, our own heartbeats tell.
//   IPV6 1               with IPv4 on the same socket, unless the endpoint is an IPv4 address.
// Dealer: IMMEDIATE 1 (nothing is queued for a connection that is not there); RECONNECT_IVL -1 (its
//   owner makes a new socket with a fresh routing id instead); SNDHWM 8 (what lies in libzmq cannot
//   be taken back, so our own bounded queue holds the rest); RCVHWM 64 (acks and assignments of a
//   collector that it has authenticated).
// Router: ROUTER_MANDATORY 1 (a peer that went is an error, not a silent drop); ROUTER_HANDOVER 0
//   (nobody takes another's route: routing ids are random, identity is the key); RCVHWM 8 (at most
//   8 messages of an agent wait in libzmq, 4 MiB at worst, and then TCP pushes back); SNDHWM 256
//   (acks are 100 bytes; a peer that does not read them is given up by its owner at that point);
//   ZAP_DOMAIN "tocsin" with ZAP_ENFORCE_DOMAIN (without it libzmq 4.3 lets every key in when no
//   ZAP handler answers).

#include "common/base/bytes.h"
#include "common/base/expected.h"
#include "common/base/time.h"
#include "common/io/secret.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::io {

/// Curve25519 keys in Z85, 40 characters each.
struct CurveKeyPair {
  std::string public_key;
  Secret secret_key;
};

Expected<CurveKeyPair> make_curve_keypair();

/// The public key that belongs to a secret one.
Expected<std::string> curve_public_of(const Secret& secret_key);

/// 40 characters of Z85.
bool is_curve_key(std::string_view text);

/// 32 raw bytes (as ZAP hands them over) to 40 characters; empty when there are not 32.
std::string curve_key_from_raw(ByteSpan raw);

/// Owns libzmq's I/O thread. Outlives its sockets.
class ZmqContext {
 public:
  struct Options {
    int io_threads = 1;
    int sockets_max = 1023;
  };

  ZmqContext();
  explicit ZmqContext(Options options);
  ~ZmqContext();
  ZmqContext(const ZmqContext&) = delete;
  ZmqContext& operator=(const ZmqContext&) = delete;

 private:
  friend class ZmqSocket;
  void* context_;
};

/// What happened to a connection, from the socket monitor.
struct ZmqEvent {
  enum class Kind : std::uint8_t {
    kConnected,           ///< TCP is up; nothing is proven yet.
    kConnectFailed,       ///< Dealer: TCP failed; the socket does not try again.
    kListening,           ///< Router.
    kAccepted,            ///< Router: `value` is the descriptor.
    kAcceptFailed,        ///< Router: `value` is errno (EMFILE: out of descriptors).
    kHandshakeSucceeded,  ///< CURVE (and ZAP) are through: the peer is who its key says.
    kHandshakeRefused,    ///< Dealer: the server's ZAP said no (`value` 400): it does not know our
                          ///< key. Router: it said no to a peer.
    kHandshakeFailed,     ///< It ended before it was through; at a dealer usually a wrong server
                          ///< key or no tocsin at that port. `value`: errno or protocol code.
    kDisconnected,        ///< `value` is the descriptor.
  };

  Kind kind = Kind::kConnected;
  int value = 0;
  std::string endpoint;
};

const char* to_string(ZmqEvent::Kind kind);

struct ZmqMessage {
  /// More parts than this are received, dropped and reported by `overlong`.
  static constexpr std::size_t kPartsMax = 8;

  std::vector<Bytes> parts;
  bool overlong = false;
  std::string user_id;       ///< What ZAP answered for the peer's key; empty without ZAP.
  std::string peer_address;  ///< "127.0.0.1"; never an IPv4-mapped IPv6 address.
  int source_fd = -1;        ///< Of the connection, for shutdown(2); -1 unknown.
};

class ZmqSocket {
 public:
  struct DealerOptions {
    CurveKeyPair keys;
    std::string server_key;  ///< Z85.
  };

  struct RouterOptions {
    Secret secret_key;  ///< Z85.
  };

  static constexpr const char* kZapDomain = "tocsin";
  static constexpr const char* kZapEndpoint = "inproc://zeromq.zap.01";

  /// With a fresh random routing id of 16 bytes. `context` outlives the socket.
  static Expected<std::unique_ptr<ZmqSocket>> dealer(ZmqContext& context,
                                                     const DealerOptions& options);

  /// Bind the ZAP replier first.
  static Expected<std::unique_ptr<ZmqSocket>> router(ZmqContext& context,
                                                     const RouterOptions& options);

  /// A REP socket without security for `kZapEndpoint`: receive one request, send one reply.
  static Expected<std::unique_ptr<ZmqSocket>> replier(ZmqContext& context);

  ~ZmqSocket();
  ZmqSocket(const ZmqSocket&) = delete;
  ZmqSocket& operator=(const ZmqSocket&) = delete;

  /// Starts connecting; how it went comes as events.
  Expected<void> connect(const std::string& endpoint);
  Expected<void> bind(const std::string& endpoint);
  /// What was bound last, with the port that the system chose for port 0 ("tcp://127.0.0.1:41234").
  std::string bound_endpoint() const;

  /// How long what was sent may still take to leave after the socket is destroyed; the context's
  /// destructor waits for it. Zero until set.
  void set_linger(Duration at_most);

  /// Hands the whole message to libzmq or nothing of it. A router's first part is the routing id.
  /// kUnavailable: its queue is full or there is no connection yet; try again when it is writable.
  /// kNotFound: a router's peer is gone.
  Expected<void> send(std::span<const std::string_view> parts);

  /// Nothing when nothing is there.
  Expected<std::optional<ZmqMessage>> receive();

  /// The next monitor event of a dealer or router, if any. Never ask a replier.
  std::optional<ZmqEvent> next_event();

 private:
  friend Expected<void> zmq_wait(std::span<struct ZmqWaitItem> items, Duration at_most);
  ZmqSocket(void* socket, void* monitor);

  static Expected<std::unique_ptr<ZmqSocket>> make(ZmqContext& context, int type, bool monitored);
  Expected<void> set_text(int option, std::string_view value);
  Expected<void> set_int(int option, int value);
  Expected<void> set_common();

  void* socket_;
  void* monitor_;
};

/// One thing to wait for: a socket's messages, its monitor events, or a plain descriptor.
struct ZmqWaitItem {
  ZmqSocket* socket = nullptr;
  bool events = false;    ///< The socket's monitor instead of its messages.
  int fd = -1;            ///< When `socket` is null.
  bool writable = false;  ///< Wait for room as well.
  bool can_read = false;  ///< Out.
  bool can_write = false;
};

/// Waits for any of them, rounded up to milliseconds. Returns early on a signal.
Expected<void> zmq_wait(std::span<ZmqWaitItem> items, Duration at_most);

}  // namespace tocsin::io
