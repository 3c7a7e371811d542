// Question answered here: how do people log in, and how is a password set?

#include "collector/api/answers.h"
#include "collector/api/api.h"
#include "collector/api/session_cookie.h"
#include "collector/core/password_policy.h"
#include "common/base/strings.h"
#include "common/io/log.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace tocsin::collector {

using codec::HttpMethod;
using codec::MapReader;
using codec::Node;
using io::HttpResponse;

namespace {

constexpr std::size_t kLoginNameMax = 254;
/// What is hashed at most, whatever was sent.
constexpr std::size_t kPasswordBytesMax = kPasswordCharsMax * 4;
constexpr std::size_t kClientMax = 120;

/// By key or by the address of the account; null when there is none, or two of that address.
const UserSpec* find_login(const Catalog& catalog, std::string_view name) {
  const auto by_key = catalog.users.find(to_lower(name));
  if (by_key != catalog.users.end()) return &by_key->second;
  const UserSpec* found = nullptr;
  if (name.find('@') == std::string_view::npos) return nullptr;
  for (const auto& [key, user] : catalog.users) {
    if (!iequals(user.email, name)) continue;
    if (found != nullptr) return nullptr;
    found = &user;
  }
  return found;
}

HttpResponse field_errors(const std::vector<FieldError>& errors) {
  return problem(422, fmt::format("{}: {}", errors[0].path, errors[0].text), errors);
}

HttpResponse locked(Duration wait) {
  const std::int64_t seconds = RateLimiter::Verdict{false, wait}.retry_after_seconds();
  HttpResponse response =
      problem(429, "too many failed logins of this account or from this address");
  response.headers.push_back({"Retry-After", fmt::format("{}", seconds)});
  return response;
}

HttpResponse busy() { return problem(503, "too many passwords are being checked: try again"); }

Node session_node(const Principal& principal, const EngineView& view) {
  Node session;
  const auto it = view.auth->sessions.find(principal.session);
  if (it != view.auth->sessions.end()) {
    session = Node::map({{"created_at", time_node(it->second.created)},
                         {"expires_at", time_node(it->second.expires)},
                         {"ends_at", time_node(it->second.created + kSessionMax)}});
  }
  Node scopes = Node::list();
  for (const std::string& scope : principal.scopes) scopes.items.push_back(Node::string(scope));
  std::string name;
  if (const auto user = view.catalog->users.find(principal.user);
      user != view.catalog->users.end()) {
    name = user->second.name;
  }
  return Node::map({{"user", principal.user.empty() ? Node{} : Node::string(principal.user)},
                    {"name", name.empty() ? Node{} : Node::string(name)},
                    {"role", Node::string(to_string(principal.role))},
                    {"scopes", std::move(scopes)},
                    {"session", std::move(session)}});
}

}  // namespace

