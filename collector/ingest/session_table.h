#pragma once
// Question answered here: which connection belongs to whom?
//
// One entry per ZeroMQ routing id that has said anything. The identity is that of the key
// (User-Id), fixed for the life of the entry. SessionIds are given at Hello or Enrol, count up and
// are never reused in a process. A pure value; one thread (`zmq`).

#include "collector/core/engine.h"
#include "collector/ingest/allow_list.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace tocsin::collector {

struct Connection {
  std::string routing_id;
  Principal who;
  int fd = -1;           ///< Of the TCP connection; only for shutdown(2) and disconnects.
  SessionId session{};   ///< Zero: nothing was said yet that makes a session.
  bool goodbye = false;  ///< The agent has said so; its end is no surprise.

  bool has_session() const { return session != SessionId{}; }

  friend bool operator==(const Connection&, const Connection&) = default;
};

class SessionTable {
 public:
  /// Behaviour at the bound: `open` answers nullptr and the message is refused.
  static constexpr std::size_t kMaxSessions = 4096;

  Connection* find(const std::string& routing_id);
  Connection* find(SessionId session);

  /// The connection of this routing id; new if it was unknown.
  Connection* open(const std::string& routing_id, const Principal& who, int fd);

  /// A new SessionId for the connection; the one before, if any, is over.
  SessionId begin(Connection& connection);

  /// Forgets the connection and returns what it was.
  Connection close(const std::string& routing_id);

  /// Routing ids of every connection on this descriptor, or of this identity.
  std::vector<std::string> on_descriptor(int fd) const;
  std::vector<std::string> of(const Principal& who) const;
  std::vector<std::string> all() const;

  std::size_t size() const { return by_routing_id_.size(); }

 private:
  std::map<std::string, Connection> by_routing_id_;
  std::map<SessionId, std::string> by_session_;
  std::uint64_t last_session_ = 0;
};

}  // namespace tocsin::collector
