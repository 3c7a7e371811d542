#pragma once
// Question answered here: who asks, and may they do that?
//
// One table decides (authorize.cc): for each collection the least role that reads it and the least
// that changes it. A token may be narrowed further by scopes such as "monitors:read"; write
// includes read, "*" is every collection. Roles: a viewer reads, a responder also acts on incidents
// and writes to readers of status pages, an editor also changes what is watched and who is told, an
// admin also decides who may come in.

#include "collector/core/engine.h"
#include "common/codec/http_request.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::collector {

struct Principal {
  std::string actor;  ///< For the audit log: "user:ann", "token:ci (ann)".
  std::string user;   ///< User key; empty for a token without an owner.
  Role role = Role::kViewer;
  std::vector<std::string> scopes;  ///< Empty: everything of the role.
  std::optional<TokenId> token;
  std::string session;  ///< SessionRow::digest; empty: the request came with a token.
};

enum class Action : std::uint8_t { kRead, kWrite };

/// What is asked for: a collection of the API ("monitors"), and whose object it is when that
/// matters.
struct Resource {
  std::string_view collection;
  std::string_view owner;  ///< User key of whose it is: may do everything with it.
};

/// Nothing: allowed. Else why not, in a sentence for the caller.
std::optional<std::string> authorize(const Principal& principal, Action action,
                                     const Resource& resource);

/// "monitors:read", "*:write": a collection of the table and an action. Says what is wrong.
std::optional<std::string> check_scope(std::string_view scope);

/// The collections of the table, for tests and for messages.
std::vector<std::string_view> collections();

/// "tcs_" and 43 characters of base64url: 256 random bits.
inline constexpr std::string_view kTokenPrefix = "tcs_";

/// What is kept of a token.
std::string token_digest(std::string_view secret);

/// The principal of "Authorization: Bearer TOKEN", or else of the session in the cookie of that
/// name (session_cookie.h), or why there is none. A token wins. Whether a session may change
/// something with this request is a question of its own (cross_site).
Expected<Principal> authenticate(const codec::HttpRequest& request, const EngineView& view,
                                 WallTime now, std::string_view cookie);

}  // namespace tocsin::collector
