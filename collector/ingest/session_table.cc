#include "collector/ingest/session_table.h"

#include "common/base/check.h"

#include <utility>

namespace tocsin::collector {

Connection* SessionTable::find(const std::string& routing_id) {
  const auto at = by_routing_id_.find(routing_id);
  return at == by_routing_id_.end() ? nullptr : &at->second;
}

Connection* SessionTable::find(SessionId session) {
  const auto at = by_session_.find(session);
  return at == by_session_.end() ? nullptr : find(at->second);
}

Connection* SessionTable::open(const std::string& routing_id, const Principal& who, int fd) {
  if (Connection* known = find(routing_id)) return known;
  if (by_routing_id_.size() >= kMaxSessions) return nullptr;
  return &by_routing_id_.emplace(routing_id, Connection{routing_id, who, fd, SessionId{}, false})
              .first->second;
}

SessionId SessionTable::begin(Connection& connection) {
  if (connection.has_session()) by_session_.erase(connection.session);
  connection.session = SessionId{++last_session_};
  connection.goodbye = false;
  by_session_[connection.session] = connection.routing_id;
  return connection.session;
}

Connection SessionTable::close(const std::string& routing_id) {
  const auto at = by_routing_id_.find(routing_id);
  CHECK(at != by_routing_id_.end());
  Connection gone = std::move(at->second);
  by_routing_id_.erase(at);
  if (gone.has_session()) by_session_.erase(gone.session);
  return gone;
}

std::vector<std::string> SessionTable::on_descriptor(int fd) const {
  std::vector<std::string> out;
  for (const auto& [routing_id, connection] : by_routing_id_) {
    if (connection.fd == fd) out.push_back(routing_id);
  }
  return out;
}

std::vector<std::string> SessionTable::of(const Principal& who) const {
  std::vector<std::string> out;
  for (const auto& [routing_id, connection] : by_routing_id_) {
    if (connection.who == who) out.push_back(routing_id);
  }
  return out;
}

std::vector<std::string> SessionTable::all() const {
  std::vector<std::string> out;
  for (const auto& [routing_id, connection] : by_routing_id_) out.push_back(routing_id);
  return out;
}

}  // namespace tocsin::collector
