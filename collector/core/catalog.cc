#include "collector/core/catalog.h"

#include "common/base/strings.h"

#include <algorithm>
#include <set>

namespace tocsin::collector {

namespace {

// Bounds of one catalogue. A plan that would pass one is refused as a whole.
constexpr std::size_t kRegionsMax = 64;
constexpr std::size_t kMonitorsMax = 1'000'000;
constexpr std::size_t kOthersMax = 10'000;  // Of services, policies, channels and pages, each.
constexpr std::size_t kStepsMax = 20;
constexpr std::size_t kTargetsMax = 20;  // Of one step.
constexpr Duration kStepDelayMax = 24h * 7;
constexpr std::size_t kRemovalsMax = 10'000;  // Of one edit.

using Errors = std::vector<FieldError>;

bool is_built_in(std::string_view service) { return service == "default" || service == "system"; }

template <class... Args>
void complain(Errors& errors, std::string path, fmt::format_string<Args...> text, Args&&... args) {
  errors.push_back({std::move(path), fmt::format(text, std::forward<Args>(args)...)});
}

void check_key(const char* collection, const std::string& key, std::set<std::string>& seen,
               Errors& errors) {
  const std::string path = fmt::format("{}[{}].key", collection, printable(key, 63));
  if (!is_key(key)) complain(errors, path, "expected [a-z0-9-], 1 to 63 characters");
  if (!seen.insert(key).second)
    complain(errors, path, "expected a key used once, it is there twice");
}

/// "not a region; did you mean 'eu-west'?"
template <class Map>
std::string unknown(const char* what, const std::string& key, const Map& known) {
  std::vector<std::string_view> candidates;
  for (const auto& [k, v] : known) candidates.push_back(k);
  const std::string_view near = did_you_mean(key, candidates);
  std::string text =
      fmt::format("expected the key of a {}, '{}' is none", what, printable(key, 63));
  if (!near.empty()) text += fmt::format("; did you mean '{}'?", near);
  return text;
}

template <class T>
void note(std::vector<std::string>& fields, const char* name, const T& a, const T& b) {
  if (!(a == b)) fields.emplace_back(name);
}

std::vector<std::string> differences(const RegionSpec& a, const RegionSpec& b) {
  std::vector<std::string> out;
  note(out, "name", a.name, b.name);
  return out;
}

std::vector<std::string> differences(const ServiceSpec& a, const ServiceSpec& b) {
  std::vector<std::string> out;
  note(out, "name", a.name, b.name);
  note(out, "policy", a.policy, b.policy);
  note(out, "description", a.description, b.description);
  note(out, "urgency", a.urgency, b.urgency);
  return out;
}

std::vector<std::string> differences(const PolicySpec& a, const PolicySpec& b) {
  std::vector<std::string> out;
  note(out, "repeat", a.repeat, b.repeat);
  note(out, "fallback", a.fallback, b.fallback);
  note(out, "steps", a.steps, b.steps);
  note(out, "ack_timeout", a.ack_timeout, b.ack_timeout);
  return out;
}

std::vector<std::string> differences(const ChannelSpec& a, const ChannelSpec& b) {
  std::vector<std::string> out;
  note(out, "type", a.type, b.type);
  note(out, "url", a.url, b.url);
  note(out, "to", a.to, b.to);
  note(out, "secret", a.secret_file, b.secret_file);
  return out;
}

std::vector<std::string> differences(const StatusPageSpec& a, const StatusPageSpec& b) {
  std::vector<std::string> out;
  note(out, "title", a.title, b.title);
  note(out, "description", a.description, b.description);
  note(out, "homepage", a.homepage, b.homepage);
  note(out, "contact", a.contact, b.contact);
  note(out, "noindex", a.noindex, b.noindex);
  note(out, "groups", a.groups, b.groups);
  return out;
}

std::vector<std::string> differences(const UserSpec& a, const UserSpec& b) {
  std::vector<std::string> out;
  note(out, "name", a.name, b.name);
  note(out, "email", a.email, b.email);
  note(out, "role", a.role, b.role);
  note(out, "time_zone", a.time_zone, b.time_zone);
  note(out, "disabled", a.disabled, b.disabled);
  note(out, "contact_methods", a.contacts, b.contacts);
  note(out, "notification_rules", a.rules, b.rules);
  return out;
}

std::vector<std::string> differences(const MonitorSpec& a, const MonitorSpec& b) {
  std::vector<std::string> out;
  note(out, "name", a.name, b.name);
  note(out, "type", std::string{type_name(a.probe.target)}, std::string{type_name(b.probe.target)});
  note(out, "target", a.probe.target, b.probe.target);
  note(out, "interval", a.probe.interval, b.probe.interval);
  note(out, "timeout", a.probe.timeout, b.probe.timeout);
  note(out, "retries", a.probe.retry.retries, b.probe.retry.retries);
  note(out, "retry_delay", a.probe.retry.delay, b.probe.retry.delay);
  note(out, "retry_assertions", a.probe.retry.retry_assertions, b.probe.retry.retry_assertions);
  note(out, "family", a.probe.family, b.probe.family);
  note(out, "assert", a.probe.assertions, b.probe.assertions);
  note(out, "degraded", a.probe.degraded, b.probe.degraded);
  note(out, "regions", a.regions, b.regions);
  note(out, "quorum", a.quorum, b.quorum);
  note(out, "open_after", a.open_after, b.open_after);
  note(out, "close_after", a.close_after, b.close_after);
  note(out, "confirm", a.confirm, b.confirm);
  note(out, "page_on", a.page_on_degraded, b.page_on_degraded);
  note(out, "paused", a.paused, b.paused);
  note(out, "service", a.service, b.service);
  note(out, "tags", a.tags, b.tags);
  note(out, "depends_on", a.depends_on, b.depends_on);
  return out;
}

const MonitorSpec& spec_of(const MonitorEntry& entry) { return entry.spec; }

template <class Spec>
const Spec& spec_of(const Spec& spec) {
  return spec;
}

const std::string& key_of(const StatusPageSpec& page) { return page.slug; }

template <class Spec>
const std::string& key_of(const Spec& spec) {
  return spec.key;
}

void keep_ids(RegionSpec&, const RegionSpec&) {}

template <class Spec>
void keep_ids(Spec& next, const Spec& old) {
  next.id = old.id;
}

bool says_the_same(const NotificationRule& a, const NotificationRule& b) {
  return a.contact == b.contact && a.delay == b.delay && a.urgency == b.urgency;
}

/// Also of its parts: a contact method by its key, a rule by what it says.
void keep_ids(UserSpec& next, const UserSpec& old) {
  next.id = old.id;
  for (ContactMethod& contact : next.contacts) {
    for (const ContactMethod& before : old.contacts) {
      if (before.key == contact.key) contact.id = before.id;
    }
  }
  for (NotificationRule& rule : next.rules) {
    for (const NotificationRule& before : old.rules) {
      if (says_the_same(before, rule)) rule.id = before.id;
    }
  }
}

/// What is measured, and nothing else, raises spec_rev (DEC-13).
void store(MonitorEntry& entry, MonitorSpec next) {
  if (!(entry.spec.probe == next.probe)) ++entry.spec_rev;
  entry.spec = std::move(next);
}

template <class Spec>
void store(Spec& spec, Spec next) {
  spec = std::move(next);
}

/// One plan under construction: where the edit comes from decides what it may touch.
struct Planning {
  const CatalogEdit& edit;
  WallTime at;
  CatalogPlan& out;
  Errors& errors;

