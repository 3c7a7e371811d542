#pragma once
// Question answered here: which objects of a collection does a list's query ask for?
//
//   every collection   q: part of the key or of the name (title), letters in either case
//   monitors           tag=NAME or tag=NAME:VALUE, up to kTagsMax of them, all of which it has;
//                      status, service, region, type
//   services           policy
//   channels           type
//   users              role
//
// An object is listed when everything asked for holds.

#include "collector/core/engine.h"
#include "common/codec/query_string.h"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::collector {

class ListFilter {
 public:
  static constexpr std::size_t kTagsMax = 10;
  static constexpr std::size_t kValueMax = 200;  ///< Bytes of one value.

  /// The names that may stand in the query of a list of `kind`, for read_page_query.
  static std::vector<std::string_view> names(ObjectKind kind);

  /// kInvalid with the name of the field. An unknown key is no error: nothing has it.
  static Expected<ListFilter> read(const codec::Fields& query, ObjectKind kind);

  /// The object exists.
  bool matches(const EngineView& view, ObjectKind kind, const std::string& key) const;

 private:
  bool matches_monitor(const EngineView& view, const MonitorSpec& spec) const;

  std::string text_;                          ///< Lower case.
  std::map<std::string, std::string> words_;  ///< By field; without q and tag.
  std::vector<std::string> tags_;
};

}  // namespace tocsin::collector
