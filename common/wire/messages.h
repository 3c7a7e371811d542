#pragma once
// Question answered here: how do link messages become bytes and back?
//
// A ZeroMQ message on the link has two parts: a 2-byte head {kind, protocol version} and a body.
// Kind 1 is a frame (common/wire/frame.h, the body as it lies in the spool); kind 2 an
// AgentEnvelope, kind 3 a CollectorEnvelope (proto/tocsin/v1/link.proto). Decoding never trusts the
// peer.

#include "common/base/bytes.h"
#include "common/base/expected.h"
#include "common/model/link.h"

namespace tocsin::wire {

enum class PartKind : std::uint8_t { kFrame = 1, kAgent = 2, kCollector = 3 };

/// Larger messages are cut off by ZeroMQ itself (ZMQ_MAXMSGSIZE).
inline constexpr std::size_t kMessageSizeMax = 512 * 1024;

struct Head {
  PartKind kind = PartKind::kFrame;
  std::uint8_t version = 0;
};

Bytes encode_head(PartKind kind);
Expected<Head> decode_head(ByteSpan bytes);

Bytes encode(const AgentMessage& message);
Bytes encode(const CollectorMessage& message);

/// Assignments are cut at this size, so that no message comes near kMessageSizeMax.
inline constexpr std::size_t kPieceSizeMax = 256 * 1024;

/// One body, or several in order for an Assignment that would not fit a message.
std::vector<Bytes> encode_in_pieces(const CollectorMessage& message);

/// kUnsupported for a message kind this version does not know: count it and go on.
Expected<AgentMessage> decode_agent_message(ByteSpan bytes);
Expected<CollectorMessage> decode_collector_message(ByteSpan bytes);

}  // namespace tocsin::wire
