#include "collector/core/transition.h"

#include <algorithm>

namespace tocsin::collector {

namespace {

constexpr std::size_t kTokensMax = 10'000;    // Revoked and expired ones count until they go.
constexpr std::size_t kSessionsMax = 10'000;  // The oldest end first.

const UserSpec* find_user(const Catalog& catalog, const std::string& key) {
  const auto it = catalog.users.find(key);
  return it == catalog.users.end() ? nullptr : &it->second;
}

void remove_session(Transition& t, std::map<std::string, SessionRow>::iterator it) {
  it->second.removed = true;
  t.row(it->second);
  t.s.auth.sessions.erase(it);
  ++t.s.auth_rev;
}

std::size_t close_sessions_of(Transition& t, const UserId& user, const std::string& keep = {}) {
  std::size_t closed = 0;
  for (auto it = t.s.auth.sessions.begin(); it != t.s.auth.sessions.end();) {
    const auto next = std::next(it);
    if (it->second.user == user && it->first != keep) {
      remove_session(t, it);
      ++closed;
    }
    it = next;
  }
  return closed;
}

std::string key_of_user(Transition& t, const UserId& id) {
  for (const auto& [key, user] : t.s.catalog.users) {
    if (user.id == id) return key;
  }
  return id.str();
}

}  // namespace

void on_set_password(Transition& t, const SetPassword& command) {
  const UserSpec* user = find_user(t.s.catalog, command.user);
  if (user == nullptr) {
    t.reply(Error{Errc::kNotFound, "set a password: no user '" + command.user + "'"});
    return;
  }
  CredentialRow row{user->id, command.password_hash, t.wall(), false};
  t.row(row);
  t.s.auth.credentials[user->id] = std::move(row);
  ++t.s.auth_rev;
  // Whoever knew the old one is out.
  close_sessions_of(t, user->id, command.keep);
  t.audit(command.actor, "set-password", "user", command.user);
  t.reply();
}

void on_add_token(Transition& t, const AddToken& command) {
  if (t.answered_before(command.once)) return;
  if (t.s.auth.tokens.size() >= kTokensMax) {
    t.reply(
        Error{Errc::kLimit, fmt::format("there are {} tokens already: revoke some", kTokensMax)});
    return;
  }
  TokenRow row = command.token;
  if (!row.owner.empty()) {
    const UserSpec* owner = find_user(t.s.catalog, row.owner);
    if (owner == nullptr) {
      t.reply(Error{Errc::kNotFound, "make a token: no user '" + row.owner + "'"});
      return;
    }
    if (row.role > owner->role) {
      t.reply(Error{Errc::kInvalid,
                    fmt::format("make a token: {} is a {}, a token of theirs "
                                "cannot be a {}",
                                row.owner, to_string(owner->role), to_string(row.role))});
      return;
    }
  }
  row.created = t.wall();
  row.created_by = command.actor;
  t.row(row);
  const std::string id = row.id.str();
  t.audit(command.actor, "create", "token", id,
          fmt::format("{} ({}), role {}", row.name, row.prefix, to_string(row.role)));
  t.s.auth.tokens[row.digest] = std::move(row);
  ++t.s.auth_rev;
  t.done(command.once, id);
}

void on_revoke_token(Transition& t, const RevokeToken& command) {
  for (auto& [digest, row] : t.s.auth.tokens) {
    if (row.id != command.token) continue;
    if (!row.revoked_at) {
      row.revoked_at = t.wall();
      t.row(row);
      ++t.s.auth_rev;
      t.audit(command.actor, "revoke", "token", row.id.str(), row.name);
    }
    t.reply();
    return;
  }
  t.reply(Error{Errc::kNotFound, "revoke: no token has the id " + command.token.str()});
}

void on_touch_tokens(Transition& t, const TouchTokens& command) {
  for (auto& [digest, row] : t.s.auth.tokens) {
    for (const TokenId& id : command.tokens) {
      if (row.id != id) continue;
      row.last_used = t.wall();
      t.row(row);
      ++t.s.auth_rev;
    }
  }
  t.reply();
}

void on_open_session(Transition& t, const OpenSession& command) {
  auto& sessions = t.s.auth.sessions;
  for (auto it = sessions.begin(); it != sessions.end();) {
    const auto next = std::next(it);
    if (it->second.expires <= t.wall()) remove_session(t, it);
    it = next;
  }
  if (sessions.size() >= kSessionsMax) {
    auto oldest = sessions.begin();
    for (auto it = sessions.begin(); it != sessions.end(); ++it) {
      if (it->second.created < oldest->second.created) oldest = it;
    }
    remove_session(t, oldest);
  }
  t.row(command.session);
  sessions[command.session.digest] = command.session;
  ++t.s.auth_rev;
  const std::string key = key_of_user(t, command.session.user);
  t.audit("user:" + key, "login", "user", key);
  t.reply();
}

void on_touch_session(Transition& t, const TouchSession& command) {
  t.reply();
  const auto it = t.s.auth.sessions.find(command.digest);
  if (it == t.s.auth.sessions.end() || it->second.expires <= t.wall()) return;
  const WallTime until = std::min(t.wall() + kSessionIdle, it->second.created + kSessionMax);
  if (until <= it->second.expires) return;
  it->second.expires = until;
  t.row(it->second);
  ++t.s.auth_rev;
}

void on_close_sessions(Transition& t, const CloseSessions& command) {
  if (command.digest.empty()) {
    const std::size_t closed = close_sessions_of(t, command.user);
    t.audit(command.actor, "close-sessions", "user", key_of_user(t, command.user),
            fmt::format("{} sessions", closed));
  } else if (const auto it = t.s.auth.sessions.find(command.digest);
             it != t.s.auth.sessions.end()) {
    t.audit(command.actor, "logout", "user", key_of_user(t, it->second.user));
    remove_session(t, it);
  }
  t.reply();
}

void sync_users(Transition& t, const Catalog& before) {
  for (const auto& [key, old] : before.users) {
    const UserSpec* now = find_user(t.s.catalog, key);
    if (now != nullptr && now->id == old.id && !now->disabled) {
      // A token may do no more than its owner.
      for (auto& [digest, token] : t.s.auth.tokens) {
        if (token.owner != key || token.role <= now->role) continue;
        token.role = now->role;
        t.row(token);
        ++t.s.auth_rev;
      }
      continue;
    }
    close_sessions_of(t, old.id);
    if (now != nullptr) continue;  // Disabled: comes back with its tokens.
    for (auto& [digest, token] : t.s.auth.tokens) {
      if (token.owner != key || token.revoked_at) continue;
      token.revoked_at = t.wall();
      t.row(token);
      ++t.s.auth_rev;
    }
    const auto credential = t.s.auth.credentials.find(old.id);
    if (credential == t.s.auth.credentials.end()) continue;
    credential->second.removed = true;
    t.row(credential->second);
    t.s.auth.credentials.erase(credential);
    ++t.s.auth_rev;
  }
}

}  // namespace tocsin::collector
