#include "collector/engine/replay.h"

#include "common/wire/frame.h"

namespace tocsin::collector {
namespace {

constexpr std::size_t kAgentIdSize = 16;

Expected<FrameArrived> decode_frame_entry(const Bytes& entry) {
  ByteReader reader(as_bytes(entry));
  FrameArrived arrived;
  arrived.agent = AgentId{reader.array<kAgentIdSize>()};
  if (!reader.ok()) return fail(Errc::kCorrupt, "shorter than an agent id");
  TRY_ASSIGN(wire::DecodedFrame frame, wire::decode_frame(reader.rest()));
  arrived.frame = frame.header.ref;
  arrived.previous = frame.header.previous;
  arrived.results = std::move(frame.results);
  arrived.gap = std::move(frame.gap);
  arrived.unreadable = frame.unreadable;
  arrived.bytes = std::make_shared<const Bytes>(as_view(reader.rest()));
  return arrived;
}

}  // namespace

Expected<std::vector<ReplayGroup>> decode_journal(const std::vector<Store::RawGroup>& groups) {
  std::vector<ReplayGroup> out;
  out.reserve(groups.size());
  for (const Store::RawGroup& raw : groups) {
    ReplayGroup& group = out.emplace_back();
    group.group = raw.group;
    for (std::size_t i = 0; i < raw.entries.size(); ++i) {
      const JournalEntry& entry = raw.entries[i];
      switch (entry.kind) {
        case JournalEntry::Kind::kAgentState:
          group.entries.emplace_back(*entry.bytes);
          break;
        case JournalEntry::Kind::kFrame: {
          auto arrived = decode_frame_entry(*entry.bytes);
          if (!arrived) {
            return fail(Errc::kCorrupt, "journal group {} entry {}: {}", raw.group.commit_seq, i,
                        arrived.error().text);
          }
          group.entries.emplace_back(*std::move(arrived));
          break;
        }
      }
    }
  }
  return out;
}

std::vector<Effect> keys_of(const Snapshot& snapshot) {
  using Use = KeyChanged::Use;
  std::vector<Effect> out;
  const auto remove = [&out](const std::string& key, const Uuid& id) {
    out.emplace_back(KeyChanged{Use::kNone, key, id, WallTime::never()});
  };
  for (const Row& row : snapshot.rows) {
    if (const auto* agent = std::get_if<AgentRow>(&row)) {
      out.emplace_back(
          KeyChanged{Use::kAgent, agent->public_key, agent->agent.bytes, WallTime::never()});
      if (agent->revoked_at) remove(agent->public_key, agent->agent.bytes);
    } else if (const auto* enrolment = std::get_if<EnrolmentRow>(&row)) {
      out.emplace_back(KeyChanged{Use::kEnrolment, enrolment->public_key, enrolment->id.bytes,
                                  enrolment->expires_at});
      if (enrolment->used_at) remove(enrolment->public_key, enrolment->id.bytes);
    }
  }
  return out;
}

}  // namespace tocsin::collector