  /// Objects that the monitors file owns are its alone.
  bool may_touch(const ObjectRef& ref) {
    const ObjectMeta* meta = out.after.find_meta(ref.kind, ref.key);
    if (meta == nullptr || meta->origin != Origin::kFile || edit.origin == Origin::kFile)
      return true;
    complain(errors, fmt::format("{}[{}]", collection_of(ref.kind), ref.key), "{}edit it there",
             kManagedByFile);
    return false;
  }

  void changed(ChangeKind kind, const ObjectRef& ref, std::vector<std::string> fields) {
    if (kind == ChangeKind::kDelete) {
      out.after.meta.erase(ref);
    } else {
      auto [it, fresh] = out.after.meta.try_emplace(ref, ObjectMeta{edit.origin, 0, at, at});
      if (edit.origin == Origin::kFile) it->second.origin = Origin::kFile;
      it->second.rev = out.after.version + 1;
      it->second.updated = at;
    }
    out.changes.push_back({kind, ref.kind, ref.key, std::move(fields)});
  }

  /// Creates or updates; ids of what exists already stay.
  template <class Stored, class Spec>
  void merge(ObjectKind kind, std::map<std::string, Stored>& into,
             const std::vector<Spec>& wanted) {
    for (const Spec& spec : wanted) {
      const ObjectRef ref{kind, key_of(spec)};
      if (!may_touch(ref)) continue;
      const auto it = into.find(ref.key);
      if (it == into.end()) {
        into.emplace(ref.key, Stored{spec});
        changed(ChangeKind::kCreate, ref, {});
        continue;
      }
      Spec next = spec;
      keep_ids(next, spec_of(it->second));
      auto fields = differences(spec_of(it->second), next);
      const ObjectMeta* meta = out.after.find_meta(kind, ref.key);
      const bool taken_over =
          edit.origin == Origin::kFile && (meta == nullptr || meta->origin != Origin::kFile);
      if (fields.empty() && !taken_over) continue;
      store(it->second, std::move(next));
      changed(ChangeKind::kUpdate, ref, std::move(fields));
    }
  }

