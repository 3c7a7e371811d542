// Question answered here: how are incidents, history, reports and access asked for and changed?

#include "collector/api/answers.h"
#include "collector/api/api.h"
#include "collector/api/json_views.h"
#include "collector/api/phase_report.h"
#include "common/base/strings.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace tocsin::collector {

using codec::HttpMethod;
using codec::MapReader;
using codec::Node;
using io::HttpResponse;

namespace {

constexpr std::size_t kNoteMax = 4000;

/// "INC-42", "42" or the id.
std::variant<std::monostate, std::uint64_t, IncidentId> parse_incident(std::string_view name) {
  if (const auto id = IncidentId::parse(name)) return *id;
  std::string_view digits = name;
  if (to_lower(name.substr(0, 4)) == "inc-") digits.remove_prefix(4);
  if (const auto number = parse_number(digits)) return *number;
  return {};
}

HttpResponse no_incident(std::string_view name) {
  return problem(404, fmt::format("there is no incident {}", printable(name, 64)));
}

const IncidentRow* find_open(const EngineView& view, std::string_view name) {
  const auto wanted = parse_incident(name);
  for (const IncidentRow& row : view.open_incidents) {
    if (const auto* number = std::get_if<std::uint64_t>(&wanted); number && *number == row.number) {
      return &row;
    }
    if (const auto* id = std::get_if<IncidentId>(&wanted); id && *id == row.id) return &row;
  }
  return nullptr;
}

Expected<std::optional<IncidentRow>> find_stored(StoreReader& reader, std::string_view name) {
  const auto wanted = parse_incident(name);
  if (const auto* number = std::get_if<std::uint64_t>(&wanted))
    return reader.find_incident(*number);
  if (const auto* id = std::get_if<IncidentId>(&wanted)) return reader.find_incident(*id);
  return std::optional<IncidentRow>{};
}

/// The body as a map; empty when there is none.
Expected<Node> body_or_nothing(const codec::HttpRequest& request) {
  if (request.body.empty()) return Node::map();
  return read_body(request);
}

HttpResponse store_trouble(const Error& error) {
  return problem(status_of(error.code), error.text);
}

/// Numbers in cursors.
template <class T, class F>
HttpResponse page_of(const std::vector<T>& rows, std::size_t limit, F node_of,
                     std::string (*cursor_of)(const T&)) {
  std::vector<Node> items;
  for (const T& row : rows) {
    if (items.size() == limit) break;
    items.push_back(node_of(row));
  }
  const std::string next =
      rows.size() > limit && limit > 0 ? cursor_of(rows[limit - 1]) : std::string{};
  return json_answer(200, list_node(std::move(items), next));
}

}  // namespace

