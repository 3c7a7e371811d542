#pragma once
// Question answered here: how are the units that agents sync, send and collectors journal named?
//
// Values only; the bytes of a frame are common/wire/frame.h, its making is
// agent/spool/frame_writer.h.

#include "common/base/digest.h"
#include "common/base/id.h"

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

namespace tocsin {

enum class StreamClass : std::uint8_t {
  kAlert = 1,    ///< Failures, changes and self-faults; dropped last.
  kRoutine = 2,  ///< Everything else.
};

const char* to_string(StreamClass c);

/// (agent, epoch, nonce, shard, class). Epoch counts process starts and re-streams; the nonce is
/// 128 random bits per epoch.
struct StreamId {
  AgentId agent;
  std::uint32_t epoch = 0;
  Uuid nonce{};
  std::uint16_t shard = 0;
  StreamClass cls = StreamClass::kRoutine;

  friend auto operator<=>(const StreamId&, const StreamId&) = default;
};

/// Short and unique enough for logs: "epoch.nonce8/shard/class".
std::string to_string(const StreamId& id);

enum class FrameKind : std::uint8_t {
  kResults = 1,
  kGap = 2,  ///< Stands in place of frames first..last that had to be dropped.
};

/// What the send window, the ack and the engine know of a frame without its bytes.
struct FrameRef {
  StreamId stream;
  FrameKind kind = FrameKind::kResults;
  std::uint64_t first = 0;  ///< seq; results have first == last.
  std::uint64_t last = 0;
  Digest16 digest{};          ///< Of the frame `last`: what the next frame chains to.
  std::uint32_t size = 0;     ///< Bytes on the wire.
  std::uint32_t results = 0;  ///< Sum of CheckResult::weight().

  friend bool operator==(const FrameRef&, const FrameRef&) = default;
};

/// One replaced frame inside a Gap.
struct GapEntry {
  Digest16 digest{};
  std::uint32_t results = 0;

  friend bool operator==(const GapEntry&, const GapEntry&) = default;
};

/// Why frames were dropped.
enum class GapCause : std::uint8_t {
  kDiskFull = 1,    ///< The spool's bound was reached.
  kCorrupt = 2,     ///< The bytes on disk no longer pass their check.
  kServerLost = 3,  ///< The collector went back behind what the agent had already released.
};

const char* to_string(GapCause cause);

struct Gap {
  static constexpr std::size_t kMaxEntries = 3000;
  std::uint64_t first = 0;
  GapCause cause = GapCause::kDiskFull;
  std::vector<GapEntry> frames;  ///< frames[i] is seq first + i; 1..kMaxEntries.

  std::uint64_t last() const { return first + frames.size() - 1; }

  friend bool operator==(const Gap&, const Gap&) = default;
};

}  // namespace tocsin
