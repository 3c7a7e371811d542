#pragma once
// Question answered here: what are the bytes of a frame?
//
// Specification (docs/wire.md has a byte example). Little-endian; the bytes that are synced are the
// bytes sent and the bytes the collector journals.
//
//   offset size
//    0     4   magic "TCF1"
//    4     4   size of the whole frame in bytes, header included
//    8     4   CRC-32C of bytes 12 .. size
//   12     1   kind (FrameKind)        13  1  class (StreamClass)
//   14     2   shard                   16  4  epoch
//   20    16   agent id                36 16  nonce
//   52     8   first seq               60  8  last seq (== first for results)
//   68    16   digest of the predecessor (of `first` - 1; for seq 1: genesis, see below)
//   84     4   results (sum of weights)
//   88     -   body: protobuf ResultBatch or Gap (proto/tocsin/v1/result.proto)
//
// The digest of a results frame is digest16 of all its bytes. The digest of a gap is that of the
// last frame it replaces, so the chain goes on unchanged. genesis = digest16("tocsin-stream" |
// agent id | epoch LE | nonce | shard LE | class).

#include "common/base/bytes.h"
#include "common/base/expected.h"
#include "common/model/check_result.h"
#include "common/model/frame.h"

#include <vector>

namespace tocsin::wire {

inline constexpr std::size_t kFrameHeaderSize = 88;
/// A frame is closed before it would pass this; a single result never exceeds it (evidence is cut).
inline constexpr std::size_t kFrameSizeMax = 64 * 1024;
/// A gap of kMaxEntries fits as well.
inline constexpr std::size_t kFrameWireSizeMax = 128 * 1024;
inline constexpr std::size_t kFrameResultsMax = 256;

Digest16 genesis(const StreamId& stream);

/// What the fixed header says, without touching the body.
struct FrameHeader {
  FrameRef ref;  ///< For gaps ref.digest is filled only by decode_frame.
  Digest16 previous{};

  friend bool operator==(const FrameHeader&, const FrameHeader&) = default;
};

struct DecodedFrame {
  FrameHeader header;
  std::vector<CheckResult> results;  ///< kResults.
  Gap gap;                           ///< kGap.
  std::uint32_t unreadable =
      0;  ///< Results that were malformed and left out; counted as quarantined.
};

/// Checks magic, size, CRC, kinds and ranges; O(size) for the CRC, no allocation.
Expected<FrameHeader> read_frame_header(ByteSpan bytes);

/// Header plus body. Never trusts a peer: every enum, range, count and string length is checked.
Expected<DecodedFrame> decode_frame(ByteSpan bytes);

/// Builds one results frame; results.size() in 1..kFrameResultsMax.
Bytes encode_results_frame(const StreamId& stream, std::uint64_t seq, const Digest16& previous,
                           const std::vector<CheckResult>& results);

Bytes encode_gap_frame(const StreamId& stream, const Gap& gap, const Digest16& previous);

/// The body of a results frame as it grows: one result after the other, encoded once.
struct FrameBody {
  Bytes bytes;
  std::size_t results = 0;
  std::uint32_t weight = 0;  ///< Sum of their weights.

  void add(ByteSpan entry, std::uint32_t entry_weight);
  /// Its room stays for the next frame.
  void clear();
};

/// One result as an entry of a body. Not above kFrameSizeMax less the header (evidence is cut).
/// The view is of this thread and valid until its next call.
ByteSpan encode_entry(const CheckResult& result);

/// Builds one results frame of entries that encode_entry made, 1..kFrameResultsMax of them.
Bytes encode_results_frame(const StreamId& stream, std::uint64_t seq, const Digest16& previous,
                           const FrameBody& body);

}  // namespace tocsin::wire
