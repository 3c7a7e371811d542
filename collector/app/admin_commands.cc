#include "collector/app/admin_commands.h"

#include "collector/api/authorize.h"
#include "collector/core/password_policy.h"
#include "common/base/bytes.h"
#include "common/base/strings.h"
#include "common/io/random.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

namespace tocsin::collector {
namespace {

using codec::Node;

Node success(std::vector<Node::Entry> fields) {
  fields.insert(fields.begin(), {"ok", Node::boolean(true)});
  return Node::map(std::move(fields));
}

std::string incident_name(const IncidentRow& row) { return fmt::format("INC-{}", row.number); }

const char* state_of(const AgentView& agent) {
  if (agent.row.revoked_at) return "revoked";
  if (agent.row.cloned) return "cloned";
  return agent.live ? "live" : "gone";
}

}  // namespace

AdminCommands::AdminCommands(Ports ports)
    : ports_(std::move(ports)) {}

void AdminCommands::handle(const Node& request, const std::string& actor,
                           const AdminServer::Answer& answer) {
  if (auto done = dispatch(request, actor, answer); !done) answer(admin_error(done.error()));
}

Expected<void> AdminCommands::dispatch(const Node& request, const std::string& actor,
                                       const AdminServer::Answer& answer) {
  errors_.clear();
  codec::MapReader reader(request, "", errors_);
  std::string command;
  reader.text("command", command);
  std::string subject;
  if (command == "enroll") return enroll(reader, actor, answer);
  if (command == "admin-token") return admin_token(reader, actor, answer);
  if (command == "set-password") return set_password(reader, actor, answer);
  if (command == "agents") {
    answer(agents());
    return {};
  }
  if (command == "export-status") {
    TRY_ASSIGN(Node page, export_status(reader));
    answer(std::move(page));
    return {};
  }
  if (command == "revoke-agent") {
    reader.text("agent", subject);
    TRY_ASSIGN(const AgentId agent, AgentId::parse(subject));
    return ask(RevokeAgent{agent, actor}, {{"agent", Node::string(agent.str())}}, answer);
  }
  if (command == "ack" || command == "resolve") {
    reader.text("incident", subject);
    TRY_ASSIGN(const IncidentRow row, find_incident(subject));
    Event event = AcknowledgeIncident{row.id, actor};
    if (command == "resolve") event = ResolveIncident{row.id, actor};
    return ask(std::move(event), {{"incident", Node::string(incident_name(row))}}, answer);
  }
  return fail(Errc::kUnsupported,
              "unknown command \"{}\"; known are enroll, admin-token, set-password, "
              "revoke-agent, agents, export-status, ack, resolve",
              printable(command, 64));
}

Expected<void> AdminCommands::enroll(codec::MapReader& reader, const std::string& actor,
                                     const AdminServer::Answer& answer) {
  EnrolmentWish wish;
  std::string agent;
  reader.text("region", wish.region);
  reader.text("agent", agent);
  reader.duration("expires", wish.valid);
  reader.texts("endpoints", wish.endpoints);
  if (!errors_.empty()) {
    return fail(Errc::kInvalid, "{}: {}", errors_.front().path, errors_.front().text);
  }
  if (!agent.empty()) {
    TRY_ASSIGN(wish.agent, AgentId::parse(agent));
    TRY_ASSIGN(wish.region, region_of(*ports_.view(), *wish.agent));
  }
  TRY_ASSIGN(NewEnrolment made, make_enrolment(wish, ports_.bundles, ports_.loop.now().wall));
  return ask(AddEnrolment{std::move(made.row), actor},
             {{"bundle", Node::string(std::move(made.bundle))}}, answer);
}

Expected<void> AdminCommands::admin_token(codec::MapReader& reader, const std::string& actor,
                                          const AdminServer::Answer& answer) {
  std::string key = "admin";
  reader.text("user", key);
  if (!is_key(key)) {
    return fail(Errc::kInvalid, "a user is 1 to 63 characters of a-z, 0-9 and -, not \"{}\"",
                printable(key, 64));
  }
  const WallTime now = ports_.loop.now().wall;
  TokenRow token;
  token.id = TokenId{io::mint_uuid(now)};
  token.name = "made on the command line";
  token.owner = key;
  token.role = Role::kAdmin;
  const std::string secret = std::string{kTokenPrefix} + new_secret();
  token.prefix = secret.substr(0, kTokenPrefix.size() + 6);
  token.digest = token_digest(secret);
  std::vector<Node::Entry> fields = {{"user", Node::string(key)}, {"token", Node::string(secret)}};
  const auto found = ports_.view()->catalog->users.find(key);
  if (found != ports_.view()->catalog->users.end()) {
    if (found->second.role != Role::kAdmin || found->second.disabled) {
      return fail(Errc::kDenied, "user {} is {}, not an admin: name another user or make one", key,
                  found->second.disabled ? "disabled" : to_string(found->second.role));
    }
    return ask(AddToken{std::move(token), actor}, std::move(fields), answer);
  }
  return make_admin(key, actor, answer, [this, token, actor, fields, answer] {
    return ask(AddToken{token, actor}, fields, answer);
  });
}

Expected<void> AdminCommands::make_admin(const std::string& key, const std::string& actor,
                                         const AdminServer::Answer& answer,
                                         std::function<Expected<void>()> then) {
  ApplyCatalog create;
  UserSpec user;
  user.id = UserId{io::mint_uuid(ports_.loop.now().wall)};
  user.key = user.name = key;
  user.role = Role::kAdmin;
  create.edit.users.push_back(std::move(user));
  create.edit.preconditions.push_back({{ObjectKind::kUser, key}, std::uint64_t{0}});
  create.actor = actor;
  EngineInput input{std::move(create), [this, then = std::move(then), answer](const Reply& reply) {
                      ports_.loop.post([then, answer, reply] {
                        if (reply.error) return answer(admin_error(*reply.error));
                        if (auto done = then(); !done) answer(admin_error(done.error()));
                      });
                    }};
  if (ports_.engine.push(std::move(input))) return {};
  return fail(Errc::kUnavailable, "the collector is too busy or stopping: try again");
}

Expected<void> AdminCommands::set_password(codec::MapReader& reader, const std::string& actor,
                                           const AdminServer::Answer& answer) {
  std::string key = "admin";
  std::string password;
  reader.text("user", key);
  reader.text("password", password);
  if (!is_key(key)) {
    return fail(Errc::kInvalid, "a user is 1 to 63 characters of a-z, 0-9 and -, not \"{}\"",
                printable(key, 64));
  }
  const auto view = ports_.view();
  UserSpec user;
  user.key = user.name = key;
  const auto found = view->catalog->users.find(key);
  const bool known = found != view->catalog->users.end();
  if (known) user = found->second;
  if (user.disabled) return fail(Errc::kDenied, "user {} is disabled", key);
  if (!known && !view->auth->credentials.empty()) {
    // The first one may be made here; a slip of the key must not make another admin.
    return fail(Errc::kNotFound, "no user '{}': make one first", key);
  }
  if (const auto why = check_password(password, user)) {
    return fail(Errc::kInvalid, "the password: {}", *why);
  }
  const bool taken = ports_.passwords.try_hash(
      io::Secret{std::move(password)},
      [this, key, actor, known, answer](const Expected<std::string>& hash) {
        if (!hash) return answer(admin_error(hash.error()));
        const auto store = [this, key, actor, answer, hash = *hash] {
          return ask(SetPassword{key, hash, actor}, {{"user", Node::string(key)}}, answer);
        };
        auto done = known ? store() : make_admin(key, actor, answer, store);
        if (!done) answer(admin_error(done.error()));
      });
  if (taken) return {};
  return fail(Errc::kUnavailable, "too many passwords are being checked: try again");
}

std::string new_secret() {
  std::array<std::uint8_t, 32> bytes{};
  io::fill_random(bytes);
  return to_base64url(bytes);
}

Node AdminCommands::agents() const {
  std::vector<Node> out;
  for (const AgentView& agent : ports_.view()->agents) {
    out.push_back(Node::map({
        {"id", Node::string(agent.row.agent.str())},
        {"region", Node::string(agent.row.region)},
        {"host", Node::string(agent.row.host)},
        {"version", Node::string(agent.row.version)},
        {"state", Node::string(state_of(agent))},
        {"health", Node::string(agent.live ? to_string(agent.health) : "")},
        {"series", Node::integer(agent.series)},
        {"last_seen", Node::string(format_rfc3339(agent.row.last_seen))},
        {"enrolled_at", Node::string(format_rfc3339(agent.row.enrolled_at))},
    }));
  }
  return success({{"agents", Node::list(std::move(out))}});
}

Expected<Node> AdminCommands::export_status(codec::MapReader& reader) {
  if (ports_.pages == nullptr) {
    return fail(Errc::kUnavailable, "only a running collector knows how things are");
  }
  std::string page;
  status::PublishOptions options;
  reader.text("page", page);
  reader.text("url", options.url);
  reader.duration("every", options.every);
  if (!errors_.empty()) {
    return fail(Errc::kInvalid, "{}: {}", errors_.front().path, errors_.front().text);
  }
  TRY_ASSIGN(const status::PublishedPage published, ports_.pages->publish(page, options));
  const auto list = [](const std::vector<status::PublishedFile>& files) {
    Node out = Node::list();
    for (const status::PublishedFile& file : files) {
      out.items.push_back(Node::list({Node::string(file.name), Node::string(file.body)}));
    }
    return out;
  };
  const auto silent_s = std::chrono::ceil<std::chrono::seconds>(published.silent_after);
  return success({{"files", list(published.now)},
                  {"silent", list(published.silent)},
                  {"silent_after_s", Node::integer(silent_s.count())}});
}

Expected<IncidentRow> AdminCommands::find_incident(const std::string& name) const {
  std::string_view digits = name;
  if (to_lower(name).substr(0, 4) == "inc-") digits.remove_prefix(4);
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  const bool by_number = error == std::errc{} && end == digits.data() + digits.size();
  for (const IncidentRow& row : ports_.view()->open_incidents) {
    if (by_number ? row.number == number : row.id.str() == to_lower(name)) return row;
  }
  return fail(Errc::kNotFound, "no unresolved incident {}", printable(name, 64));
}

Expected<void> AdminCommands::ask(Event command, std::vector<Node::Entry> fields,
                                  AdminServer::Answer answer) {
  EngineInput input{std::move(command), [&loop = ports_.loop, fields = std::move(fields),
                                         answer = std::move(answer)](Reply reply) {
                      loop.post([fields, answer, reply = std::move(reply)] {
                        if (reply.error) return answer(admin_error(*reply.error));
                        answer(success(fields));
                      });
                    }};
  if (ports_.engine.push(std::move(input))) return {};
  return fail(Errc::kUnavailable, "the collector is too busy or stopping: try again");
}

std::string format_agents(const Node& answer) {
  struct Column {
    const char* title;
    const char* key;
  };

  constexpr Column kColumns[] = {{"ID", "id"},           {"REGION", "region"},
                                 {"STATE", "state"},     {"HEALTH", "health"},
                                 {"SERIES", "series"},   {"LAST SEEN", "last_seen"},
                                 {"VERSION", "version"}, {"HOST", "host"}};
  const Node* agents = answer.find("agents");
  std::vector<std::vector<std::string>> rows(1);
  for (const Column& column : kColumns) rows[0].emplace_back(column.title);
  for (const Node& agent : agents == nullptr ? std::vector<Node>{} : agents->items) {
    std::vector<std::string>& row = rows.emplace_back();
    for (const Column& column : kColumns) {
      const Node* cell = agent.find(column.key);
      row.push_back(cell == nullptr || cell->text.empty() ? "-" : printable(cell->text, 64));
    }
  }
  return align_columns(rows);
}

}  // namespace tocsin::collector
