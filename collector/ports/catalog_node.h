#pragma once
// Question answered here: how is the catalogue written down, in YAML, in JSON and in the store?
//
// One form for the monitors file, the API's bodies, exports and the store's `spec` columns:
//
//   monitors:            key name type interval timeout retries retry_delay retry_assertions
//                        regions quorum open_after close_after confirm page_on paused assert
//                        degraded family service tags depends_on, and by type
//     http               url method headers body redirects verify ca ocsp
//     tcp                host port (or url: tcp://HOST:PORT) send expect starttls, and with it
//                        server_name verify ca ocsp
//     tls                host port (or url: tls://HOST[:PORT]) starttls server_name alpn
//                        min_version verify ca ocsp
//     dns                host record resolver transport server_name verify ca recursion dnssec
//                        rcode
//     assert, degraded   CONDITION or a list of them; CONDITION is a line of the assertion language
//                        or one of {and: [CONDITION ...]}, {or: [CONDITION ...]}, {not: CONDITION}
//   channels:            key type secret: {file: NAME}, and by type
//     webhook            url
//     email              to
//   escalation-policies: key repeat ack_timeout fallback: TARGET
//                        steps: [{delay, notify: [TARGET]}]
//                        TARGET: {channel: KEY} or {user: KEY}
//   services:            key name policy description urgency
//   regions:             key name
//   users:               key name email role time_zone disabled
//                        contact_methods: [{key, type, to, url, secret: {file: NAME}}]
//                        notification_rules: [{contact, delay, urgency}]
//   status-pages:        slug title description homepage contact noindex
//                        groups: [{name, components: [{monitor, name, description}]}]
//
// Absent fields get the defaults of monitor_spec.h; `name` defaults to the key, and a DNS monitor's
// `host` (what is asked for) to its name. Reading collects every error, each with its path and,
// when the text had lines, "line L, column C: ". Writing is complete and explicit, so that
// reading it again gives an equal object whatever the defaults are by then.

#include "collector/core/catalog.h"
#include "common/codec/node.h"

#include <functional>
#include <string>
#include <vector>

namespace tocsin::collector {

/// Bytes for the id of a new object; called once per object.
using IdSource = std::function<Uuid()>;

/// The whole form. What must hold across objects (references, the electorate) is left to `plan`;
/// what must hold of one object is checked here, where the line is known. Every object gets an id
/// from `new_id`; plan ignores it for keys that exist. `prune`, `origin` and the
/// preconditions are the caller's.
tl::expected<CatalogEdit, std::vector<FieldError>> read_catalog(const codec::Node& node,
                                                                const IdSource& new_id);

/// One object each; ids stay empty. `path` names it in errors ("monitors[2]"), empty for the body
/// of a request. The value is of use only when `errors` has not grown.
RegionSpec read_region(const codec::Node& node, const std::string& path,
                       std::vector<FieldError>& errors);
MonitorSpec read_monitor(const codec::Node& node, const std::string& path,
                         std::vector<FieldError>& errors);
ServiceSpec read_service(const codec::Node& node, const std::string& path,
                         std::vector<FieldError>& errors);
PolicySpec read_policy(const codec::Node& node, const std::string& path,
                       std::vector<FieldError>& errors);
ChannelSpec read_channel(const codec::Node& node, const std::string& path,
                         std::vector<FieldError>& errors);
StatusPageSpec read_page(const codec::Node& node, const std::string& path,
                         std::vector<FieldError>& errors);
PageComponent read_component(const codec::Node& node, const std::string& path,
                             std::vector<FieldError>& errors);

UserSpec read_user(const codec::Node& node, const std::string& path,
                   std::vector<FieldError>& errors);

ContactMethod read_contact(const codec::Node& node, const std::string& path,
                           std::vector<FieldError>& errors);
NotificationRule read_rule(const codec::Node& node, const std::string& path,
                           std::vector<FieldError>& errors);

/// Without ids.
codec::Node to_node(const UserSpec& user);
codec::Node to_node(const ContactMethod& contact);
codec::Node to_node(const NotificationRule& rule);
codec::Node to_node(const RegionSpec& region);
codec::Node to_node(const MonitorSpec& monitor);
codec::Node to_node(const ServiceSpec& service);
codec::Node to_node(const PolicySpec& policy);
codec::Node to_node(const ChannelSpec& channel);
codec::Node to_node(const StatusPageSpec& page);
codec::Node to_node(const PageComponent& component);

/// The export: every object, by kind and key.
codec::Node to_node(const Catalog& catalog);

const char* to_string(ChannelType type);

}  // namespace tocsin::collector
