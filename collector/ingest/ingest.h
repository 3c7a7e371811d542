#pragma once
// Question answered here: how do agents reach the engine, and how do its answers reach them?
//
// The thread `zmq`: a CURVE ROUTER for the agents, the ZAP handler that lets keys in, and the
// socket's monitor that tells who has gone. What a message may do is decided in gate.h and whose
// key it is in allow_list.h; this file moves bytes, counts and logs.
//
// Specification
//  IN1 Before the endpoint is bound, the keys of the store are loaded, the ZAP handler answers, and
//      a stranger's key has been tried and refused; otherwise `start` fails.
//  IN2 When the engine's inbox is full we stop reading: ZeroMQ's queues and then TCP push back to
//  the
//      agents, which spool. Keys, acknowledgements and disconnects go on.
//  IN3 A revoked key is let in no more from the moment its KeyChanged arrives, nothing of its
//      connections is taken, and they are shut down within kCutAfter.
//  IN4 A peer that does not take our answers is cut; its agent connects again and says Hello.
//  IN5 Each rejection is counted by reason and logged at most once a minute per reason and peer.
//  IN6 Above `connections_max` those are cut that have not said a word since they were accepted,
//      oldest first; when the process has no descriptor for one more, half of them. So a crowd of
//      strangers never takes what agents, people and the store need, and an agent that comes with
//      the crowd has the time that so many need to be accepted. The listener stays open: closing it
//      would end every connection that came by it. Whoever has spoken is never cut for want of
//      room: when those alone are too many, newcomers are cut as they come and try again.

#include "collector/ingest/rejection.h"
#include "collector/ports/event_sink.h"
#include "common/base/clock.h"
#include "common/io/mailbox.h"
#include "common/io/secret_box.h"
#include "common/io/zmq_socket.h"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace tocsin::collector {

/// Orders on their way from the engine to the link.
class LinkBox final : public LinkSink {
 public:
  static constexpr std::size_t kOrdersMax = 1024;  ///< Each is all that one group let out.

  [[nodiscard]] bool push(std::vector<LinkOrder>&& orders) override {
    return box_.push(std::move(orders));
  }

 private:
  friend class Ingest;
  io::Mailbox<std::vector<LinkOrder>> box_{kOrdersMax};
};

struct IngestStats {
  std::array<std::uint64_t, kRejectionCount> rejected{};  ///< By Rejection.
  std::uint64_t accepted = 0;                             ///< TCP connections.
  std::uint64_t disconnected = 0;
  std::uint64_t admitted = 0;  ///< Keys let in by ZAP.
  std::uint64_t messages = 0;  ///< Of all kinds, frames included.
  std::uint64_t frames = 0;
  std::uint64_t frame_bytes = 0;
  std::uint64_t sent = 0;
  std::uint64_t unsent = 0;         ///< The peer had gone.
  std::uint64_t paused = 0;         ///< How often reading stopped because the engine was full.
  std::uint64_t connections = 0;    ///< Now, of those that have spoken.
  std::uint64_t open = 0;           ///< Now, of all.
  std::uint64_t strangers_cut = 0;  ///< Connections that had said nothing (IN6).
};

class Ingest {
 public:
  /// From the order to cut until shutdown(2), so that a last word (Refused) gets out.
  static constexpr Duration kCutAfter = std::chrono::milliseconds{200};

  struct Options {
    std::string endpoint = "tcp://*:7401";
    io::CurveKeyPair keys;  ///< The collector's.
    /// 0: half of what descriptors leave room for (descriptors.h); the HTTP server has the other.
    std::size_t connections_max = 0;
    /// Opens the secrets of assignments on their way out; outlives the thread. Null: all go empty.
    const io::SecretBox* box = nullptr;
  };

  /// All outlive the thread; `clock` is used by it alone. kUnavailable: the endpoint is taken.
  /// kDenied: the self-test failed.
  struct Ports {
    EventSink& engine;
    LinkBox& orders;
    Clock& clock;
  };

  static Expected<std::unique_ptr<Ingest>> start(Options options, Ports ports);

  /// Carries out the orders that are waiting, then ends and closes every connection.
  ~Ingest();
  Ingest(const Ingest&) = delete;
  Ingest& operator=(const Ingest&) = delete;

  /// Takes nothing more from agents; orders still go out. Any thread.
  void stop_reading();

  /// What was bound, with the real port.
  const std::string& endpoint() const;

  IngestStats stats() const;

 private:
  struct Impl;
  explicit Ingest(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tocsin::collector