  template <class Stored>
  void erase(ObjectKind kind, std::map<std::string, Stored>& from, const std::string& key) {
    const ObjectRef ref{kind, key};
    if (!may_touch(ref)) return;
    if (from.erase(key) == 0) {
      complain(errors, fmt::format("{}[{}]", collection_of(kind), printable(key, 63)),
               "no {} has this key", to_string(kind));
      return;
    }
    changed(ChangeKind::kDelete, ref, {});
  }

  /// Deletes what an earlier edit of the same origin made and this one does not name.
  template <class Stored, class Spec>
  void prune(ObjectKind kind, std::map<std::string, Stored>& from,
             const std::vector<Spec>& wanted) {
    std::set<std::string> keep;
    for (const Spec& spec : wanted) keep.insert(key_of(spec));
    std::vector<std::string> gone;
    for (const auto& [key, object] : from) {
      const ObjectMeta* meta = out.after.find_meta(kind, key);
      const bool built_in = kind == ObjectKind::kService && is_built_in(key);
      if (meta == nullptr || meta->origin != edit.origin || keep.contains(key) || built_in)
        continue;
      gone.push_back(key);
    }
    for (const std::string& key : gone) {
      from.erase(key);
      changed(ChangeKind::kDelete, {kind, key}, {});
    }
  }
};

void remove_all(Planning& p) {
  Catalog& after = p.out.after;
  for (const auto& [kind, key] : p.edit.removals) {
    if (kind == ObjectKind::kService && is_built_in(key)) {
      complain(p.errors, fmt::format("services[{}]", key), "built in: it cannot be deleted");
      continue;
    }
    switch (kind) {
      case ObjectKind::kRegion:
        p.erase(kind, after.regions, key);
        break;
      case ObjectKind::kMonitor:
        p.erase(kind, after.monitors, key);
        break;
      case ObjectKind::kService:
        p.erase(kind, after.services, key);
        break;
      case ObjectKind::kPolicy:
        p.erase(kind, after.policies, key);
        break;
      case ObjectKind::kChannel:
        p.erase(kind, after.channels, key);
        break;
      case ObjectKind::kPage:
        p.erase(kind, after.pages, key);
        break;
      case ObjectKind::kUser:
        p.erase(kind, after.users, key);
        break;
    }
  }
}

bool exists(const Catalog& catalog, const ObjectRef& ref) {
  switch (ref.kind) {
    case ObjectKind::kRegion:
      return catalog.regions.contains(ref.key);
    case ObjectKind::kMonitor:
      return catalog.monitors.contains(ref.key);
    case ObjectKind::kService:
      return catalog.services.contains(ref.key);
    case ObjectKind::kPolicy:
      return catalog.policies.contains(ref.key);
    case ObjectKind::kChannel:
      return catalog.channels.contains(ref.key);
    case ObjectKind::kPage:
      return catalog.pages.contains(ref.key);
    case ObjectKind::kUser:
      return catalog.users.contains(ref.key);
  }
  return false;
}

void check_preconditions(const Catalog& now, const CatalogEdit& edit, Errors& errors) {
  for (const Precondition& p : edit.preconditions) {
    const std::string path =
        fmt::format("{}[{}]", collection_of(p.object.kind), printable(p.object.key, 63));
    const bool there = exists(now, p.object);
    if (p.rev && *p.rev == 0) {
      if (there) {
        complain(errors, path, "{}a {} with this key exists already", kChangedMeanwhile,
                 to_string(p.object.kind));
      }
      continue;
    }
    if (!there) {
      complain(errors, path, "{}it no longer exists", kChangedMeanwhile);
      continue;
    }
    const ObjectMeta* meta = now.find_meta(p.object.kind, p.object.key);
    if (p.rev && (meta == nullptr || meta->rev != *p.rev)) {
      complain(errors, path, "{}it is version {} now, not {}", kChangedMeanwhile,
               meta == nullptr ? 0 : meta->rev, *p.rev);
    }
  }
}

void check_target(const NotifyTarget& target, const std::string& path, const Catalog& after,
                  Errors& errors) {
  if (target.channel.empty() == target.user.empty()) {
    complain(errors, path, "expected either a channel or a user");
  } else if (!target.user.empty()) {
    if (!after.users.contains(target.user)) {
      complain(errors, path + ".user", "{}", unknown("user", target.user, after.users));
    }
  } else if (!after.channels.contains(target.channel)) {
    complain(errors, path + ".channel", "{}", unknown("channel", target.channel, after.channels));
  }
}

void check_policies(const Catalog& after, Errors& errors) {
  for (const auto& [key, policy] : after.policies) {
    const std::string path = fmt::format("escalation-policies[{}]", key);
    if (policy.repeat < 0 || policy.repeat > 10) {
      complain(errors, path + ".repeat", "expected 0 to 10");
    }
    if (policy.steps.empty() || policy.steps.size() > kStepsMax) {
      complain(errors, path + ".steps", "expected 1 to {} steps", kStepsMax);
    }
    if (policy.ack_timeout != Duration{0} &&
        (policy.ack_timeout < 1min || policy.ack_timeout > kStepDelayMax)) {
      complain(errors, path + ".ack_timeout", "expected 0s, or 1m to {}",
               format_duration(kStepDelayMax));
    }
    for (std::size_t i = 0; i < policy.steps.size(); ++i) {
      const EscalationStep& step = policy.steps[i];
      const std::string at = fmt::format("{}.steps[{}]", path, i);
      if (step.delay < Duration{0} || step.delay > kStepDelayMax) {
        complain(errors, at + ".delay", "expected 0s to {}", format_duration(kStepDelayMax));
      }
      if (step.notify.empty() || step.notify.size() > kTargetsMax) {
        complain(errors, at + ".notify", "expected 1 to {} targets", kTargetsMax);
      }
      for (std::size_t j = 0; j < step.notify.size(); ++j) {
        check_target(step.notify[j], fmt::format("{}.notify[{}]", at, j), after, errors);
      }
    }
    if (policy.fallback) check_target(*policy.fallback, path + ".fallback", after, errors);
  }
}

void check_monitors(const Catalog& after, Errors& errors) {
  for (const auto& [key, entry] : after.monitors) {
    const MonitorSpec& spec = entry.spec;
    const std::string path = fmt::format("monitors[{}]", key);
    for (std::size_t i = 0; i < spec.regions.size(); ++i) {
      const std::string at = fmt::format("{}.regions[{}]", path, i);
      if (!after.regions.contains(spec.regions[i])) {
        complain(errors, at, "{}", unknown("region", spec.regions[i], after.regions));
      }
      if (std::count(spec.regions.begin(), spec.regions.end(), spec.regions[i]) > 1) {
        complain(errors, at, "expected each region once");
      }
    }
    const std::size_t n = after.electorate(spec).size();
    if (n == 0) complain(errors, path + ".regions", "expected at least one region to watch from");
    if (spec.quorum.kind == QuorumKind::kNumber &&
        (spec.quorum.number < 1 || static_cast<std::size_t>(spec.quorum.number) > n)) {
      complain(errors, path + ".quorum", "expected 1 to {} (the number of regions)", n);
    }
    if (!after.services.contains(spec.service)) {
      complain(errors, path + ".service", "{}", unknown("service", spec.service, after.services));
    }
    for (std::size_t i = 0; i < spec.depends_on.size(); ++i) {
      if (!after.monitors.contains(spec.depends_on[i])) {
        complain(errors, fmt::format("{}.depends_on[{}]", path, i), "{}",
                 unknown("monitor", spec.depends_on[i], after.monitors));
      }
    }
  }
}

void check_whole(const Catalog& after, Errors& errors) {
  if (after.regions.size() > kRegionsMax) {
    complain(errors, "regions", "expected at most {}", kRegionsMax);
  }
  if (after.monitors.size() > kMonitorsMax) {
    complain(errors, "monitors", "expected at most {}", kMonitorsMax);
  }
  if (std::max({after.services.size(), after.policies.size(), after.channels.size(),
                after.pages.size(), after.users.size()}) > kOthersMax) {
    complain(errors, "catalog", "expected at most {} objects of each kind", kOthersMax);
  }
  for (const auto& [key, service] : after.services) {
    if (!service.policy.empty() && !after.policies.contains(service.policy)) {
      complain(errors, fmt::format("services[{}].policy", key), "{}",
               unknown("escalation policy", service.policy, after.policies));
    }
  }
  check_policies(after, errors);
  check_monitors(after, errors);
  for (const auto& [slug, page] : after.pages) {
    std::size_t components = 0;
    for (const PageGroup& group : page.groups) components += group.components.size();
    if (components > kPageComponentsMax) {
      complain(errors, fmt::format("status-pages[{}].groups", slug),
               "expected at most {} components in all, not {}", kPageComponentsMax, components);
    }
    for (std::size_t g = 0; g < page.groups.size(); ++g) {
      const PageGroup& group = page.groups[g];
      for (std::size_t c = 0; c < group.components.size(); ++c) {
        const std::string& monitor = group.components[c].monitor;
        if (monitor.empty() || after.monitors.contains(monitor)) continue;
        complain(errors,
                 fmt::format("status-pages[{}].groups[{}].components[{}].monitor", slug, g, c),
                 "{}", unknown("monitor", monitor, after.monitors));
      }
    }
  }
}

/// Whoever locks everybody out cannot let anybody in again.
void check_admins(const Catalog& before, const Catalog& after, Errors& errors) {
  const auto admins = [](const Catalog& catalog) {
    return std::count_if(catalog.users.begin(), catalog.users.end(), [](const auto& entry) {
      return entry.second.role == Role::kAdmin && !entry.second.disabled;
    });
  };
  if (admins(before) > 0 && admins(after) == 0) {
    complain(errors, "users", "expected at least one admin who is not disabled to be left");
  }
}

void check_user(const UserSpec& user, Errors& errors) {
  const std::string path = fmt::format("users[{}]", printable(user.key, 63));
  if (user.contacts.size() > kUserPartsMax) {
    complain(errors, path + ".contact_methods", "expected at most {}", kUserPartsMax);
  }
  if (user.rules.size() > kUserPartsMax) {
    complain(errors, path + ".notification_rules", "expected at most {}", kUserPartsMax);
  }
  std::set<std::string> methods;
  for (std::size_t i = 0; i < user.contacts.size(); ++i) {
    if (methods.insert(user.contacts[i].key).second) continue;
    complain(errors, fmt::format("{}.contact_methods[{}].key", path, i),
             "expected a key used once, it is there twice");
  }
  for (std::size_t i = 0; i < user.rules.size(); ++i) {
    for (std::size_t before = 0; before < i; ++before) {
      if (!says_the_same(user.rules[before], user.rules[i])) continue;
      complain(errors, fmt::format("{}.notification_rules[{}]", path, i),
               "expected rules that differ, it says what [{}] says", before);
    }
    if (methods.contains(user.rules[i].contact)) continue;
    complain(errors, fmt::format("{}.notification_rules[{}].contact", path, i),
             "expected the key of one of the user's contact methods, '{}' is none",
             printable(user.rules[i].contact, 63));
  }
}

void check_edit(const CatalogEdit& edit, Errors& errors) {
  std::set<std::string> seen;
  const auto keys = [&](const char* collection, const auto& items) {
    seen.clear();
    for (const auto& item : items) check_key(collection, item.key, seen, errors);
  };
  keys("regions", edit.regions);
  keys("monitors", edit.monitors);
  keys("services", edit.services);
  keys("escalation-policies", edit.policies);
  keys("channels", edit.channels);
  keys("users", edit.users);
  seen.clear();
  for (const StatusPageSpec& page : edit.pages) check_key("status-pages", page.slug, seen, errors);
  for (const MonitorSpec& spec : edit.monitors) {
    for (FieldError& error : validate(spec)) {
      if (error.path == "key") continue;  // Said above.
      errors.push_back({fmt::format("monitors[{}].{}", printable(spec.key, 63), error.path),
                        std::move(error.text)});
    }
  }
  for (const UserSpec& user : edit.users) check_user(user, errors);
  if (edit.removals.size() > kRemovalsMax) {
    complain(errors, "removals", "expected at most {}", kRemovalsMax);
  }
  for (const ChannelSpec& channel : edit.channels) {
    const bool web = channel.type == ChannelType::kWebhook;
    if (web && !channel.url.starts_with("http://") && !channel.url.starts_with("https://")) {
      complain(errors, fmt::format("channels[{}].url", printable(channel.key, 63)),
               "expected an http:// or https:// URL");
    }
    if (!web && !is_mail_address(channel.to)) {
      complain(errors, fmt::format("channels[{}].to", printable(channel.key, 63)),
               "expected an e-mail address");
    }
  }
}

}  // namespace

std::vector<std::string> Catalog::electorate(const MonitorSpec& spec) const {
  if (!spec.regions.empty()) return spec.regions;
  std::vector<std::string> all;
  all.reserve(regions.size());
  for (const auto& [key, region] : regions) all.push_back(key);
  return all;
}

const ObjectMeta* Catalog::find_meta(ObjectKind kind, std::string_view key) const {
  const auto it = meta.find(ObjectRef{kind, std::string{key}});
  return it == meta.end() ? nullptr : &it->second;
}

std::string PageComponent::key() const {
  if (!monitor.empty()) return monitor;
  std::string out;
  for (const char c : to_lower(name)) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (plain) {
      out += c;
    } else if (!out.empty() && out.back() != '-') {
      out += '-';
    }
  }
  while (!out.empty() && out.back() == '-') out.pop_back();
  if (out.size() > 63) out.resize(63);
  return out.empty() ? "component" : out;
}