void Api::log_in(const codec::HttpRequest& request, io::HttpResponder responder) {
  const Now now = ports_.loop.now();
  const auto view = ports_.views.view();
  const auto answer = [&](HttpResponse response) {
    std::move(responder).send(std::move(response));
  };
  if (view == nullptr) return answer(problem(503, "the collector is starting"));
  if (const auto why = cross_site(request, ports_.public_url, false)) {
    return answer(problem(403, *why));
  }
  const std::string address = client_key(request);
  std::string name;
  std::string password;
  std::vector<FieldError> errors;
  const auto body = read_body(request);
  if (body) {
    MapReader reader{*body, "", errors};
    reader.text("user", name);
    reader.text("password", password);
    if (name.empty() || name.size() > kLoginNameMax) {
      reader.error("user", "expected a user's key or e-mail address");
    }
    if (password.empty() || password.size() > kPasswordBytesMax) {
      reader.error("password", fmt::format("expected 1 to {} bytes", kPasswordBytesMax));
    }
    reader.finish();
  }
  if (!body || !errors.empty()) {
    const auto verdict = strangers_.take(address, now.mono);
    if (!verdict.allowed) return answer(locked(verdict.retry_after));
    if (!body)
      return answer(problem(status_of(body.error().code) == 415 ? 415 : 400, body.error().text));
    return answer(field_errors(errors));
  }

  const UserSpec* user = find_login(*view->catalog, name);
  const std::string account = user == nullptr ? to_lower(name) : user->key;
  const Duration wait =
      std::max(accounts_.locked_for(account, now.mono), addresses_.locked_for(address, now.mono));
  if (wait > Duration{0}) return answer(locked(wait));
  // Somebody without a password is nobody, and costs the same.
  std::string hash = io::kDecoyHash;
  std::string key;
  if (user != nullptr && !user->disabled) {
    const auto credential = view->auth->credentials.find(user->id);
    if (credential != view->auth->credentials.end() && !credential->second.password_hash.empty()) {
      hash = credential->second.password_hash;
      key = user->key;
    }
  }
  const bool account_locked = accounts_.on_try(account, now.mono);
  const bool address_locked = addresses_.on_try(address, now.mono);
  if (account_locked || address_locked) {
    log::warning(
        "logins are locked for a while, unless this one passes",
        {{"of", account_locked ? printable(account, 80) : address}, {"address", request.peer}});
  }
  auto shared = std::make_shared<io::HttpResponder>(std::move(responder));
  const std::string client = printable(request.header("user-agent").value_or(""), kClientMax);
  const bool taken = ports_.passwords.try_verify(
      io::Secret{std::move(password)}, hash,
      [this, shared, account, address, key, hash, client, peer = request.peer](bool good) {
        if (!good || key.empty()) {
          log::warning("a login failed", {{"user", printable(account, 80)}, {"address", peer}});
          return std::move(*shared).send(problem(401, "the user or the password is wrong"));
        }
        accounts_.on_success(account);
        addresses_.on_refund(address);
        open_session(key, hash, client, shared);
      });
  if (taken) return;
  accounts_.on_refund(account);
  addresses_.on_refund(address);
  std::move(*shared).send(busy());
}

void Api::open_session(const std::string& user, const std::string& hash, const std::string& client,
                       const std::shared_ptr<io::HttpResponder>& responder) {
  const auto view = ports_.views.view();
  const auto it = view->catalog->users.find(user);
  const auto credential = it == view->catalog->users.end()
                              ? view->auth->credentials.end()
                              : view->auth->credentials.find(it->second.id);
  if (credential == view->auth->credentials.end() || it->second.disabled ||
      credential->second.password_hash != hash) {
    // It was changed while we looked.
    return std::move(*responder).send(problem(401, "the user or the password is wrong"));
  }
  const WallTime now = ports_.loop.now().wall;
  const std::string secret = ports_.new_secret();
  SessionRow row;
  row.digest = token_digest(secret);
  row.user = it->second.id;
  row.created = now;
  row.expires = now + kSessionIdle;
  row.client = client;
  Principal principal;
  principal.user = user;
  principal.actor = "user:" + user;
  principal.role = it->second.role;
  principal.session = row.digest;
  EngineInput input{
      OpenSession{std::move(row)}, [this, responder, secret, principal](Reply reply) {
        ports_.loop.post([this, responder, secret, principal, reply = std::move(reply)] {
          if (auto refused = refusal(reply, false)) {
            return std::move(*responder).send(*std::move(refused));
          }
          HttpResponse response = json_answer(200, session_node(principal, *ports_.views.view()));
          response.headers.push_back(
              set_session_cookie(ports_.secure_cookies, secret, kSessionMax));
          std::move(*responder).send(std::move(response));
        });
      }};
  if (ports_.engine.push(std::move(input))) return;
  std::move(*responder).send(problem(503, "the collector is too busy or stopping"));
}

