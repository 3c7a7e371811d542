#pragma once
// Question answered here: what does `monitors_file` ask for, and which line is to blame if it is
// refused?

#include "collector/core/catalog.h"
#include "common/base/expected.h"
#include "common/codec/node.h"

#include <string>
#include <string_view>
#include <vector>

namespace tocsin::collector {

struct MonitorsFile {
  std::string path;
  codec::Node tree;  ///< Kept for the marks.
  CatalogEdit edit;  ///< With prune and Origin::kFile.
};

/// Reads the file. Either the edit or every error as "FILE:LINE:COLUMN: PATH: TEXT".
tl::expected<MonitorsFile, std::vector<std::string>> read_monitors_file(const std::string& path,
                                                                        WallTime now);

/// The same of a text; `path` is only named.
tl::expected<MonitorsFile, std::vector<std::string>> parse_monitors(std::string_view text,
                                                                    const std::string& path,
                                                                    WallTime now);

/// Errors of `plan`, which knows no lines, with the lines of the file.
std::vector<std::string> locate_errors(const MonitorsFile& file,
                                       const std::vector<FieldError>& errors);

}  // namespace tocsin::collector
