#include "collector/api/api.h"

#include "collector/api/answers.h"
#include "collector/api/json_views.h"
#include "collector/api/session_cookie.h"
#include "common/base/strings.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace tocsin::collector {

using codec::HttpMethod;
using io::HttpResponse;

void Api::Call::answer(HttpResponse response) const {
  std::move(*responder).send(std::move(response));
}

Api::Api(Ports ports)
    : ports_(std::move(ports)),
      feed_(ports_.loop, ports_.views, ports_.query,
            std::string{session_cookie_name(ports_.secure_cookies)}) {}

Api::~Api() = default;

void Api::add(Router& router, HttpMethod method, std::string pattern, Action action,
              std::string_view collection, Run run, std::string_view owner) {
  router.add(method, std::move(pattern),
             [this, action, collection, owner, run = std::move(run)](
                 const codec::HttpRequest& request, const PathValues& values,
                 io::HttpResponder responder) {
               const Now now = ports_.loop.now();
               auto view = ports_.views.view();
               if (view == nullptr) {
                 return std::move(responder).send(problem(503, "the collector is starting"));
               }
               const auto refuse = [&](HttpResponse response, const RateLimiter::Verdict& verdict) {
                 if (verdict.retry_after > Duration{0}) {
                   response.headers.push_back(
                       {"Retry-After", fmt::format("{}", verdict.retry_after_seconds())});
                 }
                 std::move(responder).send(std::move(response));
               };
               auto principal = authenticate(request, *view, now.wall,
                                             session_cookie_name(ports_.secure_cookies));
               if (!principal) {
                 const auto verdict = strangers_.take(client_key(request), now.mono);
                 if (!verdict.allowed)
                   return refuse(problem(429, "too many tries without a token"), verdict);
                 return refuse(problem(401, principal.error().text), {});
               }
               const auto verdict = rate_.take(principal->actor, now.mono);
               if (!verdict.allowed) return refuse(problem(429, "too many requests"), verdict);
               if (auto foreign = refuse_foreign(request, *principal)) {
                 return refuse(*std::move(foreign), {});
               }
               const std::string_view whose = owner.empty()      ? std::string_view{}
                                              : owner == kCaller ? principal->user
                                                                 : values.find(owner)->second;
               if (const auto why = authorize(*principal, action, {collection, whose})) {
                 return refuse(problem(403, *why), {});
               }
               touch(*principal, *view, now.wall);
               run(Call{request, values, *std::move(principal), std::move(view),
                        std::make_shared<io::HttpResponder>(std::move(responder))});
             });
}

std::optional<HttpResponse> Api::refuse_foreign(const codec::HttpRequest& request,
                                                const Principal& principal) const {
  const bool reads = request.method == HttpMethod::kGet || request.method == HttpMethod::kHead;
  if (principal.session.empty() || reads) return std::nullopt;
  if (const auto why = cross_site(request, ports_.public_url, true)) return problem(403, *why);
  if (!request.body.empty() && !request.header("content-type")) {
    return problem(415, "expected Content-Type: application/json");
  }
  return std::nullopt;
}

void Api::touch(const Principal& principal, const EngineView& view, WallTime now) {
  constexpr Duration kTokenEvery = std::chrono::hours{1};
  const bool is_token = principal.token.has_value();
  if (!is_token && principal.session.empty()) return;
  const std::string key = is_token ? principal.token->str() : principal.session;
  const Duration every = is_token ? kTokenEvery : kTouchEvery;
  const auto told = touched_.find(key);
  if (told != touched_.end() && now - told->second < every) return;
  if (is_token) {
    for (const auto& [digest, row] : view.auth->tokens) {
      if (row.id == *principal.token && row.last_used && now - *row.last_used < every) return;
    }
  } else {
    const SessionRow& row = view.auth->sessions.at(principal.session);
    if (row.expires - now > kSessionIdle - every) return;
  }
  if (touched_.size() > view.auth->tokens.size() + view.auth->sessions.size()) touched_.clear();
  Event event = TouchSession{principal.session};
  if (is_token) event = TouchTokens{{*principal.token}};
  // The engine may be busy: then another request tells it.
  if (ports_.engine.push({std::move(event), {}})) touched_[key] = now;
}

void Api::command(const Call& call, Event event, Ok ok, std::string strip) {
  const bool creating = call.request.method == HttpMethod::kPost;
  EngineInput input{
      std::move(event),
      [this, call, creating, ok = std::move(ok), strip = std::move(strip)](Reply reply) {
        ports_.loop.post([this, call, creating, ok, strip, reply = std::move(reply)] {
          auto refused = refusal(reply, creating, strip);
          call.answer(refused ? *std::move(refused) : ok(reply, *ports_.views.view()));
        });
      }};
  if (ports_.engine.push(std::move(input))) return;
  call.answer(problem(503, "the collector is too busy or stopping"));
}

void Api::read(const Call& call, Read read) {
  const bool taken = ports_.query.try_read(
      [&loop = ports_.loop, call, read = std::move(read)](StoreReader& reader) {
        auto response = std::make_shared<HttpResponse>(read(reader));
        // The loop answers; the thread `query` only reads.
        loop.post([call, response] { call.answer(std::move(*response)); });
      });
  if (!taken)
    call.answer(problem(503, "history cannot be read now: too many ask, or nothing is kept"));
}

void Api::add_routes(Router& router) {
  add_catalog(router);
  add_incidents(router);
  add_history(router);
  add_access(router);
  add_reports(router);
  add_secrets(router);
  add_events(router);
  add_sessions(router);
  add_parts(router);
}

void Api::add_events(Router& router) {
  add(router, HttpMethod::kGet, "/api/v1/events", Action::kRead, "events",
      [this](const Call& call) {
        const auto query = codec::parse_query(call.request.query);
        if (!query) return call.answer(problem(400, query.error().text));
        if (const auto known = query->only({"topics"}); !known) {
          return call.answer(problem(400, known.error().text));
        }
        const auto topics = query->one("topics");
        if (!topics) return call.answer(problem(400, topics.error().text));
        std::set<std::string> wanted;
        if (*topics) {
          for (const std::string_view topic : split(**topics, ',')) {
            constexpr std::string_view kTopics =
                "monitor incident agent region catalog report channel";
            const auto words = split(kTopics, ' ');
            if (std::find(words.begin(), words.end(), topic) == words.end()) {
              return call.answer(problem(400, fmt::format("topics: expected some of {}", kTopics)));
            }
            wanted.emplace(topic);
          }
        }
        std::uint64_t after = 0;
        const auto last = call.request.header("last-event-id");
        if (last && !last->empty()) {
          const auto [end, error] =
              std::from_chars(last->data(), last->data() + last->size(), after);
          if (error != std::errc{} || end != last->data() + last->size()) {
            return call.answer(problem(400, "Last-Event-ID: expected the id of an event"));
          }
        }
        feed_.follow(call.request, std::move(wanted), after, !last || last->empty(),
                     std::move(*call.responder));
      });
}

}  // namespace tocsin::collector
