// docs/monitors.md and docs/monitor-*.md are read here as an operator's tools read them, so that no
// example, field or reason in them can become untrue.

#include "collector/core/catalog.h"
#include "collector/ports/catalog_node.h"
#include "common/assert/evaluator.h"
#include "common/base/strings.h"
#include "common/io/yaml.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

namespace tocsin::collector {
namespace {

using codec::Node;

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file{path};
  std::stringstream all;
  all << file.rdbuf();
  return all.str();
}

/// docs/monitors.md and one file per type.
std::vector<std::filesystem::path> documents() {
  std::vector<std::filesystem::path> out;
  for (const auto& entry : std::filesystem::directory_iterator{"docs"}) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("monitor") && name.ends_with(".md")) out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

struct Block {
  std::string name;  ///< "docs/monitors.md:17"
  std::string text;
};

std::vector<Block> yaml_blocks(const std::filesystem::path& path) {
  std::vector<Block> out;
  std::istringstream lines{text_of(path)};
  bool inside = false;
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (inside && line == "```") {
      inside = false;
    } else if (inside) {
      out.back().text += line + '\n';
    } else if (line == "```yaml") {
      inside = true;
      out.push_back({fmt::format("{}:{}", path.string(), number), {}});
    }
  }
  EXPECT_FALSE(inside) << path << ": a block does not end";
  return out;
}

/// A catalogue in which what the examples refer to exists.
Catalog surroundings(const CatalogEdit& edit) {
  Catalog out;
  std::set<std::string> regions{"eu-west"};
  std::set<std::string> services{"default"};
  for (const MonitorSpec& monitor : edit.monitors) {
    regions.insert(monitor.regions.begin(), monitor.regions.end());
    services.insert(monitor.service);
  }
  for (const std::string& key : regions) out.regions[key] = RegionSpec{key, key};
  for (const std::string& key : services) {
    out.services[key].key = out.services[key].name = key;
  }
  return out;
}

std::string errors_text(const std::vector<FieldError>& errors) {
  std::string out;
  for (const FieldError& e : errors) out += fmt::format("\n  {}: {}", e.path, e.text);
  return out;
}

IdSource counting() {
  return [n = std::uint8_t{0}]() mutable {
    Uuid id{};
    id[15] = ++n;
    return id;
  };
}

/// The first cells of the rows of the tables whose first head is `head`, without their backquotes.
std::vector<std::vector<std::string>> rows_below(const std::filesystem::path& path,
                                                 std::string_view head) {
  std::vector<std::vector<std::string>> out;
  std::istringstream lines{text_of(path)};
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| ")) {
      inside = inside && line.starts_with("|-");
      continue;
    }
    std::vector<std::string> cells;
    for (const std::string_view cell : split(std::string_view{line}.substr(1), '|')) {
      std::string text{trim(cell)};
      std::erase(text, '`');
      cells.push_back(std::move(text));
    }
    if (inside) {
      out.push_back(std::move(cells));
    } else {
      inside = cells.front() == head;
    }
  }
  return out;
}

TEST(MonitorDocuments, EveryExampleIsACompleteFileThatApplies) {
  std::size_t examples = 0;
  for (const auto& path : documents()) {
    for (const Block& block : yaml_blocks(path)) {
      const auto node = io::parse_yaml(block.text, block.name);
      ASSERT_TRUE(node) << node.error().text;
      ASSERT_NE(node->find("monitors"), nullptr) << block.name;
      const auto edit = read_catalog(*node, counting());
      ASSERT_TRUE(edit) << block.name << errors_text(edit.error());
      EXPECT_FALSE(edit->monitors.empty()) << block.name;
      const auto planned = plan(surroundings(*edit), *edit, WallTime{1});
      EXPECT_TRUE(planned) << block.name << (planned ? "" : errors_text(planned.error()));
      for (const MonitorSpec& monitor : edit->monitors) {
        const auto evaluator = assertion::Evaluator::compile(monitor.probe);
        EXPECT_TRUE(evaluator) << block.name << ": " << monitor.key << ": "
                               << (evaluator ? "" : evaluator.error().text);
        EXPECT_EQ(monitor.probe,
                  [&] {
                    std::vector<FieldError> errors;
                    return read_monitor(to_node(monitor), "", errors).probe;
                  }())
            << block.name << ": " << monitor.key << " is not the same after an export";
      }
      ++examples;
    }
  }
  EXPECT_GE(examples, 3U);
}

/// The errors of a monitors file with this text.
std::string errors_in(std::string_view text) {
  const auto node = io::parse_yaml(text, "monitors.yaml");
  if (!node) return node.error().text;
  const auto edit = read_catalog(*node, counting());
  return edit ? "accepted" : errors_text(edit.error());
}

TEST(MonitorDocuments, AWrongConditionIsFoundAtItsCharacter) {
  EXPECT_EQ(
      errors_in("monitors:\n"
                "  - key: a\n"
                "    type: http\n"
                "    url: http://a/\n"
                "    assert:\n"
                "      - status ~ 200\n"
                "      - or:\n"
                "          - 'latency < 2'\n"
                "          - \"[STATUS] == 20\"\n"
                "      - \"body contains \\\"a\"\n"
                "    degraded: latency > soon\n"),
      "\n  monitors[a].assert[0]: line 6, column 16: expected one of ==, !=, <, <=, >, >=, in "
      "after 'status', not '~'"
      "\n  monitors[a].assert[1].or[0]: line 8, column 24: expected a duration such as 500ms, "
      "2s or 14d, not '2'"
      "\n  monitors[a].assert[1].or[1]: line 9, column 26: expected a status from 100 to 599"
      "\n  monitors[a].assert[2]: line 10, column 9: column 15 of the text: this text has no "
      "closing '\"'"
      "\n  monitors[a].degraded: line 11, column 25: expected a duration such as 500ms, 2s or "
      "14d, not 'soon'");
}

TEST(MonitorDocuments, TheTableOfReasonsIsTheEnumeration) {
  std::vector<std::string> expected;
  for (std::uint32_t value = 1; value <= 0xffff; ++value) {
    const auto reason = reason_from_int(value);
    if (reason)
      expected.push_back(fmt::format("| `{}` | {} |", to_string(*reason), explain(*reason)));
  }
  std::vector<std::string> written;
  for (const auto& row : rows_below("docs/monitors.md", "reason")) {
    ASSERT_GE(row.size(), 2U);
    written.push_back(fmt::format("| `{}` | {} |", row[0], row[1]));
  }
  EXPECT_EQ(written, expected);
}

TEST(MonitorDocuments, EveryFieldOfTheFormIsDocumentedAndNoOther) {
  const auto contract = io::load_yaml("collector/api/openapi.yaml");
  ASSERT_TRUE(contract) << contract.error().text;
  const Node* at = &*contract;
  for (const char* step : {"components", "schemas", "MonitorForm", "properties"}) {
    at = at->find(step);
    ASSERT_NE(at, nullptr) << step;
  }
  std::set<std::string> form;
  for (const auto& [name, schema] : at->entries) form.insert(name);
  std::set<std::string> written;
  for (const auto& path : documents()) {
    for (const auto& row : rows_below(path, "field")) {
      EXPECT_TRUE(form.contains(row.front())) << path << ": no such field: " << row.front();
      written.insert(row.front());
    }
  }
  for (const std::string& name : form) {
    EXPECT_TRUE(written.contains(name)) << name << " is in no table of docs/monitor*.md";
  }
}

}  // namespace
}  // namespace tocsin::collector
