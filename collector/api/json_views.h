#pragma once
// Question answered here: how does each thing look in the API?
//
// Catalogue objects are their written form (collector/ports/catalog_node.h) and, beside it, `id`,
// `rev`, `origin` and two times.

#include "collector/core/engine.h"
#include "collector/ports/store.h"
#include "common/codec/node.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::collector {

/// Nothing when there is no such object.
std::optional<codec::Node> object_node(const EngineView& view, ObjectKind kind,
                                       const std::string& key);

/// Only the written form.
std::optional<codec::Node> form_node(const EngineView& view, ObjectKind kind,
                                     const std::string& key);

/// Null when there is none of that key.
const MonitorView* find_monitor(const EngineView& view, const std::string& key);

/// In order.
std::vector<std::string> keys_of(const Catalog& catalog, ObjectKind kind);

codec::Node incident_node(const IncidentRow& row, bool with_evidence);
codec::Node timeline_node(const TimelineRow& row);
codec::Node result_node(const ResultRow& row, const EngineView& view);
codec::Node verdict_node(const VerdictRow& row);
codec::Node notification_node(const OutboxItem& item, const std::vector<Delivery>& deliveries);
codec::Node agent_node(const AgentView& agent);
codec::Node token_node(const TokenRow& row);
codec::Node enrolment_node(const EnrolmentRow& row);
codec::Node audit_node(const AuditRow& row);
codec::Node report_node(const ReportRow& row);
codec::Node change_node(const CatalogChange& change);

}  // namespace tocsin::collector
