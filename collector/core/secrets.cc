#include "collector/core/transition.h"

#include <algorithm>

namespace tocsin::collector {

namespace {

constexpr std::size_t kSecretsMax = 1'000;

bool names(const MonitorSpec& spec, const std::string& secret) {
  const std::vector<std::string> named = stored_secrets(spec.probe.target);
  return std::find(named.begin(), named.end(), secret) != named.end();
}

/// Why the command does not go with what there is now.
std::optional<Error> stale(const SecretRow* now, const std::string& name,
                           const std::optional<std::uint64_t>& rev) {
  if (!rev || (now != nullptr && *rev == now->rev)) return std::nullopt;
  if (now == nullptr) return Error{Errc::kNotFound, "there is no secret '" + name + "'"};
  return Error{Errc::kExists,
               fmt::format("{}it is version {} now, not {}", kChangedMeanwhile, now->rev, *rev)};
}

const SecretRow* find(const Transition& t, const std::string& name) {
  const auto at = t.s.secrets.find(name);
  return at == t.s.secrets.end() ? nullptr : &at->second;
}

/// Whoever runs a monitor that names it is sent the monitor again, with the secret.
void send_again(Transition& t, const std::string& secret) {
  for (const auto& [key, entry] : t.s.catalog.monitors) {
    if (!names(entry.spec, secret)) continue;
    const MonitorTable& monitor = t.s.monitors[t.s.monitor_by_id.at(entry.spec.id)];
    for (const SeriesId id : monitor.series) {
      for (const Tenure& tenure : t.s.at(id).tenures) {
        if (tenure.to == WallTime::never()) t.put(t.s.agent_by_id.at(tenure.agent), id);
      }
    }
  }
}

}  // namespace

void on_put_secret(Transition& t, const PutSecret& command) {
  const SecretRow* now = find(t, command.name);
  if (const auto error = stale(now, command.name, command.rev)) {
    t.reply(*error);
    return;
  }
  if (now == nullptr && t.s.secrets.size() >= kSecretsMax) {
    t.reply(Error{Errc::kLimit, fmt::format("there are {} secrets already", kSecretsMax)});
    return;
  }
  SecretRow row{command.name, command.sealed, now == nullptr ? 1 : now->rev + 1,
                t.wall(),     command.actor,  false};
  t.audit(command.actor, now == nullptr ? "create" : "update", "secret", row.name);
  t.row(row);
  t.s.secrets[row.name] = std::move(row);
  ++t.s.secrets_rev;
  send_again(t, command.name);
  t.reply();
  t.out.reply->subject = command.name;
}

void on_delete_secret(Transition& t, const DeleteSecret& command) {
  const SecretRow* now = find(t, command.name);
  if (now == nullptr) {
    t.reply(Error{Errc::kNotFound, "there is no secret '" + command.name + "'"});
    return;
  }
  if (const auto error = stale(now, command.name, command.rev)) {
    t.reply(*error);
    return;
  }
  for (const auto& [key, entry] : t.s.catalog.monitors) {
    if (!names(entry.spec, command.name)) continue;
    t.reply(Error{Errc::kInvalid, fmt::format("monitor '{}' names secret '{}': change it first",
                                              key, command.name)});
    return;
  }
  SecretRow row = *now;
  row.sealed.clear();
  row.removed = true;
  t.audit(command.actor, "delete", "secret", row.name);
  t.s.secrets.erase(row.name);
  t.row(std::move(row));
  ++t.s.secrets_rev;
  t.reply();
}

}  // namespace tocsin::collector
