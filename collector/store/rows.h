#pragma once
// Question answered here: how does each row look in a table, and which rules do all stores share?
//
// One mapping per row type (rows.cc), used for writing, for reading and for the names of columns,
// so that a column cannot be written and not read. Values are what SQL knows; times are
// microseconds (WallTime::never() is NULL), ids 16 bytes, enumerations their words, nested values
// JSON.

#include "collector/ports/store.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace tocsin::collector {

// --- rules that every store follows ---

/// `load` returns a monitor's verdicts of this long before the last commit, the one in force at the
/// beginning of that, and its newest.
inline constexpr Duration kVerdictsLoaded = std::chrono::hours{24};

/// Ended assignments are loaded and kept this long (DEC-13).
inline constexpr Duration kAssignmentsKept = std::chrono::hours{96};

/// Why a resolve was cancelled (ST4).
inline constexpr const char* kNothingToResolve = "no trigger was ever attempted";

/// ST1: true when the group is the last one committed, false when it is the next, else an error.
Expected<bool> was_committed(const Group& group, std::uint16_t shard, std::uint64_t last);

OutboxState state_after(DeliveryOutcome outcome, bool cancelled);

/// With a monitor: newest slot first. Without: newest received first. Then cut at the limit.
void sort_results(std::vector<ResultRow>& rows, const ResultQuery& query);

/// The key within its kind.
const std::string& catalog_key(const CatalogRow& row);

// --- the mapping ---

struct Blob {
  Bytes bytes;

  friend bool operator==(const Blob&, const Blob&) = default;
};

/// NULL, INTEGER, TEXT, BLOB.
using Value = std::variant<std::monostate, std::int64_t, std::string, Blob>;

/// A row of `outbox` with the column that the port does not show.
struct StoredOutboxItem {
  OutboxItem item;
  std::string cancel_why;
};

struct TableDef {
  const char* name = nullptr;
  std::vector<const char*> columns;
  std::size_t key_columns = 1;  ///< The first ones; unique, and the order in which rows are read.
};

/// Defined for MetaRow, the catalogue's objects (RegionSpec, MonitorEntry, ServiceSpec, PolicySpec,
/// ChannelSpec, StatusPageSpec, UserSpec), ObjectRow, CredentialRow, TokenRow, SessionRow,
/// AuditRow, IdempotencyRow, ReportRow, SecretRow, SeriesRow, AgentRow, EnrolmentRow,
/// StreamRow, AssignmentRow, VerdictRow, MonitorStateRow, RegionStateRow, IncidentRow, TimelineRow,
/// EscalationRow, EventRow, StoredOutboxItem and Delivery.
template <class T>
const TableDef& table();

/// Replaces `out`.
template <class T>
void to_values(const T& row, std::vector<Value>& out);

/// kCorrupt, naming table and column, when the values are not what to_values makes.
template <class T>
Expected<T> from_values(const std::vector<Value>& values);

/// A protobuf tocsin.v1.ResultBatch.
Bytes encode_evidence(const std::vector<CheckResult>& results);
Expected<std::vector<CheckResult>> decode_evidence(const Bytes& bytes);

const char* to_string(DeliveryOutcome outcome);
const char* to_string(JournalEntry::Kind kind);
Expected<JournalEntry::Kind> parse_journal_kind(std::string_view word);

}  // namespace tocsin::collector