const char* to_string(Urgency urgency) {
  switch (urgency) {
    case Urgency::kLow:
      return "low";
    case Urgency::kHigh:
      return "high";
  }
  return "?";
}

const char* to_string(Role role) {
  switch (role) {
    case Role::kViewer:
      return "viewer";
    case Role::kResponder:
      return "responder";
    case Role::kEditor:
      return "editor";
    case Role::kAdmin:
      return "admin";
  }
  return "?";
}

std::optional<Role> parse_role(std::string_view word) {
  for (const Role role : {Role::kViewer, Role::kResponder, Role::kEditor, Role::kAdmin}) {
    if (word == to_string(role)) return role;
  }
  return std::nullopt;
}

const char* to_string(Origin origin) {
  switch (origin) {
    case Origin::kApi:
      return "api";
    case Origin::kApply:
      return "apply";
    case Origin::kFile:
      return "file";
  }
  return "?";
}

const char* to_string(ObjectKind kind) {
  switch (kind) {
    case ObjectKind::kRegion:
      return "region";
    case ObjectKind::kMonitor:
      return "monitor";
    case ObjectKind::kService:
      return "service";
    case ObjectKind::kPolicy:
      return "policy";
    case ObjectKind::kChannel:
      return "channel";
    case ObjectKind::kPage:
      return "status-page";
    case ObjectKind::kUser:
      return "user";
  }
  return "?";
}