void Api::add_incidents(Router& router) {
  add(router, HttpMethod::kGet, "/api/v1/incidents", Action::kRead, "incidents",
      [this](const Call& call) {
        const auto query = codec::parse_query(call.request.query);
        if (!query) return call.answer(problem(400, query.error().text));
        const auto page = read_page_query(*query, {"state", "monitor", "service"});
        if (!page) return call.answer(problem(400, page.error().text));
        IncidentQuery wanted;
        wanted.limit = page->limit + 1;
        if (!page->after.empty()) wanted.before_number = parse_number(page->after).value_or(0);
        const auto state = query->one("state");
        const auto monitor = query->one("monitor");
        const auto service = query->one("service");
        for (const auto* one : {&state, &monitor, &service}) {
          if (!*one) return call.answer(problem(400, one->error().text));
        }
        if (*state) {
          if (**state != "open" && **state != "all") {
            return call.answer(problem(400, "state: expected open or all"));
          }
          wanted.open_only = **state == "open";
        }
        if (*monitor) {
          const auto it = call.view->catalog->monitors.find(std::string{**monitor});
          if (it == call.view->catalog->monitors.end()) {
            return call.answer(problem(404, "monitor: there is no such monitor"));
          }
          wanted.monitor = it->second.spec.id;
        }
        if (*service) wanted.service = **service;
        read(call, [wanted](StoreReader& reader) {
          const auto rows = reader.incidents(wanted);
          if (!rows) return store_trouble(rows.error());
          return page_of<IncidentRow>(
              *rows, wanted.limit - 1,
              [](const IncidentRow& row) { return incident_node(row, false); },
              [](const IncidentRow& row) { return fmt::format("{}", row.number); });
        });
      });

  add(router, HttpMethod::kGet, "/api/v1/incidents/{incident}", Action::kRead, "incidents",
      [this](const Call& call) {
        read(call, [name = call.value("incident")](StoreReader& reader) {
          const auto row = find_stored(reader, name);
          if (!row) return store_trouble(row.error());
          return *row ? json_answer(200, incident_node(**row, true)) : no_incident(name);
        });
      });

  add(router, HttpMethod::kGet, "/api/v1/incidents/{incident}/timeline", Action::kRead, "incidents",
      [this](const Call& call) {
        read(call, [name = call.value("incident")](StoreReader& reader) {
          const auto row = find_stored(reader, name);
          if (!row) return store_trouble(row.error());
          if (!*row) return no_incident(name);
          const auto lines = reader.timeline((*row)->id);
          if (!lines) return store_trouble(lines.error());
          std::vector<Node> items;
          for (const TimelineRow& line : *lines) items.push_back(timeline_node(line));
          return json_answer(200, list_node(std::move(items), {}));
        });
      });

  add(router, HttpMethod::kGet, "/api/v1/incidents/{incident}/deliveries", Action::kRead,
      "incidents", [this](const Call& call) {
        read(call, [name = call.value("incident")](StoreReader& reader) {
          const auto row = find_stored(reader, name);
          if (!row) return store_trouble(row.error());
          if (!*row) return no_incident(name);
          OutboxQuery query;
          query.limit = 500;
          query.incident = (*row)->id;
          const auto messages = reader.outbox(query);
          if (!messages) return store_trouble(messages.error());
          std::vector<Node> items;
          for (const OutboxItem& item : *messages) {
            const auto tries = reader.deliveries(item.row.id);
            if (!tries) return store_trouble(tries.error());
            items.push_back(notification_node(item, *tries));
          }
          return json_answer(200, list_node(std::move(items), {}));
        });
      });

  const auto act = [this](const Call& call, auto make) {
    const IncidentRow* row = find_open(*call.view, call.value("incident"));
    if (row == nullptr) {
      return call.answer(problem(404, fmt::format("there is no unresolved incident {}",
                                                  printable(call.value("incident"), 64))));
    }
    const auto body = body_or_nothing(call.request);
    if (!body) return call.answer(body_problem(body.error()));
    std::vector<FieldError> errors;
    MapReader reader{*body, "", errors};
    Event event = make(*row, reader);
    reader.finish();
    if (!errors.empty()) return call.answer(field_problem(errors));
    command(call, std::move(event),
            [id = row->id, old = *row](const Reply&, const EngineView& view) {
              for (const IncidentRow& now : view.open_incidents) {
                if (now.id == id) return json_answer(200, incident_node(now, true));
              }
              IncidentRow resolved = old;  // Its resolution is in the store by now.
              resolved.state = IncidentState::kResolved;
              return json_answer(200, incident_node(resolved, true));
            });
  };
  add(router, HttpMethod::kPost, "/api/v1/incidents/{incident}/acknowledge", Action::kWrite,
      "incidents", [act](const Call& call) {
        act(call, [&call](const IncidentRow& row, MapReader&) -> Event {
          return AcknowledgeIncident{row.id, call.principal.actor, call.principal.user};
        });
      });
  add(router, HttpMethod::kPost, "/api/v1/incidents/{incident}/resolve", Action::kWrite,
      "incidents", [act](const Call& call) {
        act(call, [&call](const IncidentRow& row, MapReader& reader) -> Event {
          ResolveIncident event{row.id, call.principal.actor};
          reader.text("note", event.note);
          if (event.note.size() > kNoteMax || !is_valid_utf8(event.note)) {
            reader.error("note", fmt::format("expected at most {} bytes of UTF-8", kNoteMax));
          }
          return event;
        });
      });
  add(router, HttpMethod::kPost, "/api/v1/incidents/{incident}/reassign", Action::kWrite,
      "incidents", [act](const Call& call) {
        act(call, [&call](const IncidentRow& row, MapReader& reader) -> Event {
          ReassignIncident event{row.id, {}, call.principal.actor};
          reader.text("user", event.user);
          return event;
        });
      });
  add(router, HttpMethod::kPost, "/api/v1/incidents/{incident}/notes", Action::kWrite, "incidents",
      [act](const Call& call) {
        act(call, [&call](const IncidentRow& row, MapReader& reader) -> Event {
          AddIncidentNote event{row.id, {}, call.principal.actor};
          reader.text("text", event.text);
          if (event.text.empty() || event.text.size() > kNoteMax || !is_valid_utf8(event.text)) {
            reader.error("text", fmt::format("expected 1 to {} bytes of UTF-8", kNoteMax));
          }
          auto once = idempotency(call.request, call.principal.actor);
          if (once) {
            event.once = *std::move(once);
          } else {
            reader.error("text", once.error().text);
          }
          return event;
        });
      });
  for (const bool watch : {true, false}) {
    add(router, HttpMethod::kPost,
        fmt::format("/api/v1/incidents/{{incident}}/{}", watch ? "watch" : "unwatch"),
        Action::kWrite, "incidents", [act, watch](const Call& call) {
          act(call, [&call, watch](const IncidentRow& row, MapReader& reader) -> Event {
            WatchIncident event{row.id, call.principal.user, watch, call.principal.actor};
            reader.text("user", event.user);
            return event;
          });
        });
  }
}

