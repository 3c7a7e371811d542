#include "collector/api/authorize.h"

#include "common/base/bytes.h"
#include "common/base/digest.h"
#include "common/base/strings.h"
#include "common/codec/cookies.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace tocsin::collector {

namespace {

struct Rule {
  std::string_view collection;
  Role read;
  Role write;
};

constexpr std::array kRules = {
    Rule{"monitors", Role::kViewer, Role::kEditor},
    Rule{"regions", Role::kViewer, Role::kEditor},
    Rule{"services", Role::kViewer, Role::kEditor},
    Rule{"escalation-policies", Role::kViewer, Role::kEditor},
    Rule{"channels", Role::kViewer, Role::kEditor},
    Rule{"status-pages", Role::kViewer, Role::kEditor},
    Rule{"reports", Role::kViewer, Role::kResponder},
    Rule{"incidents", Role::kViewer, Role::kResponder},
    Rule{"deliveries", Role::kViewer, Role::kAdmin},
    Rule{"events", Role::kViewer, Role::kAdmin},
    Rule{"agents", Role::kViewer, Role::kAdmin},
    Rule{"enrolments", Role::kAdmin, Role::kAdmin},
    Rule{"users", Role::kEditor, Role::kAdmin},
    Rule{"session", Role::kViewer, Role::kViewer},
    Rule{"contact-methods", Role::kEditor, Role::kAdmin},
    Rule{"notification-rules", Role::kEditor, Role::kAdmin},
    Rule{"tokens", Role::kAdmin, Role::kAdmin},
    Rule{"secrets", Role::kEditor, Role::kEditor},
    Rule{"audit", Role::kAdmin, Role::kAdmin},
};

const Rule* find_rule(std::string_view collection) {
  const auto it = std::find_if(kRules.begin(), kRules.end(),
                               [&](const Rule& rule) { return rule.collection == collection; });
  return it == kRules.end() ? nullptr : &*it;
}

bool scope_covers(std::string_view scope, Action action, std::string_view collection) {
  const std::size_t colon = scope.find(':');
  const std::string_view what = scope.substr(0, colon);
  const std::string_view how = colon == std::string_view::npos ? "" : scope.substr(colon + 1);
  if (what != "*" && what != collection) return false;
  return how == "write" || (how == "read" && action == Action::kRead);
}

}  // namespace

std::optional<std::string> authorize(const Principal& principal, Action action,
                                     const Resource& resource) {
  const Rule* rule = find_rule(resource.collection);
  const char* verb = action == Action::kRead ? "read" : "change";
  if (rule == nullptr) return fmt::format("nobody may {} {}", verb, resource.collection);
  const Role needed = action == Action::kRead ? rule->read : rule->write;
  const bool own = !resource.owner.empty() && resource.owner == principal.user;
  if (principal.role < needed && !own) {
    return fmt::format("the role {} may not {} {}: {} is needed", to_string(principal.role), verb,
                       resource.collection, to_string(needed));
  }
  const bool covered =
      principal.scopes.empty() ||
      std::any_of(principal.scopes.begin(), principal.scopes.end(), [&](const std::string& scope) {
        return scope_covers(scope, action, resource.collection);
      });
  if (!covered) {
    return fmt::format("this token's scopes do not let it {} {}", verb, resource.collection);
  }
  return std::nullopt;
}

std::optional<std::string> check_scope(std::string_view scope) {
  const std::size_t colon = scope.find(':');
  const std::string_view what = scope.substr(0, colon);
  const std::string_view how = colon == std::string_view::npos ? "" : scope.substr(colon + 1);
  if ((what == "*" || find_rule(what) != nullptr) && (how == "read" || how == "write")) {
    return std::nullopt;
  }
  const std::string_view near = did_you_mean(what, collections());
  return fmt::format(
      "expected COLLECTION:read or COLLECTION:write, not '{}'{}", printable(scope, 80),
      near.empty() || near == what ? std::string{} : fmt::format("; did you mean '{}'?", near));
}

std::vector<std::string_view> collections() {
  std::vector<std::string_view> out;
  for (const Rule& rule : kRules) out.push_back(rule.collection);
  return out;
}

std::string token_digest(std::string_view secret) { return to_hex(sha256(as_bytes(secret))); }

namespace {

/// Of the cookie; nothing when there is none.
std::optional<Expected<Principal>> session_of(const codec::HttpRequest& request,
                                              const EngineView& view, WallTime now,
                                              std::string_view cookie) {
  const auto header = request.header("cookie");
  if (!header) return std::nullopt;
  const auto secret = codec::find_cookie(*header, cookie);
  if (!secret) return std::nullopt;
  const auto it = view.auth->sessions.find(token_digest(*secret));
  if (it == view.auth->sessions.end() || it->second.expires <= now) {
    return fail(Errc::kDenied, "this session has ended: log in again");
  }
  for (const auto& [key, user] : view.catalog->users) {
    if (user.id != it->second.user) continue;
    if (user.disabled) break;
    Principal out;
    out.actor = "user:" + key;
    out.user = key;
    out.role = user.role;
    out.session = it->first;
    return out;
  }
  return fail(Errc::kDenied, "this session's user is disabled or gone");
}

}  // namespace

Expected<Principal> authenticate(const codec::HttpRequest& request, const EngineView& view,
                                 WallTime now, std::string_view cookie) {
  constexpr std::string_view kBearer = "bearer ";
  const auto header = request.header("authorization");
  if (!header) {
    if (auto session = session_of(request, view, now, cookie)) return *std::move(session);
    return fail(Errc::kDenied, "expected a header Authorization: Bearer TOKEN, or a session");
  }
  if (header->size() <= kBearer.size() || to_lower(header->substr(0, kBearer.size())) != kBearer) {
    return fail(Errc::kDenied, "expected Authorization: Bearer TOKEN, not another scheme");
  }
  const std::string_view secret = trim(header->substr(kBearer.size()));
  // Looked up by digest: how long it takes tells nothing about the secret.
  const auto it = view.auth->tokens.find(token_digest(secret));
  if (it == view.auth->tokens.end()) return fail(Errc::kDenied, "this token is not known");
  const TokenRow& token = it->second;
  if (token.revoked_at) {
    return fail(Errc::kDenied, "token {} was revoked at {}", token.prefix,
                format_rfc3339(*token.revoked_at));
  }
  if (token.expires <= now) {
    return fail(Errc::kDenied, "token {} expired at {}", token.prefix,
                format_rfc3339(token.expires));
  }
  Principal out;
  out.role = token.role;
  out.scopes = token.scopes;
  out.token = token.id;
  out.actor = "token:" + token.name;
  if (!token.owner.empty()) {
    const auto user = view.catalog->users.find(token.owner);
    if (user == view.catalog->users.end() || user->second.disabled) {
      return fail(Errc::kDenied, "token {}: its owner {} is disabled", token.prefix, token.owner);
    }
    out.user = token.owner;
    out.role = std::min(out.role, user->second.role);
    out.actor = "user:" + token.owner;
  }
  return out;
}

}  // namespace tocsin::collector
