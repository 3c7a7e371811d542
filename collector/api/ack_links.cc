#include "collector/api/ack_links.h"

#include "collector/api/answers.h"
#include "common/base/strings.h"
#include "common/io/log.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace tocsin::collector {

namespace {

const UserSpec* find_user(const EngineView& view, const std::string& key) {
  const auto it = view.catalog->users.find(key);
  return it == view.catalog->users.end() || it->second.disabled ? nullptr : &it->second;
}

std::string name_of(const UserSpec& user) {
  return user.name.empty() || user.name == user.key ? user.key
                                                    : fmt::format("{} ({})", user.name, user.key);
}

/// Who is recorded: the person whose contact method it was, or the channel that many may read.
std::string actor_of(const OutboxRow& row) {
  return row.user.empty() ? "channel:" + row.channel : "user:" + row.user;
}

}  // namespace

AckLinks::AckLinks(Ports ports)
    : ports_(std::move(ports)) {}

void AckLinks::add_routes(Router& router) {
  for (const codec::HttpMethod method : {codec::HttpMethod::kGet, codec::HttpMethod::kPost}) {
    router.add(method, "/ack/{token}",
               [this](const codec::HttpRequest& request, const PathValues& values,
                      io::HttpResponder responder) {
                 on_request(request, values.find("token")->second, std::move(responder));
               });
  }
}

void AckLinks::answer(const Call& call, const AckPage& page) {
  std::move(*call.responder).send(ack_response(page));
}

void AckLinks::answer(const Call& call, AckAnswer what) const {
  AckPage page;
  page.answer = what;
  page.posted = call.post;
  answer(call, page);
}

void AckLinks::on_request(const codec::HttpRequest& request, std::string_view token,
                          io::HttpResponder responder) {
  const Now now = ports_.loop.now();
  Call call{{},
            request.method == codec::HttpMethod::kPost,
            std::make_shared<io::HttpResponder>(std::move(responder))};
  const auto refuse = [&](const RateLimiter::Verdict& verdict) {
    AckPage page;
    page.answer = AckAnswer::kTooMany;
    io::HttpResponse response = ack_response(page);
    response.headers.push_back({"Retry-After", fmt::format("{}", verdict.retry_after_seconds())});
    std::move(*call.responder).send(std::move(response));
  };
  const auto link = read_ack_token(token, as_bytes(ports_.key.reveal()));
  if (!link) {
    const auto verdict = forged_.take(client_key(request), now.mono);
    if (!verdict.allowed) return refuse(verdict);
    return answer(call, AckAnswer::kUnknown);
  }
  if (link->expires <= now.wall) return answer(call, AckAnswer::kExpired);
  const auto verdict = links_.take(link->notification.str(), now.mono);
  if (!verdict.allowed) return refuse(verdict);
  call.link = *link;
  look_up(call, [this, call](const Found& found) {
    const AckPage page = page_of(call, found);
    if (call.post && page.answer == AckAnswer::kAsk) return act(call, found);
    answer(call, page);
  });
}

void AckLinks::look_up(const Call& call, std::function<void(const Found&)> then) {
  struct Answer {
    Expected<std::optional<OutboxItem>> item;
    Expected<std::optional<IncidentRow>> incident;
  };

  const bool taken =
      ports_.query.try_read([this, call, then = std::move(then)](StoreReader& reader) {
        // The loop answers; the thread `query` only reads.
        auto got = std::make_shared<Answer>(Answer{reader.find_notification(call.link.notification),
                                                   reader.find_incident(call.link.incident)});
        ports_.loop.post([this, call, then, got] {
          if (!got->item || !got->incident) {
            log::warning("an acknowledge link cannot be looked up",
                         {{"because", (got->item ? got->incident.error() : got->item.error())}});
            return answer(call, AckAnswer::kLater);
          }
          // Both were there when we signed it: this is another database.
          if (!*got->item || !*got->incident) return answer(call, AckAnswer::kUnknown);
          then({(*got->item)->row, **got->incident});
        });
      });
  if (!taken) answer(call, AckAnswer::kLater);
}

AckPage AckLinks::page_of(const Call& call, const Found& found) const {
  AckPage page;
  page.posted = call.post;
  page.incident = found.incident;
  page.content = found.row.content;
  const auto& used = found.incident.used_links;
  if (found.incident.state == IncidentState::kResolved) {
    page.answer = AckAnswer::kResolved;
  } else if (found.incident.acknowledged_at) {
    page.answer = AckAnswer::kAlready;
  } else if (std::find(used.begin(), used.end(), call.link.notification) != used.end()) {
    page.answer = AckAnswer::kUsed;
  } else {
    page.answer = AckAnswer::kAsk;
    const auto view = ports_.views.view();
    if (view == nullptr) {
      page = AckPage{};
      page.answer = AckAnswer::kLater;
    } else if (found.row.user.empty()) {
      page.who = "whoever reads " + found.row.channel;
    } else if (const UserSpec* user = find_user(*view, found.row.user)) {
      page.who = name_of(*user);
    } else {
      page = AckPage{};
      page.answer = AckAnswer::kNobody;
    }
  }
  return page;
}

void AckLinks::act(const Call& call, const Found& found) {
  AcknowledgeIncident command{call.link.incident, actor_of(found.row), found.row.user,
                              call.link.notification};
  EngineInput input{std::move(command), [this, call](Reply reply) {
                      ports_.loop.post([this, call, reply = std::move(reply)] {
                        // As it is stored now: whose answer it was, and when.
                        look_up(call, [this, call, reply](const Found& now) {
                          AckPage page = page_of(call, now);
                          if (!reply.error && page.answer == AckAnswer::kAlready) {
                            page.answer = AckAnswer::kDone;
                          } else if (page.answer == AckAnswer::kAsk) {
                            // Refused, and not for what is stored.
                            page = AckPage{};
                            page.answer = AckAnswer::kLater;
                          }
                          answer(call, page);
                        });
                      });
                    }};
  if (!ports_.engine.push(std::move(input))) answer(call, AckAnswer::kLater);
}

}  // namespace tocsin::collector