void Api::add_history(Router& router) {
  add(router, HttpMethod::kGet, "/api/v1/monitors/{key}/results", Action::kRead, "monitors",
      [this](const Call& call) {
        const MonitorView* monitor = find_monitor(*call.view, call.value("key"));
        if (monitor == nullptr) return call.answer(problem(404, "there is no such monitor"));
        const auto query = codec::parse_query(call.request.query);
        if (!query) return call.answer(problem(400, query.error().text));
        const auto page = read_page_query(*query, {"from", "to"});
        if (!page) return call.answer(problem(400, page.error().text));
        ResultQuery wanted;
        wanted.monitor = monitor->entry.spec.id;
        wanted.limit = page->limit + 1;
        for (auto [name, time] : {std::pair{"from", &wanted.from}, std::pair{"to", &wanted.to}}) {
          const auto given = query->one(name);
          if (!given) return call.answer(problem(400, given.error().text));
          if (!*given) continue;
          const auto parsed = parse_rfc3339(**given);
          if (!parsed) {
            return call.answer(problem(400, fmt::format("{}: {}", name, parsed.error().text)));
          }
          *time = *parsed;
        }
        if (!page->after.empty()) {
          wanted.to = WallTime{static_cast<std::int64_t>(parse_number(page->after).value_or(0))};
        }
        read(call, [wanted, view = call.view](StoreReader& reader) {
          const auto rows = reader.results(wanted);
          if (!rows) return store_trouble(rows.error());
          return page_of<ResultRow>(
              *rows, wanted.limit - 1,
              [&](const ResultRow& row) { return result_node(row, *view); },
              [](const ResultRow& row) { return fmt::format("{}", row.result.slot.us); });
        });
      });

  add(router, HttpMethod::kGet, "/api/v1/monitors/{key}/verdicts", Action::kRead, "monitors",
      [this](const Call& call) {
        const MonitorView* monitor = find_monitor(*call.view, call.value("key"));
        if (monitor == nullptr) return call.answer(problem(404, "there is no such monitor"));
        read(call,
             [id = monitor->entry.spec.id, now = ports_.loop.now().wall](StoreReader& reader) {
               const auto rows = reader.verdicts(id, now - std::chrono::hours{24 * 90}, now);
               if (!rows) return store_trouble(rows.error());
               std::vector<Node> items;
               for (auto row = rows->rbegin(); row != rows->rend() && items.size() < 500; ++row) {
                 items.push_back(verdict_node(*row));
               }
               return json_answer(200, list_node(std::move(items), {}));
             });
      });

  add(router, HttpMethod::kGet, "/api/v1/monitors/{key}/uptime", Action::kRead, "monitors",
      [this](const Call& call) {
        const MonitorView* monitor = find_monitor(*call.view, call.value("key"));
        if (monitor == nullptr) return call.answer(problem(404, "there is no such monitor"));
        const auto table = ports_.views.uptime();
        std::vector<Node> days;
        if (table != nullptr) {
          const auto found = table->find(monitor->entry.spec.id);
          for (const DayUptime& day :
               found == table->end() ? std::vector<DayUptime>{} : found->second) {
            days.push_back(Node::map({{"day", time_node(WallTime{day.day * 86'400'000'000})},
                                      {"up_s", Node::integer(day.up_s)},
                                      {"degraded_s", Node::integer(day.degraded_s)},
                                      {"down_s", Node::integer(day.down_s)},
                                      {"unknown_s", Node::integer(day.unknown_s)}}));
          }
        }
        call.answer(json_answer(200, list_node(std::move(days), {})));
      });

  add(router, HttpMethod::kGet, "/api/v1/monitors/{key}/phases", Action::kRead, "monitors",
      [this](const Call& call) {
        const MonitorView* monitor = find_monitor(*call.view, call.value("key"));
        if (monitor == nullptr) return call.answer(problem(404, "there is no such monitor"));
        const auto query = codec::parse_query(call.request.query);
        if (!query) return call.answer(problem(400, query.error().text));
        const auto wanted = read_phase_query(*query, ports_.loop.now().wall);
        if (!wanted) return call.answer(problem(400, wanted.error().text));
        read(call, [wanted = *wanted, id = monitor->entry.spec.id](StoreReader& reader) {
          const auto hours = reader.phase_hours(id, wanted.from, wanted.to);
          if (!hours) return store_trouble(hours.error());
          return json_answer(200, list_node(phase_nodes(*hours, wanted), {}));
        });
      });

  add(router, HttpMethod::kPost, "/api/v1/monitors/{key}/run", Action::kWrite, "incidents",
      [this](const Call& call) {
        const Uuid request = ports_.new_id();
        command(
            call, RunNow{call.value("key"), request, call.principal.actor},
            [request](const Reply&, const EngineView&) {
              return json_answer(202, Node::map({{"request", Node::string(format_uuid(request))}}));
            });
      });

  add(router, HttpMethod::kPost, "/api/v1/channels/{key}/test", Action::kWrite, "channels",
      [this](const Call& call) {
        command(
            call, SendTest{{}, call.value("key"), call.principal.actor},
            [](const Reply& reply, const EngineView&) {
              return json_answer(202, Node::map({{"notification", Node::string(reply.subject)}}));
            });
      });

  add(router, HttpMethod::kGet, "/api/v1/deliveries/{id}", Action::kRead, "deliveries",
      [this](const Call& call) {
        read(call, [name = call.value("id")](StoreReader& reader) {
          const auto id = NotificationId::parse(name);
          if (!id) return problem(404, "there is no such notification");
          const auto item = reader.find_notification(*id);
          if (!item) return store_trouble(item.error());
          if (!*item) return problem(404, "there is no such notification");
          const auto tries = reader.deliveries(*id);
          if (!tries) return store_trouble(tries.error());
          return json_answer(200, notification_node(**item, *tries));
        });
      });

  add(router, HttpMethod::kGet, "/api/v1/deliveries", Action::kRead, "deliveries",
      [this](const Call& call) {
        const auto query = codec::parse_query(call.request.query);
        if (!query) return call.answer(problem(400, query.error().text));
        const auto page = read_page_query(*query, {"channel"});
        if (!page) return call.answer(problem(400, page.error().text));
        OutboxQuery wanted;
        wanted.limit = page->limit + 1;
        if (!page->after.empty()) {
          const auto before = NotificationId::parse(page->after);
          if (!before)
            return call.answer(problem(400, "cursor: expected the next_cursor of an answer"));
          wanted.before = *before;
        }
        const auto channel = query->one("channel");
        if (!channel) return call.answer(problem(400, channel.error().text));
        if (*channel) wanted.channel = **channel;
        read(call, [wanted](StoreReader& reader) {
          const auto rows = reader.outbox(wanted);
          if (!rows) return store_trouble(rows.error());
          return page_of<OutboxItem>(
              *rows, wanted.limit - 1,
              [&](const OutboxItem& item) {
                const auto tries = reader.deliveries(item.row.id);
                return notification_node(item, tries ? *tries : std::vector<Delivery>{});
              },
              [](const OutboxItem& item) { return item.row.id.str(); });
        });
      });
}

void Api::add_access(Router& router) {
  add(router, HttpMethod::kGet, "/api/v1/agents", Action::kRead, "agents", [](const Call& call) {
    const auto query = codec::parse_query(call.request.query);
    if (!query) return call.answer(problem(400, query.error().text));
    const auto known = query->only({"region", "state"});
    const auto region = query->one("region");
    const auto state = query->one("state");
    if (!known) return call.answer(problem(400, known.error().text));
    for (const auto* one : {&region, &state}) {
      if (!*one) return call.answer(problem(400, one->error().text));
    }
    constexpr std::string_view kStates = "live gone cloned revoked";
    const auto words = split(kStates, ' ');
    if (*state && std::find(words.begin(), words.end(), **state) == words.end()) {
      return call.answer(problem(400, fmt::format("state: expected one of {}", kStates)));
    }
    std::vector<Node> items;
    for (const AgentView& agent : call.view->agents) {
      if (*region && agent.row.region != **region) continue;
      Node node = agent_node(agent);
      if (*state && node.find("state")->text != **state) continue;
      items.push_back(std::move(node));
    }
    call.answer(json_answer(200, list_node(std::move(items), {})));
  });
  add(router, HttpMethod::kGet, "/api/v1/agents/{id}", Action::kRead, "agents",
      [](const Call& call) {
        for (const AgentView& agent : call.view->agents) {
          if (agent.row.agent.str() == call.value("id")) {
            return call.answer(json_answer(200, agent_node(agent)));
          }
        }
        call.answer(problem(404, "there is no such agent"));
      });
  add(router, HttpMethod::kPost, "/api/v1/agents/{id}/revoke", Action::kWrite, "agents",
      [this](const Call& call) {
        const auto id = AgentId::parse(call.value("id"));
        if (!id) return call.answer(problem(404, "there is no such agent"));
        command(call, RevokeAgent{*id, call.principal.actor},
                [](const Reply&, const EngineView&) { return no_content(); });
      });
  add(router, HttpMethod::kGet, "/api/v1/enrolments", Action::kRead, "enrolments",
      [](const Call& call) {
        std::vector<Node> items;
        for (const EnrolmentRow& row : *call.view->enrolments) items.push_back(enrolment_node(row));
        call.answer(json_answer(200, list_node(std::move(items), {})));
      });
  add(router, HttpMethod::kPost, "/api/v1/enrolments", Action::kWrite, "enrolments",
      [this](const Call& call) {
        const auto body = read_body(call.request);
        if (!body) return call.answer(body_problem(body.error()));
        std::vector<FieldError> errors;
        MapReader reader{*body, "", errors};
        EnrolmentWish wish;
        std::string agent;
        reader.text("region", wish.region);
        reader.text("agent", agent);
        reader.text("name", wish.name);
        reader.duration("valid", wish.valid);
        reader.texts("endpoints", wish.endpoints);
        reader.finish();
        if (!agent.empty()) {
          const auto id = AgentId::parse(agent);
          const auto region = id ? region_of(*call.view, *id) : Unexpected{id.error()};
          if (!region) {
            reader.error("agent", region.error().text);
          } else if (!wish.region.empty() && wish.region != *region) {
            reader.error("region", "expected the region of the agent, or none: " + *region);
          } else {
            wish.agent = *id;
            wish.region = *region;
          }
        } else if (!call.view->catalog->regions.contains(wish.region)) {
          reader.error("region", "expected the key of a region");
        }
        if (!errors.empty()) return call.answer(field_problem(errors));
        auto made = ports_.new_enrolment(wish);
        if (!made) return call.answer(problem(status_of(made.error().code), made.error().text));
        // Not bound to an Idempotency-Key: the bundle is shown once and kept nowhere.
        Node node = enrolment_node(made->row);
        node.set("bundle", Node::string(std::move(made->bundle)));
        command(call, AddEnrolment{std::move(made->row), call.principal.actor},
                [node = std::move(node)](const Reply&, const EngineView&) {
                  return json_answer(201, node);
                });
      });
  add(router, HttpMethod::kDelete, "/api/v1/enrolments/{id}", Action::kWrite, "enrolments",
      [this](const Call& call) {
        const auto id = EnrolmentId::parse(call.value("id"));
        if (!id) return call.answer(problem(404, "there is no such enrolment"));
        command(call, RemoveEnrolment{*id, call.principal.actor},
                [](const Reply&, const EngineView&) { return no_content(); });
      });

  add(router, HttpMethod::kGet, "/api/v1/tokens", Action::kRead, "tokens", [](const Call& call) {
    std::vector<Node> items;
    for (const auto& [digest, token] : call.view->auth->tokens) items.push_back(token_node(token));
    call.answer(json_answer(200, list_node(std::move(items), {})));
  });
  add(router, HttpMethod::kPost, "/api/v1/tokens", Action::kWrite, "tokens",
      [this](const Call& call) {
        const auto body = read_body(call.request);
        if (!body) return call.answer(body_problem(body.error()));
        std::vector<FieldError> errors;
        MapReader reader{*body, "", errors};
        TokenRow token;
        std::string role = "viewer";
        Duration expires_in{0};
        reader.text("name", token.name);
        reader.text("owner", token.owner);
        reader.text("role", role);
        reader.texts("scopes", token.scopes);
        reader.duration("expires_in", expires_in);
        if (token.name.empty() || token.name.size() > 100 || !is_valid_utf8(token.name)) {
          reader.error("name", "expected 1 to 100 bytes of UTF-8");
        }
        const auto known = parse_role(role);
        if (!known) reader.error("role", "expected viewer, responder, editor or admin");
        for (const std::string& scope : token.scopes) {
          if (const auto wrong = check_scope(scope)) reader.error("scopes", *wrong);
        }
        reader.finish();
        if (!errors.empty()) return call.answer(field_problem(errors));
        token.id = TokenId{ports_.new_id()};
        token.role = *known;
        const std::string secret = std::string{kTokenPrefix} + ports_.new_secret();
        token.prefix = secret.substr(0, kTokenPrefix.size() + 6);
        token.digest = token_digest(secret);
        if (expires_in > Duration{0}) token.expires = ports_.loop.now().wall + expires_in;
        const std::string digest = token.digest;
        // Not bound to an Idempotency-Key: the secret is shown once and kept nowhere.
        command(call, AddToken{std::move(token), call.principal.actor},
                [secret, digest](const Reply&, const EngineView& view) {
                  Node node = token_node(view.auth->tokens.at(digest));
                  node.set("secret", Node::string(secret));
                  return json_answer(201, node);
                });
      });
  add(router, HttpMethod::kDelete, "/api/v1/tokens/{id}", Action::kWrite, "tokens",
      [this](const Call& call) {
        const auto id = TokenId::parse(call.value("id"));
        if (!id) return call.answer(problem(404, "there is no such token"));
        command(call, RevokeToken{*id, call.principal.actor},
                [](const Reply&, const EngineView&) { return no_content(); });
      });

  add(router, HttpMethod::kGet, "/api/v1/audit", Action::kRead, "audit", [this](const Call& call) {
    const auto query = codec::parse_query(call.request.query);
    if (!query) return call.answer(problem(400, query.error().text));
    const auto page = read_page_query(*query);
    if (!page) return call.answer(problem(400, page.error().text));
    const std::uint64_t before =
        page->after.empty() ? UINT64_MAX : parse_number(page->after).value_or(0);
    read(call, [before, limit = page->limit](StoreReader& reader) {
      const auto rows = reader.audit_before(before, limit + 1);
      if (!rows) return store_trouble(rows.error());
      return page_of<AuditRow>(*rows, limit, audit_node,
                               [](const AuditRow& row) { return fmt::format("{}", row.seq); });
    });
  });
}

void Api::add_reports(Router& router) {
  const auto find_report = [](const EngineView& view, const std::string& id) -> const ReportRow* {
    for (const ReportRow& row : *view.reports) {
      if (row.id.str() == id) return &row;
    }
    return nullptr;
  };
  const auto shown = [find_report](int status, const std::string& id) -> Ok {
    return [find_report, status, id](const Reply& reply, const EngineView& view) {
      const ReportRow* row = find_report(view, id.empty() ? reply.subject : id);
      if (row == nullptr) return problem(404, "the report was deleted meanwhile");
      return object_answer(status, report_node(*row), row->rev);
    };
  };
  /// Reads an update: state and text.
  const auto read_update = [](MapReader& reader, ReportUpdate& update) {
    std::string state;
    reader.text("state", state);
    reader.text("text", update.text);
    if (const auto known = parse_report_state(state)) {
      update.state = *known;
    } else {
      reader.error("state",
                   "expected investigating, identified, monitoring or resolved; of a "
                   "maintenance scheduled, in_progress or completed");
    }
    if (!is_valid_utf8(update.text)) reader.error("text", "expected UTF-8");
  };

  add(router, HttpMethod::kGet, "/api/v1/status-pages/{key}/reports", Action::kRead, "reports",
      [](const Call& call) {
        std::vector<Node> items;
        for (const ReportRow& row : *call.view->reports) {
          if (row.page == call.value("key") && items.size() < 500)
            items.push_back(report_node(row));
        }
        call.answer(json_answer(200, list_node(std::move(items), {})));
      });
  add(router, HttpMethod::kPost, "/api/v1/status-pages/{key}/reports", Action::kWrite, "reports",
      [this, shown, read_update](const Call& call) {
        const auto body = read_body(call.request);
        if (!body) return call.answer(body_problem(body.error()));
        std::vector<FieldError> errors;
        MapReader reader{*body, "", errors};
        ReportRow row;
        row.id = ReportId{ports_.new_id()};
        row.rev = 0;
        row.page = call.value("key");
        std::string impact = "minor";
        reader.text("title", row.title);
        reader.text("impact", impact);
        reader.texts("components", row.components);
        for (auto* field : {&row.scheduled_from, &row.scheduled_to}) {
          const char* name = field == &row.scheduled_from ? "scheduled_from" : "scheduled_to";
          std::string text;
          reader.text(name, text);
          if (text.empty()) continue;
          const auto at = parse_rfc3339(text);
          if (at) {
            *field = *at;
          } else {
            reader.error(name, at.error().text);
          }
        }
        read_update(reader, row.updates.emplace_back());
        row.kind = kind_of(row.updates[0].state);
        if (row.title.empty() || row.title.size() > 200 || !is_valid_utf8(row.title)) {
          reader.error("title", "expected 1 to 200 bytes of UTF-8");
        }
        if (const auto known = parse_impact(impact)) {
          row.impact = *known;
        } else {
          reader.error("impact", "expected none, minor, major or critical");
        }
        reader.finish();
        if (!errors.empty()) return call.answer(field_problem(errors));
        auto once = idempotency(call.request, call.principal.actor);
        if (!once) return call.answer(problem(400, once.error().text));
        command(call, PutReport{std::move(row), call.principal.actor, *std::move(once)},
                shown(201, {}));
      });
  add(router, HttpMethod::kPost, "/api/v1/status-pages/{key}/reports/{id}/updates", Action::kWrite,
      "reports", [this, shown, read_update](const Call& call) {
        const auto id = ReportId::parse(call.value("id"));
        if (!id) return call.answer(problem(404, "there is no such report"));
        const auto body = read_body(call.request);
        if (!body) return call.answer(body_problem(body.error()));
        std::vector<FieldError> errors;
        MapReader reader{*body, "", errors};
        AddReportUpdate event{*id, {}, call.principal.actor, {}};
        read_update(reader, event.update);
        reader.finish();
        if (!errors.empty()) return call.answer(field_problem(errors));
        auto once = idempotency(call.request, call.principal.actor);
        if (!once) return call.answer(problem(400, once.error().text));
        event.once = *std::move(once);
        command(call, std::move(event), shown(201, call.value("id")));
      });
  add(router, HttpMethod::kDelete, "/api/v1/status-pages/{key}/reports/{id}", Action::kWrite,
      "reports", [this](const Call& call) {
        const auto id = ReportId::parse(call.value("id"));
        if (!id) return call.answer(problem(404, "there is no such report"));
        command(call, DeleteReport{*id, call.principal.actor},
                [](const Reply&, const EngineView&) { return no_content(); });
      });
}

}  // namespace tocsin::collector
