#pragma once
// Question answered here: what has been defined, and what would an edit change?
//
// The catalogue is everything people write: monitors, regions, services, policies, channels, status
// pages, users. `plan` checks an edit against it as a whole and returns either what changes or
// every error.

#include "collector/core/send_rate.h"
#include "common/base/expected.h"
#include "common/base/id.h"
#include "common/base/time.h"
#include "common/model/monitor_spec.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
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
  std::string url;  ///< kWebhook.
  std::string to;   ///< kEmail: the address.
  std::string
      secret_file;  ///< Name below the collector's secrets_dir; the secret itself is never here.
  SendRate rate;

  friend bool operator==(const ChannelSpec&, const ChannelSpec&) = default;
};

/// Whom a step notifies: exactly one of the two is set.
struct NotifyTarget {
  std::string channel;  ///< Channel key.
  std::string user;     ///< User key; told by the user's own notification rules.

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
  /// An acknowledged incident that is not resolved this long after is open again and the ladder
  /// starts anew; 0: an acknowledgement holds. 0 or 1m .. 7d.
  Duration ack_timeout{0};

  friend bool operator==(const PolicySpec&, const PolicySpec&) = default;
};

/// How soon somebody has to look.
enum class Urgency : std::uint8_t { kLow = 1, kHigh = 2 };

const char* to_string(Urgency urgency);

struct ServiceSpec {
  ServiceId id;
  std::string key;
  std::string name;
  std::string policy;  ///< Policy key; empty: nobody is notified.
  std::string description;
  Urgency urgency = Urgency::kHigh;  ///< Of its incidents; users' rules may differ by it.

  friend bool operator==(const ServiceSpec&, const ServiceSpec&) = default;
};

struct PageComponent {
  std::string monitor;      ///< Monitor key; empty for a static component.
  std::string name;         ///< Shown; empty: the monitor's name.
  std::string description;  ///< Shown below the name; may be empty.

  /// What reports name it by, and what its public id is made from: the monitor's key, or the name
  /// in lower case with runs of other characters as one '-'. Unique within a page.
  std::string key() const;

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
  std::string description;
  std::string homepage;  ///< http(s) URL of the page's owner; may be empty.
  std::string contact;   ///< http(s) URL or e-mail address for readers; may be empty.
  bool noindex = false;  ///< Ask search engines to stay away.
  std::vector<PageGroup> groups;

  friend bool operator==(const StatusPageSpec&, const StatusPageSpec&) = default;
};

/// What a principal may do; each role includes those before it (collector/api/authorize.h).
enum class Role : std::uint8_t { kViewer = 1, kResponder = 2, kEditor = 3, kAdmin = 4 };

const char* to_string(Role role);
std::optional<Role> parse_role(std::string_view word);

/// One way to reach a user. Unlike a channel it belongs to one person.
struct ContactMethod {
  ContactMethodId id;
  std::string key;  ///< Unique within the user.
  ChannelType type = ChannelType::kEmail;
  std::string to;           ///< kEmail: the address.
  std::string url;          ///< kWebhook.
  std::string secret_file;  ///< As ChannelSpec::secret_file.
  SendRate rate;

  friend bool operator==(const ContactMethod&, const ContactMethod&) = default;
};

/// Contact methods of a user, and notification rules.
inline constexpr std::size_t kUserPartsMax = 20;
/// Components of a status page.
inline constexpr std::size_t kPageComponentsMax = 500;

/// "By this method, that long after the step, for incidents of that urgency."
struct NotificationRule {
  NotificationRuleId id;
  std::string contact;             ///< Key of a contact method of the same user.
  Duration delay{0};               ///< 0 .. 24 h.
  std::optional<Urgency> urgency;  ///< Absent: any.

  friend bool operator==(const NotificationRule&, const NotificationRule&) = default;
};

struct UserSpec {
  UserId id;
  std::string key;  ///< The name to log in with.
  std::string name;
  std::string email;  ///< Of the account; may be empty. Pages go to contact methods, not here.
  Role role = Role::kViewer;
  std::string time_zone = "UTC";  ///< IANA name, for what is shown to them.
  bool disabled = false;          ///< May not log in and is not paged.
  std::vector<ContactMethod> contacts;
  /// Empty: the first contact method at once, each further one five minutes after the one before.
  std::vector<NotificationRule> rules;

  friend bool operator==(const UserSpec&, const UserSpec&) = default;
};

/// Where an object came from, which decides who may change it.
enum class Origin : std::uint8_t {
  kApi = 1,    ///< One object at a time: never pruned.
  kApply = 2,  ///< An apply made it: another apply may prune it.
  kFile = 3,   ///< From `monitors_file`: read-only in the API.
};

