#pragma once
// Question answered here: how do the agent's messages get to a collector, and its answers back?
//
// Decides nothing about what is sent (that is the conductor's send window). It keeps one connection
// to one collector, trying endpoints and server keys in turn, each time with a fresh routing id.
// The sockets live on a thread of their own; commands and events cross by bounded mailboxes.
//
//   waiting --time--> connecting --handshake succeeded--> up --disconnected, dropped--> waiting
//                     connecting --failed, 10 s--> waiting
//
// What was handed over before a connection came up is never sent on it: a session begins with what
// the conductor says after LinkUp.

#include "common/base/time.h"
#include "common/io/event_loop.h"
#include "common/io/mailbox.h"
#include "common/io/zmq_socket.h"
#include "common/model/link.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

namespace tocsin::agent {

/// Why a connection did not come up or ended; a metric label and half of a log line.
enum class LinkTrouble : std::uint8_t {
  kUnreachable,   ///< No TCP connection.
  kWrongServer,   ///< The handshake failed: another server key, or no tocsin collector there.
  kKeyRefused,    ///< The collector does not admit our key.
  kDisconnected,  ///< It was up and went.
  kDropped,       ///< We ended it.
  kOverflow,      ///< More waited to be sent than kSendBytesMax, or a mailbox was full.
};

const char* to_string(LinkTrouble trouble);

/// What an operator should do about it; empty when waiting is enough.
std::string advice(LinkTrouble trouble);

struct UplinkUp {
  std::string endpoint;
};

struct UplinkDown {
  LinkTrouble trouble = LinkTrouble::kDisconnected;
  std::string why;  ///< With the endpoint.
  bool was_up = false;
  Duration retry_in{0};
};

struct UplinkMessage {
  CollectorMessage message;
};

/// Bytes of the collector that could not be read; `unsupported` when it only speaks of newer
/// things.
struct UplinkUnreadable {
  bool unsupported = false;
  std::string why;
};

using UplinkEvent = std::variant<UplinkUp, UplinkDown, UplinkMessage, UplinkUnreadable>;

/// One thread: the loop's.
class Uplink {
 public:
  /// Waiting in the uplink's own thread for room in ZeroMQ. The send window's credit keeps far
  /// below; reaching it ends the connection.
  static constexpr std::size_t kSendBytesMax = 8 << 20;
  static constexpr std::size_t kCommandsMax = 4096;
  /// Messages of the collector that the loop has not taken yet; then TCP pushes back.
  static constexpr std::size_t kEventsMax = 1024;

  struct Options {
    std::vector<std::string> endpoints;    ///< At least one: "tcp://host:7401".
    std::vector<std::string> server_keys;  ///< At least one, Z85: the current and the next.
    io::CurveKeyPair keys;
    std::uint64_t seed = 0;  ///< Of the jitter.
  };

  using OnEvent = std::function<void(UplinkEvent)>;

  /// Starts connecting. `loop` outlives it.
  Uplink(io::EventLoop& loop, Options options, OnEvent on_event);

  /// Ends the connection. What was handed over gets at most a second to leave (a Goodbye).
  ~Uplink();
  Uplink(const Uplink&) = delete;
  Uplink& operator=(const Uplink&) = delete;

  /// Nothing is sent while the link is down. Order is kept.
  void send(const AgentMessage& message);
  /// A frame as it lies in the spool.
  void send_frame(Bytes frame);

  /// Ends the connection and waits at least `at_least` before the next one.
  void drop(std::string why, Duration at_least);

  bool up() const { return up_; }

  std::uint64_t sent_bytes() const { return sent_bytes_.load(std::memory_order_relaxed); }

  std::uint64_t received_bytes() const { return received_bytes_.load(std::memory_order_relaxed); }

 private:
  struct Send {
    std::uint64_t link = 0;  ///< Which connection it is for.
    Bytes head;
    Bytes body;
    bool frame = false;
  };

  struct Drop {
    std::uint64_t link = 0;
    std::string why;
    Duration at_least{0};
    LinkTrouble trouble = LinkTrouble::kDropped;
  };

  using Command = std::variant<Send, Drop>;

  struct Tagged {
    std::uint64_t link = 0;
    UplinkEvent event;
  };

  class Thread;

  void hand_over(Command command);
  void on_event();

  OnEvent on_event_;
  io::Mailbox<Command> commands_{kCommandsMax};
  io::Mailbox<Tagged> events_{kEventsMax};
  std::atomic<std::uint64_t> sent_bytes_{0};
  std::atomic<std::uint64_t> received_bytes_{0};
  bool up_ = false;
  bool dropping_ = false;   ///< A drop is on its way to the thread; nothing more for this link.
  std::uint64_t link_ = 0;  ///< The connection that is up, or was last.
  io::WatchHandle events_watch_;
  std::thread thread_;
};

}  // namespace tocsin::agent
