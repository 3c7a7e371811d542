#include "collector/app/monitors_file.h"

#include "collector/ports/catalog_node.h"
#include "common/io/file.h"
#include "common/io/random.h"
#include "common/io/yaml.h"

namespace tocsin::collector {

std::vector<std::string> locate_errors(const MonitorsFile& file,
                                       const std::vector<FieldError>& errors) {
  std::vector<std::string> out;
  for (const FieldError& error : errors) {
    const codec::Mark mark = codec::find_mark(file.tree, error.path);
    out.push_back(io::locate(file.path, {error.path, codec::describe(mark) + error.text}));
  }
  return out;
}

tl::expected<MonitorsFile, std::vector<std::string>> parse_monitors(std::string_view text,
                                                                    const std::string& path,
                                                                    WallTime now) {
  MonitorsFile file;
  file.path = path;
  auto tree = io::parse_yaml(text, path);
  if (!tree) return tl::unexpected(std::vector<std::string>{tree.error().text});
  file.tree = *std::move(tree);
  auto edit = read_catalog(file.tree, [now] { return io::mint_uuid(now); });
  if (!edit) {
    std::vector<std::string> lines;
    for (const FieldError& error : edit.error()) lines.push_back(io::locate(path, error));
    return tl::unexpected(std::move(lines));
  }
  file.edit = *std::move(edit);
  file.edit.prune = true;
  file.edit.origin = Origin::kFile;
  return file;
}

tl::expected<MonitorsFile, std::vector<std::string>> read_monitors_file(const std::string& path,
                                                                        WallTime now) {
  const auto text = io::read_file(path, io::kYamlSizeMax);
  if (!text) return tl::unexpected(std::vector<std::string>{text.error().text});
  return parse_monitors(*text, path, now);
}

}  // namespace tocsin::collector
