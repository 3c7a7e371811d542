#pragma once
// Question answered here: what may this message do?
//
// Between the socket and the engine: knows connections and sessions, reads messages and frames, and
// turns each into an event for the engine, an answer, or a rejection. Pure over its own table; the
// socket, the threads and the log are in ingest.cc. One thread (`zmq`).
//
// Specification
//  GA1 Who speaks is told by the CURVE key (User-Id) alone. A frame that names another agent is
//      rejected.
//  GA2 A one-time key may say Enrol and nothing else; an agent's key may say everything else.
//  GA3 Before Hello nothing is taken: the answer is Refused{kNoSession}.
//  GA4 A message that cannot be read never reaches the engine. A frame is answered with
//      Nack{kMalformed} that claims nothing as committed (high_water 0), so the agent sends again
//      and at the third time writes a new stream; if not even its stream can be told, the frame is
//      only counted.
//  GA5 A heartbeat is answered here and now, so that the clock offset measures the network and not
//      the engine's queue.
//  GA6 Every Hello begins a session; the one before on the same connection ends with AgentLeft.

#include "collector/core/engine.h"
#include "collector/ingest/allow_list.h"
#include "collector/ingest/rejection.h"
#include "collector/ingest/session_table.h"
#include "common/base/bytes.h"
#include "common/base/time.h"

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace tocsin::collector {

/// One message as the ROUTER socket gave it.
struct LinkMessage {
  std::string routing_id;
  std::string user_id;  ///< As our ZAP handler set it.
  std::string address;  ///< Of the peer, for logs.
  int fd = -1;
  std::vector<Bytes> parts;  ///< Without the routing id: head and body.
};

struct Rejected {
  Rejection why = Rejection::kMalformed;
  std::string who;     ///< User-Id or key.
  std::string detail;  ///< What was wrong; printable, bounded.
};

struct GateOutput {
  std::vector<Event> events;                                      ///< In order.
  std::vector<std::pair<std::string, CollectorMessage>> replies;  ///< Routing id, message.
  std::vector<Rejected> rejected;
};

class Gate {
 public:
  /// `mint_agent` gives a fresh AgentId for an Enrol.
  explicit Gate(std::function<AgentId()> mint_agent);

  GateOutput receive(LinkMessage message, Now now);

  /// The TCP connection on this descriptor has ended.
  GateOutput disconnected(int fd, const std::string& why);

  /// The engine has lost its memory of every session: each must say Hello again.
  GateOutput forget_sessions();

  /// Where to send; nothing when the session is over.
  std::optional<std::string> route(SessionId session);

  /// Descriptors to shut down for good, with their connections forgotten: nothing that still
  /// arrives on them is taken. The engine is not told (it asked for this).
  std::vector<int> cut(SessionId session);

  /// The same for every connection of an agent whose key went away: nothing that comes with this
  /// key is taken or answered from now on, also what is in ZeroMQ's queue already.
  std::vector<int> bar(const AgentId& agent, const std::string& key_z85);

  /// The peer does not read: its connection is given up, and the engine is told.
  std::pair<int, GateOutput> give_up(const std::string& routing_id);

  /// Whether this connection has spoken before.
  bool knows(const std::string& routing_id, int fd);

  std::size_t connections() const { return sessions_.size(); }

 private:
  void frame(const Connection& from, Bytes body, GateOutput& out);
  void message(Connection& from, const Bytes& body, const std::string& address, Now now,
               GateOutput& out);
  void end(const std::string& routing_id, const std::string& why, GateOutput& out);

  std::function<AgentId()> mint_agent_;
  SessionTable sessions_;
  std::set<std::string> barred_;  ///< Keys; gone in this process, ZAP keeps them out from then on.
};

}  // namespace tocsin::collector
