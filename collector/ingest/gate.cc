#include "collector/ingest/gate.h"

#include "common/base/strings.h"
#include "common/io/build_info.h"
#include "common/io/zmq_socket.h"
#include "common/wire/frame.h"
#include "common/wire/messages.h"

#include <fmt/format.h>

namespace tocsin::collector {
namespace {

void refuse(const std::string& routing_id, RefusalCode code, std::string text, GateOutput& out) {
  out.replies.emplace_back(routing_id, Refused{code, std::move(text)});
}

std::string version_advice(std::uint32_t theirs) {
  return fmt::format("this collector ({}) speaks protocol {} to {}, the agent speaks {}: update {}",
                     io::version(), kProtocolVersionMin, kProtocolVersion, theirs,
                     theirs > kProtocolVersion ? "the collector" : "the agent");
}

bool speaks(std::uint32_t version) {
  return version >= kProtocolVersionMin && version <= kProtocolVersion;
}

/// Which stream a frame that fails its check says it belongs to, to name it in a Nack. Nothing else
/// in it is trusted, and what is committed of that stream only the engine knows.
std::optional<StreamAck> claimed_stream(const AgentId& agent, ByteSpan bytes) {
  if (bytes.size() < wire::kFrameHeaderSize) return std::nullopt;
  ByteReader reader(bytes.subspan(13));
  StreamAck ack;
  const std::uint8_t cls = reader.u8();
  ack.stream.shard = reader.u16();
  ack.stream.epoch = reader.u32();
  ack.stream.agent = AgentId{reader.array<16>()};
  ack.stream.nonce = reader.array<16>();
  if (ack.stream.agent != agent || (cls != 1 && cls != 2)) return std::nullopt;
  ack.stream.cls = static_cast<StreamClass>(cls);
  return ack;
}

}  // namespace

Gate::Gate(std::function<AgentId()> mint_agent)
    : mint_agent_(std::move(mint_agent)) {}

GateOutput Gate::receive(LinkMessage message_in, Now now) {
  GateOutput out;
  const auto who = parse_user_id(message_in.user_id);
  if (!who) {
    out.rejected.push_back({Rejection::kNotAuthorised, printable(message_in.user_id),
                            "a message without an identity: " + who.error().text});
    return out;
  }
  if (barred_.contains(std::string{key_of_user_id(message_in.user_id)})) {
    out.rejected.push_back({Rejection::kRevoked, user_id_of(*who),
                            "a message that was under way when it was revoked"});
    return out;
  }
  Connection* known = sessions_.find(message_in.routing_id);
  if (known != nullptr && (known->who != *who || known->fd != message_in.fd)) {
    // Routing ids are unique among live connections, so the older one is gone and its end has not
    // been told yet.
    end(message_in.routing_id, "the connection was replaced", out);
    known = nullptr;
  }
  Connection* from =
      known != nullptr ? known : sessions_.open(message_in.routing_id, *who, message_in.fd);
  if (from == nullptr) {
    out.rejected.push_back(
        {Rejection::kSessionsFull, user_id_of(*who),
         fmt::format("{} connections, at most {}", sessions_.size(), SessionTable::kMaxSessions)});
    return out;
  }

  if (message_in.parts.size() != 2) {
    out.rejected.push_back(
        {Rejection::kMalformed, user_id_of(*who),
         fmt::format("a message of {} parts instead of 2", message_in.parts.size())});
    return out;
  }
  const auto head = wire::decode_head(as_bytes(message_in.parts[0]));
  if (!head) {
    out.rejected.push_back({Rejection::kMalformed, user_id_of(*who), head.error().text});
    return out;
  }
  if (!speaks(head->version)) {
    out.rejected.push_back({Rejection::kVersion, user_id_of(*who), version_advice(head->version)});
    refuse(from->routing_id, RefusalCode::kVersion, version_advice(head->version), out);
    return out;
  }
  switch (head->kind) {
    case wire::PartKind::kFrame:
      frame(*from, std::move(message_in.parts[1]), out);
      break;
    case wire::PartKind::kAgent:
      message(*from, message_in.parts[1], message_in.address, now, out);
      break;
    case wire::PartKind::kCollector:
      out.rejected.push_back({Rejection::kNotAuthorised, user_id_of(*who),
                              "an agent sent what only a collector says"});
      break;
  }
  return out;
}

void Gate::frame(const Connection& from, Bytes body, GateOutput& out) {
  const std::string who = user_id_of(from.who);
  const auto* agent = std::get_if<AgentId>(&from.who);
  if (agent == nullptr) {
    out.rejected.push_back(
        {Rejection::kNotAuthorised, who, "a frame under the one-time key of an enrolment"});
    return;
  }
  if (!from.has_session()) {
    out.rejected.push_back({Rejection::kNoSession, who, "a frame before hello"});
    refuse(from.routing_id, RefusalCode::kNoSession, "say hello first", out);
    return;
  }
  const auto nack = [&](Rejection why, std::string detail) {
    if (auto stream = claimed_stream(*agent, as_bytes(body))) {
      out.replies.emplace_back(from.routing_id, Nack{*stream, NackCode::kMalformed, Duration{0}});
    }
    out.rejected.push_back({why, who, std::move(detail)});
  };
  if (body.size() > wire::kFrameWireSizeMax) {
    nack(Rejection::kOversized, fmt::format("a frame of {} bytes, at most {} are allowed",
                                            body.size(), wire::kFrameWireSizeMax));
    return;
  }
  auto decoded = wire::decode_frame(as_bytes(body));
  if (!decoded) {
    nack(Rejection::kMalformed, decoded.error().text);
    return;
  }
  if (decoded->header.ref.stream.agent != *agent) {
    out.rejected.push_back(
        {Rejection::kNotAuthorised, who,
         fmt::format("a frame of agent {}", decoded->header.ref.stream.agent.str())});
    refuse(from.routing_id, RefusalCode::kRevoked,
           "this frame belongs to another agent: the state directory is not this key's", out);
    return;
  }
  FrameArrived arrived;
  arrived.agent = *agent;
  arrived.session = from.session;
  arrived.frame = decoded->header.ref;
  arrived.previous = decoded->header.previous;
  arrived.results = std::move(decoded->results);
  arrived.gap = std::move(decoded->gap);
  arrived.unreadable = decoded->unreadable;
  // Shared by the engine's decision and the store's journal row, on two threads, read-only: neither
  // outlives the other for certain.
  arrived.bytes = std::make_shared<const Bytes>(std::move(body));
  if (arrived.unreadable > 0) {
    out.rejected.push_back(
        {Rejection::kMalformed, who,
         fmt::format("{} results of a frame cannot be read", arrived.unreadable)});
  }
  out.events.emplace_back(std::move(arrived));
}

void Gate::message(Connection& from, const Bytes& body, const std::string& address, Now now,
                   GateOutput& out) {
  const std::string who = user_id_of(from.who);
  auto decoded = wire::decode_agent_message(as_bytes(body));
  if (!decoded) {
    const bool unknown = decoded.error().code == Errc::kUnsupported;
    out.rejected.push_back(
        {unknown ? Rejection::kUnknownMessage : Rejection::kMalformed, who, decoded.error().text});
    return;
  }

  const auto* agent = std::get_if<AgentId>(&from.who);
  if (auto* enrol = std::get_if<Enrol>(&*decoded)) {
    if (agent != nullptr) {
      out.rejected.push_back({Rejection::kNotAuthorised, who, "enrol under an agent's key"});
      return;
    }
    if (!io::is_curve_key(enrol->public_key)) {
      out.rejected.push_back(
          {Rejection::kMalformed, who, "enrol with a public key that is not 40 characters of Z85"});
      refuse(from.routing_id, RefusalCode::kEnrolment, "the public key is not a CURVE key in Z85",
             out);
      return;
    }
    const SessionId session = from.has_session() ? from.session : sessions_.begin(from);
    out.events.emplace_back(
        EnrolAgent{std::get<EnrolmentId>(from.who), session, mint_agent_(), std::move(*enrol)});
    return;
  }
  if (agent == nullptr) {
    out.rejected.push_back({Rejection::kNotAuthorised, who,
                            "another message than enrol under the one-time key of an enrolment"});
    return;
  }

  if (auto* hello = std::get_if<Hello>(&*decoded)) {
    if (!speaks(hello->protocol)) {
      out.rejected.push_back({Rejection::kVersion, who, version_advice(hello->protocol)});
      refuse(from.routing_id, RefusalCode::kVersion, version_advice(hello->protocol), out);
      return;
    }
    // A second Hello on the same connection takes the place of the first without an AgentLeft: when
    // two processes share one key and take the session from each other, neither has left (clones).
    const SessionId session = sessions_.begin(from);
    out.events.emplace_back(AgentHello{*agent, session, std::move(*hello)});
    return;
  }
  if (!from.has_session()) {
    out.rejected.push_back(
        {Rejection::kNoSession, who, fmt::format("a message before hello from {}", address)});
    refuse(from.routing_id, RefusalCode::kNoSession, "say hello first", out);
    return;
  }

  if (auto* heartbeat = std::get_if<Heartbeat>(&*decoded)) {
    out.replies.emplace_back(
        from.routing_id, HeartbeatReply{heartbeat->number, heartbeat->wall, now.wall, now.wall});
    out.events.emplace_back(AgentHeartbeat{*agent, from.session, *heartbeat});
  } else if (auto* applied = std::get_if<ConfigApplied>(&*decoded)) {
    out.events.emplace_back(AgentConfigApplied{*agent, from.session, applied->epoch});
  } else if (auto* suspicion = std::get_if<Suspicion>(&*decoded)) {
    out.events.emplace_back(AgentSuspicion{*agent, from.session, *suspicion});
  } else if (std::holds_alternative<AssignmentWanted>(*decoded)) {
    out.events.emplace_back(AgentWantsAssignment{*agent, from.session});
  } else if (auto* goodbye = std::get_if<Goodbye>(&*decoded)) {
    out.events.emplace_back(AgentLeft{*agent, from.session, true, printable(goodbye->why)});
    from.goodbye = true;
  }
}

void Gate::end(const std::string& routing_id, const std::string& why, GateOutput& out) {
  const Connection gone = sessions_.close(routing_id);
  const auto* agent = std::get_if<AgentId>(&gone.who);
  // After a goodbye the engine knows already.
  if (agent != nullptr && gone.has_session() && !gone.goodbye) {
    out.events.emplace_back(AgentLeft{*agent, gone.session, false, why});
  }
}

GateOutput Gate::disconnected(int fd, const std::string& why) {
  GateOutput out;
  for (const std::string& routing_id : sessions_.on_descriptor(fd)) end(routing_id, why, out);
  return out;
}

GateOutput Gate::forget_sessions() {
  GateOutput out;
  for (const std::string& routing_id : sessions_.all()) {
    const Connection gone = sessions_.close(routing_id);
    if (!gone.has_session()) continue;
    if (std::holds_alternative<AgentId>(gone.who)) {
      refuse(routing_id, RefusalCode::kNoSession,
             "the collector went back to what it has stored: say hello again", out);
    } else {
      refuse(routing_id, RefusalCode::kEnrolment,
             "the collector could not store the enrolment: try again", out);
    }
  }
  return out;
}

bool Gate::knows(const std::string& routing_id, int fd) {
  const Connection* connection = sessions_.find(routing_id);
  return connection != nullptr && connection->fd == fd;
}

std::optional<std::string> Gate::route(SessionId session) {
  const Connection* connection = sessions_.find(session);
  if (connection == nullptr) return std::nullopt;
  return connection->routing_id;
}

std::vector<int> Gate::cut(SessionId session) {
  const Connection* connection = sessions_.find(session);
  if (connection == nullptr) return {};
  return {sessions_.close(connection->routing_id).fd};
}

std::vector<int> Gate::bar(const AgentId& agent, const std::string& key_z85) {
  barred_.insert(key_z85);
  std::vector<int> out;
  for (const std::string& routing_id : sessions_.of(Principal{agent})) {
    out.push_back(sessions_.close(routing_id).fd);
  }
  return out;
}

std::pair<int, GateOutput> Gate::give_up(const std::string& routing_id) {
  GateOutput out;
  Connection* connection = sessions_.find(routing_id);
  if (connection == nullptr) return {-1, std::move(out)};
  const int fd = connection->fd;
  end(routing_id, "it does not take what we send", out);
  return {fd, std::move(out)};
}

}  // namespace tocsin::collector
