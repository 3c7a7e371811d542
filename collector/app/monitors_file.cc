#include "collector/app/monitors_file.h"

#include "collector/ports/catalog_node.h"
#include "common/io/file.h"
#include "common/io/random.h"
#include "common/io/yaml.h"

#include <charconv>

namespace tocsin::collector {
namespace {

/// The item of a list by index, or by its key or slug.
const codec::Node* find_item(const codec::Node& list, std::string_view name) {
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
  if (error == std::errc{} && end == name.data() + name.size() && index < list.items.size()) {
    return &list.items[index];
  }
  for (const codec::Node& item : list.items) {
    for (const char* key : {"key", "slug"}) {
      const codec::Node* value = item.find(key);
      if (value != nullptr && value->text == name) return &item;
    }
  }
  return nullptr;
}

}  // namespace

codec::Mark find_mark(const codec::Node& tree, std::string_view path) {
  const codec::Node* at = &tree;
  codec::Mark mark = tree.mark;
  while (!path.empty()) {
    const codec::Node* next = nullptr;
    if (path.front() == '[') {
      const auto close = path.find(']');
      if (close == std::string_view::npos) break;
      next = find_item(*at, path.substr(1, close - 1));
      path.remove_prefix(close + 1);
    } else {
      if (path.front() == '.') path.remove_prefix(1);
      const auto end = std::min(path.find_first_of(".["), path.size());
      next = at->find(path.substr(0, end));
      path.remove_prefix(end);
    }
    if (next == nullptr) break;
    at = next;
    if (at->mark.line > 0) mark = at->mark;
  }
  return mark;
}

std::vector<std::string> locate_errors(const MonitorsFile& file,
                                       const std::vector<FieldError>& errors) {
  std::vector<std::string> out;
  for (const FieldError& error : errors) {
    const codec::Mark mark = find_mark(file.tree, error.path);
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
