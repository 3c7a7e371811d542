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

using Errors = std::vector<FieldError>;

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
  return out;
}

std::vector<std::string> differences(const PolicySpec& a, const PolicySpec& b) {
  std::vector<std::string> out;
  note(out, "repeat", a.repeat, b.repeat);
  note(out, "fallback", a.fallback, b.fallback);
  note(out, "steps", a.steps, b.steps);
  return out;
}

std::vector<std::string> differences(const ChannelSpec& a, const ChannelSpec& b) {
  std::vector<std::string> out;
  note(out, "type", a.type, b.type);
  note(out, "url", a.url, b.url);
  note(out, "secret", a.secret_file, b.secret_file);
  return out;
}

std::vector<std::string> differences(const StatusPageSpec& a, const StatusPageSpec& b) {
  std::vector<std::string> out;
  note(out, "title", a.title, b.title);
  note(out, "groups", a.groups, b.groups);
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

/// Creates or updates; the id of what exists already stays.
template <class Spec>
void merge(std::map<std::string, Spec>& into, const std::vector<Spec>& wanted, const char* what,
           std::vector<CatalogChange>& changes) {
  for (const Spec& spec : wanted) {
    const auto it = into.find(spec.key);
    if (it == into.end()) {
      into.emplace(spec.key, spec);
      changes.push_back({ChangeKind::kCreate, what, spec.key, {}});
      continue;
    }
    auto fields = differences(it->second, spec);
    if (fields.empty()) continue;
    Spec next = spec;
    if constexpr (requires { next.id; }) next.id = it->second.id;
    it->second = std::move(next);
    changes.push_back({ChangeKind::kUpdate, what, spec.key, std::move(fields)});
  }
}

void merge_monitors(Catalog& after, const CatalogEdit& edit, WallTime at,
                    std::vector<CatalogChange>& changes, Errors& errors) {
  for (const MonitorSpec& wanted : edit.monitors) {
    const auto it = after.monitors.find(wanted.key);
    if (it == after.monitors.end()) {
      after.monitors.emplace(wanted.key, MonitorEntry{wanted, 1, edit.managed_by_file, at});
      changes.push_back({ChangeKind::kCreate, "monitor", wanted.key, {}});
      continue;
    }
    MonitorEntry& entry = it->second;
    if (entry.managed_by_file && !edit.managed_by_file) {
      complain(errors, fmt::format("monitors[{}]", wanted.key),
               "managed by the monitors file: edit it there");
      continue;
    }
    MonitorSpec next = wanted;
    next.id = entry.spec.id;
    auto fields = differences(entry.spec, next);
    if (fields.empty() && entry.managed_by_file == edit.managed_by_file) continue;
    // What is measured, and nothing else, raises spec_rev (DEC-13).
    if (!(entry.spec.probe == next.probe)) ++entry.spec_rev;
    entry.spec = std::move(next);
    entry.managed_by_file = edit.managed_by_file;
    changes.push_back({ChangeKind::kUpdate, "monitor", wanted.key, std::move(fields)});
  }
}

/// Deletes what is not named in `wanted`. Only file-managed monitors know who made them; the other
/// kinds come from the file alone, so its prune owns them.
template <class Spec>
void prune(std::map<std::string, Spec>& from, const std::vector<Spec>& wanted, const char* what,
           const std::set<std::string>& keep, std::vector<CatalogChange>& changes) {
  std::set<std::string> keys = keep;
  for (const Spec& spec : wanted) keys.insert(spec.key);
  for (auto it = from.begin(); it != from.end();) {
    if (keys.contains(it->first)) {
      ++it;
      continue;
    }
    changes.push_back({ChangeKind::kDelete, what, it->first, {}});
    it = from.erase(it);
  }
}

void check_target(const NotifyTarget& target, const std::string& path, const Catalog& after,
                  Errors& errors) {
  if (!after.channels.contains(target.channel)) {
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
                after.pages.size()}) > kOthersMax) {
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
  seen.clear();
  for (const StatusPageSpec& page : edit.pages) check_key("status-pages", page.slug, seen, errors);
  for (const MonitorSpec& spec : edit.monitors) {
    for (FieldError& error : validate(spec)) {
      if (error.path == "key") continue;  // Said above.
      errors.push_back({fmt::format("monitors[{}].{}", printable(spec.key, 63), error.path),
                        std::move(error.text)});
    }
  }
  for (const ChannelSpec& channel : edit.channels) {
    const bool web = channel.type == ChannelType::kWebhook;
    if (web && !channel.url.starts_with("http://") && !channel.url.starts_with("https://")) {
      complain(errors, fmt::format("channels[{}].url", printable(channel.key, 63)),
               "expected an http:// or https:// URL");
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

Catalog empty_catalog() {
  Catalog catalog;
  catalog.services["default"] = ServiceSpec{{}, "default", "Default", ""};
  catalog.services["system"] = ServiceSpec{{}, "system", "tocsin itself", ""};
  return catalog;
}

tl::expected<CatalogPlan, std::vector<FieldError>> plan(const Catalog& now, const CatalogEdit& edit,
                                                        WallTime at) {
  Errors errors;
  check_edit(edit, errors);

  CatalogPlan out;
  out.after = now;
  merge(out.after.regions, edit.regions, "region", out.changes);
  merge(out.after.channels, edit.channels, "channel", out.changes);
  merge(out.after.policies, edit.policies, "policy", out.changes);
  merge(out.after.services, edit.services, "service", out.changes);
  merge_monitors(out.after, edit, at, out.changes, errors);
  for (const StatusPageSpec& page : edit.pages) {
    const auto it = out.after.pages.find(page.slug);
    if (it == out.after.pages.end()) {
      out.after.pages.emplace(page.slug, page);
      out.changes.push_back({ChangeKind::kCreate, "status-page", page.slug, {}});
    } else if (auto fields = differences(it->second, page); !fields.empty()) {
      StatusPageSpec next = page;
      next.id = it->second.id;
      it->second = std::move(next);
      out.changes.push_back({ChangeKind::kUpdate, "status-page", page.slug, std::move(fields)});
    }
  }
  if (edit.prune) {
    std::set<std::string> keep;  // What people made elsewhere is not this source's to delete.
    for (const auto& [key, entry] : out.after.monitors) {
      if (entry.managed_by_file != edit.managed_by_file) keep.insert(key);
    }
    std::set<std::string> wanted = keep;
    for (const MonitorSpec& spec : edit.monitors) wanted.insert(spec.key);
    for (auto it = out.after.monitors.begin(); it != out.after.monitors.end();) {
      if (wanted.contains(it->first)) {
        ++it;
        continue;
      }
      out.changes.push_back({ChangeKind::kDelete, "monitor", it->first, {}});
      it = out.after.monitors.erase(it);
    }
    if (edit.managed_by_file) {
      prune(out.after.regions, edit.regions, "region", {}, out.changes);
      prune(out.after.services, edit.services, "service", {"default", "system"}, out.changes);
      prune(out.after.policies, edit.policies, "policy", {}, out.changes);
      prune(out.after.channels, edit.channels, "channel", {}, out.changes);
      std::set<std::string> slugs;
      for (const StatusPageSpec& page : edit.pages) slugs.insert(page.slug);
      for (auto it = out.after.pages.begin(); it != out.after.pages.end();) {
        if (slugs.contains(it->first)) {
          ++it;
          continue;
        }
        out.changes.push_back({ChangeKind::kDelete, "status-page", it->first, {}});
        it = out.after.pages.erase(it);
      }
    }
  }
  check_whole(out.after, errors);
  if (!errors.empty()) return tl::unexpected{std::move(errors)};
  if (!out.changes.empty()) ++out.after.version;
  return out;
}

}  // namespace tocsin::collector
