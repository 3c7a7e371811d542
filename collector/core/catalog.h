#pragma once
// Question answered here: what has been defined, and what would an edit change?
//
// The catalogue is everything people write: monitors, regions, services, policies, channels, status
// pages. `plan` checks an edit against it as a whole and returns either what changes or every
// error.

#include "common/base/expected.h"
#include "common/base/id.h"
#include "common/base/time.h"
#include "common/model/monitor_spec.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace tocsin::collector {

struct RegionSpec {
  std::string key;
  std::string name;

  friend bool operator==(const RegionSpec&, const RegionSpec&) = default;
};

enum class ChannelType : std::uint8_t { kWebhook = 1, kEmail = 2 };

struct ChannelSpec {
  ChannelId id;
  std::string key;
  ChannelType type = ChannelType::kWebhook;
  std::string url;
  std::string
      secret_file;  ///< Name below the collector's secrets_dir; the secret itself is never here.

  friend bool operator==(const ChannelSpec&, const ChannelSpec&) = default;
};

/// Whom a step notifies. Users come with the next issue; the wire and store forms have room for
/// them.
struct NotifyTarget {
  std::string channel;  ///< Channel key.

  friend bool operator==(const NotifyTarget&, const NotifyTarget&) = default;
};

struct EscalationStep {
  Duration delay{
      0};  ///< From the creation of the step before (the first: from the incident's opening).
  std::vector<NotifyTarget> notify;

  friend bool operator==(const EscalationStep&, const EscalationStep&) = default;
};

struct PolicySpec {
  PolicyId id;
  std::string key;
  int repeat = 0;                        ///< How often the whole ladder starts again; 0..10.
  std::optional<NotifyTarget> fallback;  ///< Told when the ladder has ended without an answer.
  std::vector<EscalationStep> steps;     ///< 1..20.

  friend bool operator==(const PolicySpec&, const PolicySpec&) = default;
};

struct ServiceSpec {
  ServiceId id;
  std::string key;
  std::string name;
  std::string policy;  ///< Policy key; empty: nobody is notified.

  friend bool operator==(const ServiceSpec&, const ServiceSpec&) = default;
};

struct PageComponent {
  std::string monitor;  ///< Monitor key; empty for a static component.
  std::string name;     ///< Shown; empty: the monitor's name.

  friend bool operator==(const PageComponent&, const PageComponent&) = default;
};

struct PageGroup {
  std::string name;
  std::vector<PageComponent> components;

  friend bool operator==(const PageGroup&, const PageGroup&) = default;
};

struct StatusPageSpec {
  StatusPageId id;
  std::string slug;
  std::string title;
  std::vector<PageGroup> groups;

  friend bool operator==(const StatusPageSpec&, const StatusPageSpec&) = default;
};

/// A monitor as the catalogue keeps it.
struct MonitorEntry {
  MonitorSpec spec;
  std::uint32_t spec_rev = 1;    ///< Raised by any change of what is measured.
  bool managed_by_file = false;  ///< From `monitors_file`: read-only in the API.
  WallTime created;

  friend bool operator==(const MonitorEntry&, const MonitorEntry&) = default;
};

struct Catalog {
  std::uint64_t version = 0;  ///< config_version: raised by every edit that changes something.
  std::map<std::string, RegionSpec> regions;
  std::map<std::string, MonitorEntry> monitors;
  std::map<std::string, ServiceSpec> services;  ///< Always has "default" and "system".
  std::map<std::string, PolicySpec> policies;
  std::map<std::string, ChannelSpec> channels;
  std::map<std::string, StatusPageSpec> pages;

  friend bool operator==(const Catalog&, const Catalog&) = default;

  /// The region keys that watch a monitor: its own list, or all regions in key order.
  std::vector<std::string> electorate(const MonitorSpec& spec) const;
};

/// What people want, as read from a file or the API. Ids of new objects come with it (the caller
/// mints them); the id of an object whose key exists already is ignored.
struct CatalogEdit {
  std::vector<RegionSpec> regions;
  std::vector<MonitorSpec> monitors;
  std::vector<ServiceSpec> services;
  std::vector<PolicySpec> policies;
  std::vector<ChannelSpec> channels;
  std::vector<StatusPageSpec> pages;
  bool prune = false;  ///< Delete what an earlier apply of the same source made and is not here.
  bool managed_by_file = false;

  friend bool operator==(const CatalogEdit&, const CatalogEdit&) = default;
};

enum class ChangeKind : std::uint8_t { kCreate, kUpdate, kDelete };

/// One line of a plan, for people.
struct CatalogChange {
  ChangeKind kind = ChangeKind::kCreate;
  std::string what;  ///< "monitor", "region", ...
  std::string key;
  std::vector<std::string> fields;  ///< Updated fields.

  friend bool operator==(const CatalogChange&, const CatalogChange&) = default;
};

struct CatalogPlan {
  Catalog after;
  std::vector<CatalogChange> changes;  ///< Empty: nothing to do, version unchanged.
};

/// Pure. Either the catalogue afterwards or every broken rule, with paths such as
/// "monitors[shop-checkout].regions[1]".
tl::expected<CatalogPlan, std::vector<FieldError>> plan(const Catalog& now, const CatalogEdit& edit,
                                                        WallTime at);

/// The catalogue of an empty installation: services "default" and "system" without a policy.
Catalog empty_catalog();

}  // namespace tocsin::collector