const char* collection_of(ObjectKind kind) {
  switch (kind) {
    case ObjectKind::kRegion:
      return "regions";
    case ObjectKind::kMonitor:
      return "monitors";
    case ObjectKind::kService:
      return "services";
    case ObjectKind::kPolicy:
      return "escalation-policies";
    case ObjectKind::kChannel:
      return "channels";
    case ObjectKind::kPage:
      return "status-pages";
    case ObjectKind::kUser:
      return "users";
  }
  return "?";
}

std::optional<ObjectKind> parse_object_kind(std::string_view word) {
  for (const ObjectKind kind :
       {ObjectKind::kRegion, ObjectKind::kMonitor, ObjectKind::kService, ObjectKind::kPolicy,
        ObjectKind::kChannel, ObjectKind::kPage, ObjectKind::kUser}) {
    if (word == to_string(kind)) return kind;
  }
  return std::nullopt;
}

const char* to_string(ChangeKind kind) {
  switch (kind) {
    case ChangeKind::kCreate:
      return "create";
    case ChangeKind::kUpdate:
      return "update";
    case ChangeKind::kDelete:
      return "delete";
  }
  return "?";
}

Catalog empty_catalog() {
  Catalog catalog;
  catalog.services["default"] = ServiceSpec{{}, "default", "Default", "", ""};
  catalog.services["system"] = ServiceSpec{{}, "system", "tocsin itself", "", ""};
  return catalog;
}

