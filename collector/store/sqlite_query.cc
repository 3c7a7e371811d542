#include "collector/store/sqlite_query.h"

#include "collector/store/sqlite_store.h"
#include "common/base/strings.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace tocsin::collector {

std::string database_path(const std::string& directory) {
  return fmt::format("{}/{}", directory, kSqliteFile);
}

std::string column_list(const TableDef& def) {
  return join(std::vector<std::string>(def.columns.begin(), def.columns.end()), ", ");
}

std::string select_from(const TableDef& def, std::string_view rest) {
  return fmt::format("SELECT {} FROM {} {}", column_list(def), def.name, rest);
}

std::int64_t sql_limit(std::size_t limit) {
  constexpr auto kMax = static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max());
  return static_cast<std::int64_t>(std::min(limit, kMax));
}

}  // namespace tocsin::collector