const char* to_string(Origin origin);

enum class ObjectKind : std::uint8_t {
  kRegion = 1,
  kMonitor = 2,
  kService = 3,
  kPolicy = 4,
  kChannel = 5,
  kPage = 6,
  kUser = 7,
};

/// "region", "monitor", "service", "policy", "channel", "status-page", "user".
const char* to_string(ObjectKind kind);
std::optional<ObjectKind> parse_object_kind(std::string_view word);

/// The word of files, URLs and error paths: "monitors", "escalation-policies", "status-pages" ...
const char* collection_of(ObjectKind kind);

/// Beside each object of the catalogue.
struct ObjectMeta {
  Origin origin = Origin::kApi;
  std::uint64_t rev = 0;  ///< config_version of its last change; the ETag of the API.
  WallTime created;
  WallTime updated;

  friend bool operator==(const ObjectMeta&, const ObjectMeta&) = default;
};

/// A monitor as the catalogue keeps it.
struct MonitorEntry {
  MonitorSpec spec;
  std::uint32_t spec_rev = 1;  ///< Raised by any change of what is measured.

  friend bool operator==(const MonitorEntry&, const MonitorEntry&) = default;
};

/// Names one object.
struct ObjectRef {
  ObjectKind kind = ObjectKind::kMonitor;
  std::string key;

  friend auto operator<=>(const ObjectRef&, const ObjectRef&) = default;
};

/// What a writer believes of an object; checked in the step that changes it.
struct Precondition {
  ObjectRef object;
  /// ObjectMeta::rev it must have; 0: it must not exist; absent: it must exist.
  std::optional<std::uint64_t> rev;

  friend bool operator==(const Precondition&, const Precondition&) = default;
};

struct Catalog {
  std::uint64_t version = 0;  ///< config_version: raised by every edit that changes something.
  std::map<std::string, RegionSpec> regions;
  std::map<std::string, MonitorEntry> monitors;
  std::map<std::string, ServiceSpec> services;  ///< Always has "default" and "system".
  std::map<std::string, PolicySpec> policies;
  std::map<std::string, ChannelSpec> channels;
  std::map<std::string, StatusPageSpec> pages;
  std::map<std::string, UserSpec> users;
  std::map<ObjectRef, ObjectMeta> meta;  ///< Of every object but "default" and "system" until they
                                         ///< are changed.

  friend bool operator==(const Catalog&, const Catalog&) = default;

  /// The region keys that watch a monitor: its own list, or all regions in key order.
  std::vector<std::string> electorate(const MonitorSpec& spec) const;

  /// Null when it does not exist, or is a built-in service that was never changed.
  const ObjectMeta* find_meta(ObjectKind kind, std::string_view key) const;
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
  std::vector<UserSpec> users;
  std::vector<ObjectRef> removals;  ///< Must exist.
  std::vector<Precondition> preconditions;
  Origin origin = Origin::kApi;
  bool prune = false;  ///< Delete what an earlier edit of the same origin made and is not here.

  friend bool operator==(const CatalogEdit&, const CatalogEdit&) = default;
};

enum class ChangeKind : std::uint8_t { kCreate, kUpdate, kDelete };

/// "create", "update", "delete".
const char* to_string(ChangeKind kind);

/// One line of a plan, for people.
struct CatalogChange {
  ChangeKind kind = ChangeKind::kCreate;
  ObjectKind what = ObjectKind::kMonitor;
  std::string key;
  std::vector<std::string> fields;  ///< Updated fields.

  friend bool operator==(const CatalogChange&, const CatalogChange&) = default;
};

struct CatalogPlan {
  Catalog after;
  std::vector<CatalogChange> changes;  ///< Empty: nothing to do, version unchanged.
};

/// A broken precondition: somebody was faster. Its FieldError has this text in front, so that the
/// API can answer 412 instead of 422.
inline constexpr std::string_view kChangedMeanwhile = "changed meanwhile: ";
/// The same for an object of the monitors file: 409.
inline constexpr std::string_view kManagedByFile = "managed by the monitors file: ";

/// Pure. Either the catalogue afterwards or every broken rule, with paths such as
/// "monitors[shop-checkout].regions[1]".
tl::expected<CatalogPlan, std::vector<FieldError>> plan(const Catalog& now, const CatalogEdit& edit,
                                                        WallTime at);

/// The catalogue of an empty installation: services "default" and "system" without a policy.
Catalog empty_catalog();

}  // namespace tocsin::collector