tl::expected<CatalogPlan, std::vector<FieldError>> plan(const Catalog& now, const CatalogEdit& edit,
                                                        WallTime at) {
  Errors errors;
  check_preconditions(now, edit, errors);
  check_edit(edit, errors);

  CatalogPlan out;
  out.after = now;
  Catalog& after = out.after;
  Planning p{edit, at, out, errors};
  p.merge(ObjectKind::kRegion, after.regions, edit.regions);
  p.merge(ObjectKind::kUser, after.users, edit.users);
  p.merge(ObjectKind::kChannel, after.channels, edit.channels);
  p.merge(ObjectKind::kPolicy, after.policies, edit.policies);
  p.merge(ObjectKind::kService, after.services, edit.services);
  p.merge(ObjectKind::kMonitor, after.monitors, edit.monitors);
  p.merge(ObjectKind::kPage, after.pages, edit.pages);
  if (edit.prune) {
    p.prune(ObjectKind::kRegion, after.regions, edit.regions);
    p.prune(ObjectKind::kUser, after.users, edit.users);
    p.prune(ObjectKind::kChannel, after.channels, edit.channels);
    p.prune(ObjectKind::kPolicy, after.policies, edit.policies);
    p.prune(ObjectKind::kService, after.services, edit.services);
    p.prune(ObjectKind::kMonitor, after.monitors, edit.monitors);
    p.prune(ObjectKind::kPage, after.pages, edit.pages);
  }
  remove_all(p);
  check_whole(after, errors);
  check_admins(now, after, errors);
  if (!errors.empty()) return tl::unexpected{std::move(errors)};
  if (!out.changes.empty()) ++after.version;
  return out;
}

}  // namespace tocsin::collector
