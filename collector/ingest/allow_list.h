#pragma once
// Question answered here: whose key is this, and may it come in?
//
// The keys of enrolled agents and of open enrolments, in memory, kept up to date by the engine's
// KeyChanged effects. It remembers why a key went away, so that a revoked agent or a replayed
// bundle is told apart from a stranger. One thread (`zmq`).

#include "collector/core/engine.h"
#include "collector/ingest/rejection.h"
#include "common/base/id.h"
#include "common/base/time.h"

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace tocsin::collector {

/// Who is at the other end, by its key. In ZeroMQ's User-Id: the agent's UUID, or "enrol:UUID".
using Principal = std::variant<AgentId, EnrolmentId>;

std::string user_id_of(const Principal& principal);
Expected<Principal> parse_user_id(std::string_view user_id);
/// With the key that was let in behind it: an agent has another one after a renewal, and what its
/// old one still has under way must be told apart.
std::string with_key(std::string user_id, std::string_view key_z85);
/// Empty when there is none.
std::string_view key_of_user_id(std::string_view user_id);

class AllowList {
 public:
  /// Removed keys that are remembered; the oldest is forgotten first and then counts as unknown.
  static constexpr std::size_t kRemovedMax = 10'000;

  /// The agent whose key was taken away, if this change did that: its connections must go.
  std::optional<AgentId> apply(const KeyChanged& change);

  /// The principal, or why not. An expired enrolment is refused without being forgotten.
  std::variant<Principal, Rejection> find(std::string_view key_z85, WallTime now) const;

  std::size_t size() const { return keys_.size(); }

 private:
  struct Entry {
    Principal principal;
    WallTime expires = WallTime::never();
  };

  std::map<std::string, Entry, std::less<>> keys_;
  std::map<std::string, Rejection, std::less<>> removed_;
  std::deque<std::string> removed_order_;
};

}  // namespace tocsin::collector
