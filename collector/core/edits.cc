#include "collector/core/checkpoint.h"
#include "collector/core/transition.h"
#include "common/base/check.h"
#include "common/base/strings.h"

#include <algorithm>

namespace tocsin::collector {

namespace {

void change_series(Transition& t, const SeriesChange& change) {
  apply(t.s, change);
  t.journal(encode_change(change));
}

SeriesId mint_series(Transition& t, MonitorTable& monitor, std::uint32_t region) {
  const auto id = static_cast<SeriesId>(static_cast<std::uint32_t>(t.s.series.size()));
  const std::uint32_t generation = ++t.s.generations[{monitor.id, region}];
  const MonitorSpec& spec = monitor.entry->spec;
  SeriesState series;
  series.row = {id,         monitor.id,
                spec.key,   t.s.regions[region].key,
                generation, slot_grid(monitor.id, t.s.regions[region].key, spec.probe.interval),
                t.wall(),   WallTime::never()};
  series.monitor = t.s.monitor_by_id.at(monitor.id);
  series.region = region;
  t.row(series.row);
  t.s.series.push_back(std::move(series));
  t.s.regions[region].series.insert(id);
  return id;
}

/// Its results are stored for as long as its tenures say, and vote no more.
void end_series(Transition& t, SeriesId id, bool monitor_deleted) {
  SeriesState& series = t.s.at(id);
  unassign(t, id);
  change_series(t, {id, series.spec_rev, false, true});
  series.row.to = t.wall();
  t.row(series.row);
  t.s.regions[series.region].series.erase(id);
  if (monitor_deleted) series.monitor = kNoIndex;
}

void end_incident(Transition& t, MonitorTable& monitor, const std::string& why) {
  monitor.owed = monitor.hand_resolved = false;
  if (!monitor.state.incident) return;
  const IncidentId id = *monitor.state.incident;
  monitor.state.incident.reset();
  close(t, id, "", why);
}

void delete_monitor(Transition& t, std::uint32_t index) {
  MonitorTable& monitor = t.s.monitors[index];
  end_incident(t, monitor, "the monitor was deleted");
  t.row(monitor.state);
  for (const SeriesId id : monitor.series) end_series(t, id, true);
  monitor.series.clear();
  monitor.kept.clear();
  arm_monitor(t.s, index, INT64_MAX);
  t.s.monitor_by_id.erase(monitor.id);
  monitor.entry = nullptr;
}

/// The series of the electorate, kept where region and interval stay. True when the electorate is
/// another one.
bool sync_series(Transition& t, MonitorTable& monitor, bool keep_generation) {
  const MonitorSpec& spec = monitor.entry->spec;
  std::vector<SeriesId> wanted;
  std::vector<SeriesId> spare = monitor.series;
  for (const std::string& key : t.s.catalog.electorate(spec)) {
    const std::uint32_t region = t.s.region_by_key.at(key);
    const auto it = std::find_if(spare.begin(), spare.end(), [&](SeriesId id) {
      return keep_generation && t.s.at(id).region == region;
    });
    if (it != spare.end()) {
      wanted.push_back(*it);
      spare.erase(it);
    } else {
      wanted.push_back(mint_series(t, monitor, region));
    }
  }
  for (const SeriesId id : spare) end_series(t, id, false);
  const bool other = wanted != monitor.series;
  monitor.series = std::move(wanted);
  return other;
}

/// Brings tables, votes and assignments in line with the entry. `before` is null for a new monitor.
void sync_monitor(Transition& t, std::uint32_t index, const MonitorEntry* before) {
  MonitorTable& monitor = t.s.monitors[index];
  const MonitorSpec& spec = monitor.entry->spec;
  const bool was_paused = before != nullptr && before->spec.paused;
  const bool same_rev = before != nullptr && before->spec_rev == monitor.entry->spec_rev;
  const bool same_interval =
      before != nullptr && before->spec.probe.interval == spec.probe.interval;
  const bool pause_turned = before != nullptr && was_paused != spec.paused;
  const bool told_otherwise = before != nullptr && before->spec.confirm != spec.confirm;

  if (spec.paused && !was_paused) end_incident(t, monitor, "the monitor was paused");
  const bool other_electorate = sync_series(t, monitor, same_interval);
  const RunRule rule_before = monitor.rule;
  derive(t.s, monitor);

  for (const SeriesId id : monitor.series) {
    SeriesState& series = t.s.at(id);
    const bool afresh = series.spec_rev != monitor.entry->spec_rev || pause_turned;
    if (afresh || series.voting == spec.paused) {
      change_series(t, {id, monitor.entry->spec_rev, !spec.paused, afresh});
    } else if (!(rule_before == monitor.rule)) {
      series.log.recount(monitor.rule);
    }
    if (spec.paused) {
      unassign(t, id);
    } else {
      place_series(t, id);
      if (!same_rev || told_otherwise) {
        for (const Tenure& tenure : series.tenures) {
          if (tenure.to == WallTime::never()) t.put(t.s.agent_by_id.at(tenure.agent), id);
        }
      }
    }
  }

  const bool afresh = before == nullptr || !same_rev || pause_turned || other_electorate;
  const bool other_rules = afresh || !(rule_before == monitor.rule) ||
                           !(before->spec.quorum == spec.quorum) ||
                           before->spec.page_on_degraded != spec.page_on_degraded;
  if (!other_rules) return;
  set_rules_since(t, monitor, afresh);
  if (before == nullptr || pause_turned) {
    const MonitorStatus was = monitor.state.status;
    monitor.state.monitor = monitor.id;
    monitor.state.status = spec.paused ? MonitorStatus::kPaused : MonitorStatus::kNew;
    monitor.state.since = t.wall();
    monitor.state.because = spec.paused ? "paused" : "no result yet";
    if (before != nullptr) {
      t.event("monitor", spec.key,
              fmt::format("{} -> {}", to_string(was), to_string(monitor.state.status)));
    }
    if (spec.paused) {
      arm_monitor(t.s, index, INT64_MAX);
      monitor.kept.clear();
    }
    t.row(monitor.state);
  }
  assess(t, index, t.wall_ms(), false);
}

void sync_regions(Transition& t) {
  for (RegionTable& region : t.s.regions) {
    const bool defined = t.s.catalog.regions.contains(region.key);
    if (region.defined && !defined && region.row.incident) {
      const IncidentId id = *region.row.incident;
      region.row.incident.reset();
      t.row(region.row);
      close(t, id, "", "the region was removed");
    }
    if (!region.defined && defined) {
      region.sight.dark_since = t.mono();
      region.row.blind = false;
      t.row(region.row);
    }
    region.defined = defined;
  }
  for (const auto& [key, spec] : t.s.catalog.regions) {
    if (t.s.region_by_key.contains(key)) continue;
    RegionTable region;
    region.key = key;
    region.defined = true;
    region.row = {key, false, t.wall(), std::nullopt};
    region.sight.dark_since = t.mono();
    t.row(region.row);
    t.s.region_by_key[key] = static_cast<std::uint32_t>(t.s.regions.size());
    t.s.regions.push_back(std::move(region));
  }
}

template <class Map>
void write_object(Transition& t, const Map& before, const Map& after, const CatalogChange& change) {
  const ObjectRef ref{change.what, change.key};
  if (change.kind == ChangeKind::kDelete) {
    t.row(CatalogRow{before.at(change.key), true});
    t.row(ObjectRow{ref.kind, ref.key, {}, true});
  } else {
    t.row(CatalogRow{after.at(change.key), false});
    t.row(ObjectRow{ref.kind, ref.key, t.s.catalog.meta.at(ref), false});
  }
}

void write_catalog(Transition& t, const Catalog& before, const std::vector<CatalogChange>& changes,
                   const std::string& actor) {
  const Catalog& after = t.s.catalog;
  for (const CatalogChange& change : changes) {
    switch (change.what) {
      case ObjectKind::kRegion:
        write_object(t, before.regions, after.regions, change);
        break;
      case ObjectKind::kMonitor:
        write_object(t, before.monitors, after.monitors, change);
        break;
      case ObjectKind::kService:
        write_object(t, before.services, after.services, change);
        break;
      case ObjectKind::kPolicy:
        write_object(t, before.policies, after.policies, change);
        break;
      case ObjectKind::kChannel:
        write_object(t, before.channels, after.channels, change);
        break;
      case ObjectKind::kPage:
        write_object(t, before.pages, after.pages, change);
        break;
      case ObjectKind::kUser:
        write_object(t, before.users, after.users, change);
        break;
    }
    t.audit(actor, to_string(change.kind), to_string(change.what), change.key,
            join(change.fields, ", "));
  }
  t.row(MetaRow{"config_version", after.version});
}

}  // namespace

void derive(State& s, MonitorTable& monitor) {
  const MonitorSpec& spec = monitor.entry->spec;
  monitor.id = spec.id;
  monitor.rule = run_rule(spec);
  monitor.fresh = freshness(spec.probe);
  monitor.late = late_after(spec.probe);
  monitor.k = spec.quorum.required(static_cast<int>(s.catalog.electorate(spec).size()));
}

void on_apply(Transition& t, const ApplyCatalog& command) {
  if (t.answered_before(command.once)) return;
  auto planned = plan(t.s.catalog, command.edit, t.wall());
  if (!planned) {
    t.reply(Error{Errc::kInvalid, fmt::format("apply: {} rules are broken, the first: {}: {}",
                                              planned.error().size(), planned.error()[0].path,
                                              planned.error()[0].text)});
    t.out.reply->fields = std::move(planned.error());
    return;
  }
  std::string subject = planned->changes.empty() ? std::string{} : planned->changes[0].key;
  if (command.dry_run) {
    t.reply();
  } else {
    t.done(command.once, std::move(subject));
  }
  t.out.reply->changes = planned->changes;
  if (planned->changes.empty() || command.dry_run) return;

  for (const CatalogChange& change : planned->changes) {
    if (change.what != ObjectKind::kMonitor || change.kind != ChangeKind::kDelete) continue;
    delete_monitor(t, t.s.monitor_by_id.at(t.s.catalog.monitors.at(change.key).spec.id));
  }
  const Catalog before = std::move(t.s.catalog);
  t.s.catalog = std::move(planned->after);
  for (auto& [key, entry] : t.s.catalog.monitors) {
    const auto it = t.s.monitor_by_id.find(entry.spec.id);
    if (it != t.s.monitor_by_id.end()) t.s.monitors[it->second].entry = &entry;
  }
  write_catalog(t, before, planned->changes, command.actor);
  sync_users(t, before);
  sync_regions(t);
  sync_dead_channels(t);
  t.event("catalog", fmt::format("{}", t.s.catalog.version),
          fmt::format("{} changes by {}", planned->changes.size(), command.actor));

  std::set<std::string> changed;
  bool regions_turned = false;
  for (const CatalogChange& change : planned->changes) {
    if (change.what == ObjectKind::kMonitor) changed.insert(change.key);
    regions_turned |= change.what == ObjectKind::kRegion && change.kind != ChangeKind::kUpdate;
  }
  for (auto& [key, entry] : t.s.catalog.monitors) {
    if (!changed.contains(key) && !(regions_turned && entry.spec.regions.empty())) continue;
    auto [it, fresh] = t.s.monitor_by_id.try_emplace(
        entry.spec.id, static_cast<std::uint32_t>(t.s.monitors.size()));
    if (fresh) {
      t.s.monitors.emplace_back();
      t.s.monitors.back().entry = &entry;
      t.s.monitors.back().id = entry.spec.id;
    }
    const auto old = before.monitors.find(key);
    sync_monitor(t, it->second, fresh || old == before.monitors.end() ? nullptr : &old->second);
  }
}

}  // namespace tocsin::collector
