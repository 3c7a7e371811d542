#include "agent/probe/connection_store.h"

#include <algorithm>

namespace tocsin::agent {

struct ConnectionStore::Idle final : ReadyHandler {
  Idle(ConnectionStore& owner, std::string name, Kept what)
      : store(owner),
        key(std::move(name)),
        kept(std::move(what)) {}

  /// Nothing may come that nobody asked for; and when the server closes, it is of no use.
  void on_ready() override { store.drop(key); }

  ConnectionStore& store;
  std::string key;
  Kept kept;
  MonoTime since;
  io::TimerHandle timer;
};

ConnectionStore::ConnectionStore(io::EventLoop& loop)
    : loop_(loop) {}

ConnectionStore::~ConnectionStore() = default;

void ConnectionStore::drop(const std::string& key) {
  const auto at = idle_.find(key);
  if (at == idle_.end()) return;
  const std::unique_ptr<Idle> gone = std::move(at->second);
  idle_.erase(at);
}

std::optional<ConnectionStore::Kept> ConnectionStore::take(const std::string& key) {
  const auto at = idle_.find(key);
  if (at == idle_.end()) return std::nullopt;
  Kept out = std::move(at->second->kept);
  idle_.erase(at);
  return out;
}

void ConnectionStore::put(const std::string& key, Kept kept) {
  if (idle_.size() >= kConnectionsMax && idle_.find(key) == idle_.end()) {
    const auto oldest = std::min_element(
        idle_.begin(), idle_.end(),
        [](const auto& a, const auto& b) { return a.second->since < b.second->since; });
    idle_.erase(oldest);
  }
  auto idle = std::make_unique<Idle>(*this, key, std::move(kept));
  idle->since = loop_.now().mono;
  idle->timer = loop_.after(kIdleMax, [this, key] { drop(key); });
  idle->kept.connection->set_handler(*idle);
  idle->kept.connection->want(io::Interest::kRead);
  idle_[key] = std::move(idle);
}

std::optional<ConnectionStore::Session> ConnectionStore::session(const std::string& key,
                                                                 MonoTime now) const {
  const auto at = sessions_.find(key);
  if (at == sessions_.end() || now - at->second.verified > kSessionAgeMax) return std::nullopt;
  return at->second;
}

void ConnectionStore::put_session(const std::string& key, Session session) {
  if (sessions_.size() >= kSessionsMax) sessions_.clear();
  sessions_[key] = std::move(session);
}

}  // namespace tocsin::agent
