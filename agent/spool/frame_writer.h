#pragma once
// Question answered here: how do results become frames that are on disk before they are sent?
//
// Sees wire, model and the Disk port; decides nothing about sending. All streams of an agent share
// one spool: segment files CLASS-NUMBER-COUNT.seg (alert, routine or gap; ten decimal digits;
// sixteen hex digits: the results of that class in all segments before this one) hold frames one
// after the other as they go on the wire. There is no cursor file: recovery lists the directory and
// reads every frame.
//
// Specification
//  S1 A frame is closed at 256 results, before it would pass 64 KiB, 100 ms after its first result,
//  or
//     at once when `add` says so; seq counts from 1 per stream; each carries its predecessor's
//     digest.
//  S2 A closed frame is appended to the current segment of its class; FrameSynced is reported only
//  after
//     its Disk::sync completed. One sync is under way at a time; what closes meanwhile shares the
//     next.
//  S3 A failed append or sync abandons the segment: its un-synced frames are written again, with
//  the
//     same bytes, to a new one. Two failures in a row: memory mode (`degraded()` says why, nothing
//     is reported synced, at most kMemoryMax of frames wait, beyond that the oldest routine ones
//     become a Gap) and a new try every 5 s.
//  S4 `open` starts epoch = persisted + 1 with a fresh nonce, made durable before the first frame.
//  Older
//     streams stay as they are on disk and are offered under their own ids.
//  S5 A torn tail is ignored (what follows the last good frame was never reported synced). Damage
//  in the
//     middle costs only the damaged frames: they become a Gap(corrupt) when the neighbours tell
//     their numbers and digests, else their stream is written anew (S8). `open` never fails because
//     of content.
//  S6 Above `bytes_max` whole segments go, oldest first: routine until none is left, then alert.
//  Their
//     unacknowledged frames become Gaps, appended and synced before the segment is unlinked.
//  S7 A segment is unlinked when every frame in it is acknowledged and more than `retain_bytes` of
//  such
//     segments stand (they serve a collector that lost its last commits). What is acknowledged is
//     not remembered across a restart: a Welcome says it again (RULE-4).
//  S8 `restream` starts a new epoch, adds every result of the given streams above their
//  acknowledged seq
//     to it, syncs that, and only then forgets the old frames (RULE-3). Gaps go over as Gaps of one
//     entry.
//  Accounting: results_generated counts what was ever framed and synced, across restarts, from the
//     segments' names; a kill loses at most the frames that were not synced, which count nowhere.

#include "agent/ports/disk.h"
#include "common/base/time.h"
#include "common/model/check_result.h"
#include "common/model/frame.h"
#include "common/model/link.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace tocsin::agent {

/// What the writer tells its owner, in order.
struct FrameSynced {
  FrameRef frame;
};

/// Frames first..last of the stream are gone and `gap` stands in their place, synced.
struct FramesReplaced {
  FrameRef gap;
};

/// The streams are gone; their unacknowledged results have new frames (reported by FrameSynced
/// before).
struct Restreamed {
  std::vector<StreamId> old_streams;
};

using SpoolEvent = std::variant<FrameSynced, FramesReplaced, Restreamed>;

/// One thread: the loop's (in the simulator, the simulator's).
class FrameWriter {
 public:
  static constexpr std::size_t kMemoryMax = 16 << 20;
  static constexpr std::size_t kStreamsMax =
      128;  ///< More on disk at open: the oldest are written anew.

  struct Options {
    AgentId agent;
    std::uint64_t bytes_max = 256ULL << 20;    ///< Bound of the spool on disk.
    std::uint64_t segment_bytes = 1ULL << 20;  ///< A segment is full at this size.
    std::uint64_t retain_bytes = 16ULL << 20;  ///< Acknowledged segments kept.
    Duration frame_delay = std::chrono::milliseconds{100};
    std::function<Uuid()> make_nonce;          ///< 128 random bits per epoch.
    std::function<void(SpoolEvent)> on_event;  ///< Never called inside add, flush or open.
  };

  /// Recovers what is on disk and starts a new epoch (S4, S5). Fails only when the disk cannot be
  /// read or the epoch cannot be made durable.
  static Expected<std::unique_ptr<FrameWriter>> open(Disk& disk, Options options, Now now);

  ~FrameWriter();

  /// Every stream on disk with its synced range, older epochs first; what Hello offers.
  std::vector<StreamOffer> offers() const;

  /// Synced frames of a stream after `seq`, oldest first, at most `limit`; what the send window
  /// fetches after a Welcome.
  std::vector<FrameRef> frames_after(const StreamId& stream, std::uint64_t seq,
                                     std::size_t limit) const;

  /// The digest the frame `seq` has (or had, if a Gap keeps it); nothing if it is unknown here. seq
  /// 0 is the genesis.
  std::optional<Digest16> digest_of(const StreamId& stream, std::uint64_t seq) const;

  /// Adds to the current frame of (class, shard). `close` closes it at once (a failure, a change).
  void add(StreamClass cls, std::uint16_t shard, const CheckResult& result, bool close, Now now);

  /// Closes what is due by age and starts a sync if one is needed. Call at next_deadline().
  void pump(Now now);
  MonoTime next_deadline() const;

  /// Closes everything now; the events still come later.
  void flush(Now now);

  /// The frame's bytes as they go on the wire, CRC verified.
  Expected<Bytes> read(const FrameRef& frame);

  /// All frames of `stream` up to and with `seq` are committed by the collector (S7).
  void release(const StreamId& stream, std::uint64_t seq);

  /// S8.
  void restream(const std::vector<StreamId>& streams, Now now);

  std::uint64_t bytes() const;
  /// Results in frames (open, unsynced or on disk) that are not acknowledged; Gaps do not count.
  std::uint64_t results_held() const;
  std::uint64_t results_generated() const;
  /// Results given up in Gaps, across restarts.
  std::uint64_t results_gapped() const;
  std::uint32_t epoch() const;
  /// Why frames are only in memory; empty when all is well.
  const std::string& degraded() const;

 private:
  struct Impl;
  explicit FrameWriter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tocsin::agent
