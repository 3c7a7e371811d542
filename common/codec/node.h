#pragma once
// Question answered here: what did a person write, in YAML or JSON, and where?
//
// A tree of values with marks, so that one set of functions reads a file, an API body and a stored
// column, and every complaint names line, column and path. Readers are strict: an unknown key is an
// error that suggests the nearest known one. Readers collect every error instead of stopping.

#include "common/base/time.h"
#include "common/model/monitor_spec.h"

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tocsin::codec {

/// 1-based; 0 means unknown (a tree built by code).
struct Mark {
  int line = 0;
  int column = 0;

  friend bool operator==(const Mark&, const Mark&) = default;
};

class Node {
 public:
  enum class Kind : std::uint8_t { kNull, kBool, kNumber, kString, kList, kMap };
  using Entry = std::pair<std::string, Node>;

  Node() = default;
  static Node boolean(bool v);
  static Node number(double v);
  static Node integer(std::int64_t v);
  static Node string(std::string v);
  static Node list(std::vector<Node> items = {});
  static Node map(std::vector<Entry> entries = {});

  Kind kind = Kind::kNull;
  bool bool_value = false;
  double number_value = 0;     ///< Integers up to 2^53 are exact.
  std::string text;            ///< kString: the value. kNumber: as written.
  std::vector<Node> items;     ///< kList.
  std::vector<Entry> entries;  ///< kMap, in the order written, keys unique.
  Mark mark;
  /// kString: how many bytes behind `mark` the text begins, if it stands there byte for byte (one
  /// line, no escapes); -1 otherwise.
  std::int8_t text_offset = -1;

  const Node* find(std::string_view key) const;
  /// kMap only: appends; the caller keeps keys unique.
  Node& set(std::string key, Node value);

  /// Values only; marks do not count.
  friend bool operator==(const Node& a, const Node& b);
};

const char* to_string(Node::Kind kind);

/// Reads one map with typed getters that append to `errors`. A getter of a missing key leaves its
/// target alone. `finish` reports the keys that nobody asked for.
class MapReader {
 public:
  /// `path` names the map in errors ("monitors[2]"); empty for the top.
  MapReader(const Node& node, std::string path, std::vector<FieldError>& errors);

  bool has(std::string_view key);
  /// The child, marked as read; nullptr if missing or null.
  const Node* child(std::string_view key);

  void text(std::string_view key, std::string& out);
  void boolean(std::string_view key, bool& out);
  void integer(std::string_view key, std::int64_t low, std::int64_t high, int& out);
  void integer64(std::string_view key, std::int64_t low, std::int64_t high, std::int64_t& out);
  void duration(std::string_view key, Duration& out);
  /// A list of strings; a single string counts as a list of one.
  void texts(std::string_view key, std::vector<std::string>& out);

  /// The path of a key below this map: "monitors[2].timeout".
  std::string path_of(std::string_view key) const;
  /// Appends an error about a key, with its mark in the text when known.
  void error(std::string_view key, std::string text);
  /// Unknown keys become errors with "did you mean".
  void finish();

 private:
  const Node& node_;
  std::string path_;
  std::vector<FieldError>& errors_;
  std::vector<std::string> asked_;
};

/// The mark of "monitors[shop-checkout].regions[1]": list items are named by index, key or slug.
/// What cannot be found has the mark of the nearest thing around it.
Mark find_mark(const Node& tree, std::string_view path);

/// "line 4, column 7: " or nothing when unknown.
std::string describe(const Mark& mark);

/// The same for a place inside of a text, 1 being its first byte: where that is in the source, if
/// the text stands there as it is, else the mark and "column N of the text: ".
std::string describe(const Node& text, std::size_t column);

}  // namespace tocsin::codec
