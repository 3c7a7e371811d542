#pragma once
// Question answered here: how are mapped rows (rows.h) asked of a SqliteDb?

#include "collector/store/rows.h"
#include "collector/store/sqlite_db.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tocsin::collector {

/// The database file of a state directory.
std::string database_path(const std::string& directory);

/// "a, b, c"
std::string column_list(const TableDef& def);

/// "SELECT every column FROM table REST"
std::string select_from(const TableDef& def, std::string_view rest);

/// LIMIT for SQL; the port's sizes are unsigned.
std::int64_t sql_limit(std::size_t limit);

/// Every row of a prepared and bound SELECT of a whole mapped table.
template <class T, class F>
Expected<void> for_each_row(SqliteStatement& select, F f) {
  const SqliteReset reset{select};
  std::vector<Value> values;
  while (true) {
    TRY_ASSIGN(const bool row, select.step());
    if (!row) return {};
    select.columns(values);
    TRY_ASSIGN(T mapped, from_values<T>(values));
    f(std::move(mapped));
  }
}

template <class T>
Expected<std::vector<T>> read_all(SqliteStatement& select) {
  std::vector<T> out;
  TRY(for_each_row<T>(select, [&](T row) { out.push_back(std::move(row)); }));
  return out;
}

}  // namespace tocsin::collector