void Api::set_password(const Call& call) {
  const std::string& key = call.value("key");
  const auto it = call.view->catalog->users.find(key);
  if (it == call.view->catalog->users.end()) {
    return call.answer(problem(404, fmt::format("there is no user '{}'", printable(key, 63))));
  }
  const auto body = read_body(call.request);
  if (!body)
    return call.answer(problem(status_of(body.error().code) == 415 ? 415 : 400, body.error().text));
  std::vector<FieldError> errors;
  MapReader reader{*body, "", errors};
  std::string password;
  std::string old;
  reader.text("password", password);
  reader.text("old_password", old);
  if (const auto why = check_password(password, it->second)) reader.error("password", *why);
  if (old.size() > kPasswordBytesMax) reader.error("old_password", "is too long");
  reader.finish();
  if (!errors.empty()) return call.answer(field_errors(errors));

  const bool own = call.principal.user == key;
  const auto credential = call.view->auth->credentials.find(it->second.id);
  const bool has_one =
      credential != call.view->auth->credentials.end() && !credential->second.password_hash.empty();
  if (!own || !has_one) {
    // Of others, and the first one: that is for admins.
    if (const auto why = authorize(call.principal, Action::kWrite, {"users", {}})) {
      return call.answer(problem(403, *why));
    }
    return store_password(call, std::move(password));
  }
  const MonoTime now = ports_.loop.now().mono;
  const Duration wait = accounts_.locked_for(key, now);
  if (wait > Duration{0}) return call.answer(locked(wait));
  if (old.empty()) {
    return call.answer(field_errors(
        {{"old_password", "expected the present password: only then is it really you"}}));
  }
  accounts_.on_try(key, now);
  const bool taken =
      ports_.passwords.try_verify(io::Secret{std::move(old)}, credential->second.password_hash,
                                  [this, call, password = std::move(password)](bool good) {
                                    if (!good)
                                      return call.answer(problem(403, "the old password is wrong"));
                                    accounts_.on_success(call.value("key"));
                                    store_password(call, password);
                                  });
  if (taken) return;
  accounts_.on_refund(key);
  call.answer(busy());
}

void Api::store_password(const Call& call, std::string password) {
  const bool taken = ports_.passwords.try_hash(
      io::Secret{std::move(password)}, [this, call](const Expected<std::string>& hash) {
        if (!hash) return call.answer(problem(status_of(hash.error().code), hash.error().text));
        // What proved the old password goes on; every other session ends.
        const bool own = call.principal.user == call.value("key");
        command(call,
                SetPassword{call.value("key"), *hash, call.principal.actor,
                            own ? call.principal.session : std::string{}},
                [](const Reply&, const EngineView&) {
                  HttpResponse response;
                  response.status = 204;
                  return response;
                });
      });
  if (!taken) call.answer(busy());
}

void Api::add_sessions(Router& router) {
  router.add(HttpMethod::kPost, "/api/v1/session",
             [this](const codec::HttpRequest& request, const PathValues&,
                    io::HttpResponder responder) { log_in(request, std::move(responder)); });
  add(router, HttpMethod::kGet, "/api/v1/session", Action::kRead, "session", [](const Call& call) {
    call.answer(json_answer(200, session_node(call.principal, *call.view)));
  });
  add(router, HttpMethod::kDelete, "/api/v1/session", Action::kWrite, "session",
      [this](const Call& call) {
        if (call.principal.session.empty()) {
          return call.answer(problem(404, "this request has a token and no session"));
        }
        command(call, CloseSessions{call.principal.session, {}, call.principal.actor},
                [secure = ports_.secure_cookies](const Reply&, const EngineView&) {
                  HttpResponse response;
                  response.status = 204;
                  response.headers.push_back(clear_session_cookie(secure));
                  return response;
                });
      });
  add(
      router, HttpMethod::kPut, "/api/v1/users/{key}/password", Action::kWrite, "users",
      [this](const Call& call) { set_password(call); }, "key");
  add(
      router, HttpMethod::kDelete, "/api/v1/users/{key}/sessions", Action::kWrite, "users",
      [this](const Call& call) {
        const auto it = call.view->catalog->users.find(call.value("key"));
        if (it == call.view->catalog->users.end()) {
          return call.answer(problem(404, "there is no such user"));
        }
        command(call, CloseSessions{{}, it->second.id, call.principal.actor},
                [](const Reply&, const EngineView&) {
                  HttpResponse response;
                  response.status = 204;
                  return response;
                });
      },
      "key");
}

}  // namespace tocsin::collector
