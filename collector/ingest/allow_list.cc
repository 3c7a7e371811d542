#include "collector/ingest/allow_list.h"

namespace tocsin::collector {
namespace {

constexpr std::string_view kEnrolPrefix = "enrol:";

}  // namespace

std::string user_id_of(const Principal& principal) {
  if (const auto* agent = std::get_if<AgentId>(&principal)) return agent->str();
  return std::string(kEnrolPrefix) + std::get<EnrolmentId>(principal).str();
}

Expected<Principal> parse_user_id(std::string_view user_id) {
  if (user_id.substr(0, kEnrolPrefix.size()) == kEnrolPrefix) {
    TRY_ASSIGN(const EnrolmentId id, EnrolmentId::parse(user_id.substr(kEnrolPrefix.size())));
    return Principal{id};
  }
  TRY_ASSIGN(const AgentId id, AgentId::parse(user_id.substr(0, user_id.find('/'))));
  return Principal{id};
}

std::string with_key(std::string user_id, std::string_view key_z85) {
  return user_id.append("/").append(key_z85);
}

std::string_view key_of_user_id(std::string_view user_id) {
  const std::size_t at = user_id.find('/');
  return at == std::string_view::npos ? std::string_view{} : user_id.substr(at + 1);
}

std::optional<AgentId> AllowList::apply(const KeyChanged& change) {
  switch (change.use) {
    case KeyChanged::Use::kAgent:
      removed_.erase(change.public_key);
      keys_[change.public_key] = Entry{AgentId{change.id}, WallTime::never()};
      return std::nullopt;
    case KeyChanged::Use::kEnrolment:
      removed_.erase(change.public_key);
      keys_[change.public_key] = Entry{EnrolmentId{change.id}, change.expires};
      return std::nullopt;
    case KeyChanged::Use::kNone:
      break;
  }
  const auto at = keys_.find(change.public_key);
  if (at == keys_.end()) return std::nullopt;
  std::optional<AgentId> revoked;
  if (const auto* agent = std::get_if<AgentId>(&at->second.principal)) revoked = *agent;
  keys_.erase(at);
  removed_[change.public_key] = revoked ? Rejection::kRevoked : Rejection::kEnrolmentUsed;
  removed_order_.push_back(change.public_key);
  if (removed_order_.size() > kRemovedMax) {
    removed_.erase(removed_order_.front());
    removed_order_.pop_front();
  }
  return revoked;
}

std::variant<Principal, Rejection> AllowList::find(std::string_view key_z85, WallTime now) const {
  if (const auto at = keys_.find(key_z85); at != keys_.end()) {
    if (at->second.expires <= now) return Rejection::kEnrolmentExpired;
    return at->second.principal;
  }
  if (const auto at = removed_.find(key_z85); at != removed_.end()) return at->second;
  return Rejection::kUnknownKey;
}

}  // namespace tocsin::collector
