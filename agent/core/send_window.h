#pragma once
// Question answered here: which frames may go now, and what does an acknowledgement prove?
//
// Specification (DEC-8; rules of a model of this protocol)
//  W1 Nothing is sent before a Welcome of this connection. A Welcome says, per offered stream, how
//  far
//     the collector has committed and the digest there.
//  W2 (RULE-1) Every high water that arrives, in a Welcome or an Ack or a Nack, is verified: the
//  frame
//     with that seq must be ours and have that digest. If we do not have it (the collector knows
//     more than we do) or it differs, we were rolled back or cloned: the stream forks and is
//     written anew.
//  W3 (RULE-2) A high water inside a Gap is verified by the digest the Gap keeps; the Gap is then
//  sent
//     once more and the collector takes what lies after.
//  W4 Per stream at most `credit` bytes are unacknowledged, but one frame always may be. Alert
//  streams
//     go before routine ones, newer epochs before older ones, in order within a stream.
//  W5 A frame that is not acknowledged within kAckWait makes the connection suspicious: everything
//  after
//     the high water is sent again once; the second time the connection is dropped.
//  W6 A collector behind what we have already forgotten forks the stream as well (what is left is
//     written anew); the results that are gone were committed once and lost by the collector.

#include "agent/core/conductor.h"
#include "common/base/latencies.h"
#include "common/base/time.h"
#include "common/model/frame.h"
#include "common/model/link.h"

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

namespace tocsin::agent {

enum class AckVerdict : std::uint8_t {
  kGood,
  kUnknownStream,  ///< Not ours (any more); ignored.
  kStale,          ///< At or below what we know; ignored.
  kFork,
};

const char* to_string(AckVerdict verdict);

class SendWindow {
 public:
  static constexpr Duration kAckWait = std::chrono::seconds{10};
  static constexpr std::uint32_t kFirstCredit =
      64 * 1024;                             ///< Until an Ack of the stream grants some.
  static constexpr std::size_t kFetch = 64;  ///< Frames fetched from the spool's index at a time.

  explicit SendWindow(const SpoolView& spool)
      : spool_(spool) {}

  /// The connection is gone: nothing is under way any more.
  void link_down();

  /// Offered streams and the answer. Returns the streams that forked.
  std::vector<StreamId> welcome(const std::vector<StreamAck>& streams, MonoTime now);

  /// An Ack or the state in a Nack. kGood moves the high water. A Nack also rewinds what is under
  /// way.
  AckVerdict acknowledge(const StreamAck& ack, MonoTime now);
  void rewind(const StreamId& stream);

  /// Do not send before `until` (Nack busy).
  void hold(const StreamId& stream, MonoTime until);

  /// A frame became durable (or a Gap took the place of frames).
  void synced(const FrameRef& frame);
  void replaced(const FrameRef& gap);
  /// The stream is being written anew, or is gone.
  void forget(const StreamId& stream);

  /// What goes now, in order; counts as under way. At most `limit` frames.
  std::vector<FrameRef> take(std::size_t limit, MonoTime now);

  /// W5: the streams to send again now; nullopt: drop the connection.
  std::optional<std::vector<StreamId>> overdue(MonoTime now);
  MonoTime next_deadline() const;

  std::uint64_t unacked_bytes() const;

  bool linked() const { return linked_; }

  std::uint64_t acked(const StreamId& stream) const;

  /// From the (last) sending of a frame to its verified acknowledgement, of all frames so far.
  const Latencies& ack_latencies() const { return ack_latencies_; }

 private:
  struct Sent {
    FrameRef frame;
    MonoTime at;
  };

  struct State {
    bool open = false;             ///< Welcomed on this connection.
    std::uint64_t high_water = 0;  ///< Verified.
    std::uint64_t sent = 0;        ///< Last seq under way.
    std::uint32_t credit = 0;
    std::deque<Sent> under_way;
    std::uint64_t bytes = 0;  ///< Of under_way.
    MonoTime oldest;          ///< When the first of under_way went.
    MonoTime held_until;
    bool more = false;  ///< The spool may have frames after `sent`.
    bool resent = false;
  };

  AckVerdict verify(const StreamAck& ack) const;
  void advance(State& state, const StreamAck& ack, MonoTime now);

  const SpoolView& spool_;
  std::map<StreamId, State> streams_;
  Latencies ack_latencies_;
  bool linked_ = false;
};

}  // namespace tocsin::agent
