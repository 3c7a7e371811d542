#include "common/codec/json.h"

#include "common/base/strings.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <charconv>
#include <cstdint>
#include <iterator>
#include <set>

namespace tocsin::codec {

namespace {

/// Follows the text as the lexer reads it. nlohmann's SAX interface has no positions; but a value's
/// event comes before the lexer reads the first character of the next value (it looks ahead by at
/// most one character, and only after a number), so the last start of a token is that value's.
struct Position {
  int line = 1;
  int column = 0;
  Mark token;
  bool in_string = false;
  bool escaped = false;
  bool in_word = false;

  void advance(char c) {
    if (c == '\n') {
      ++line;
      column = 0;
    } else {
      ++column;
    }
    if (in_string) {
      if (escaped) {
        escaped = false;
      } else if (c == '\\') {
        escaped = true;
      } else if (c == '"') {
        in_string = false;
      }
      return;
    }
    const bool word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                      c == '-' || c == '+' || c == '.';
    if (c == '"') in_string = true;
    if (c == '"' || c == '{' || c == '[' || (word && !in_word)) token = {line, column};
    in_word = word;
  }
};

class MarkingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  MarkingIterator(const char* at, Position* position)
      : at_(at),
        position_(position) {}

  reference operator*() const { return *at_; }

  MarkingIterator& operator++() {
    position_->advance(*at_++);
    return *this;
  }

  MarkingIterator operator++(int) {
    MarkingIterator old = *this;
    ++*this;
    return old;
  }

  friend bool operator==(const MarkingIterator& a, const MarkingIterator& b) {
    return a.at_ == b.at_;
  }

 private:
  const char* at_;
  Position* position_;
};

/// "[json.exception.parse_error.101] parse error at line 1, column 5: WHY" without what we say
/// ourselves.
std::string reason_of(std::string_view what) {
  if (const std::size_t at = what.find("] "); what.starts_with("[json.") && at != what.npos) {
    what.remove_prefix(at + 2);
  }
  if (const std::size_t at = what.find(": "); what.starts_with("parse error") && at != what.npos) {
    what.remove_prefix(at + 2);
  }
  return printable(what, 300);
}

class Builder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  Builder(const JsonLimits& limits, const Position& position)
      : limits_(limits),
        position_(position) {}

  bool null() override { return add(Node{}); }

  bool boolean(bool v) override { return add(Node::boolean(v)); }

  bool number_integer(number_integer_t v) override { return add(Node::integer(v)); }

  bool number_unsigned(number_unsigned_t v) override {
    Node n = Node::number(static_cast<double>(v));
    n.text = std::to_string(v);
    return add(std::move(n));
  }

  bool number_float(number_float_t v, const string_t& text) override {
    Node n = Node::number(v);
    n.text = text;
    return add(std::move(n));
  }

  bool string(string_t& v) override { return add(Node::string(std::move(v))); }

  bool binary(binary_t&) override { return refuse(Errc::kInvalid, "binary values are not JSON"); }

  bool start_object(std::size_t) override { return open(Node::map()); }

  bool key(string_t& v) override {
    Frame& frame = open_.back();
    if (!frame.keys.insert(v).second) {
      return refuse(Errc::kInvalid,
                    fmt::format("the key '{}' stands twice in the same map", printable(v, 64)));
    }
    frame.key = std::move(v);
    return true;
  }

  bool end_object() override { return close(); }

  bool start_array(std::size_t) override { return open(Node::list()); }

  bool end_array() override { return close(); }

  bool parse_error(std::size_t, const std::string&,
                   const nlohmann::detail::exception& why) override {
    error = Error{Errc::kInvalid, describe(Mark{position_.line, std::max(1, position_.column)}) +
                                      reason_of(why.what())};
    return false;
  }

  Node root;
  Error error;

 private:
  struct Frame {
    Node node;
    std::string key;             ///< The next value's.
    std::set<std::string> keys;  ///< All of a map's.
  };

  bool refuse(Errc code, std::string text) {
    error = Error{code, describe(position_.token) + std::move(text)};
    return false;
  }

  bool count() {
    if (++nodes_ <= limits_.nodes_max) return true;
    return refuse(Errc::kLimit, fmt::format("more than {} values", limits_.nodes_max));
  }

  bool open(Node node) {
    if (!count()) return false;
    if (static_cast<int>(open_.size()) >= limits_.depth_max) {
      return refuse(Errc::kLimit, fmt::format("nested deeper than {}", limits_.depth_max));
    }
    node.mark = position_.token;
    open_.push_back({std::move(node), {}, {}});
    return true;
  }

  bool close() {
    Node node = std::move(open_.back().node);
    open_.pop_back();
    place(std::move(node));
    return true;
  }

  bool add(Node node) {
    if (!count()) return false;
    node.mark = position_.token;
    place(std::move(node));
    return true;
  }

  void place(Node node) {
    if (open_.empty()) {
      root = std::move(node);
    } else if (Frame& frame = open_.back(); frame.node.kind == Node::Kind::kMap) {
      frame.node.entries.emplace_back(std::move(frame.key), std::move(node));
    } else {
      frame.node.items.push_back(std::move(node));
    }
  }

  const JsonLimits& limits_;
  const Position& position_;
  std::vector<Frame> open_;
  std::size_t nodes_ = 0;
};

nlohmann::ordered_json to_json(const Node& node) {
  using Json = nlohmann::ordered_json;
  switch (node.kind) {
    case Node::Kind::kNull:
      return nullptr;
    case Node::Kind::kBool:
      return node.bool_value;
    case Node::Kind::kNumber: {
      const char* first = node.text.data();
      const char* last = first + node.text.size();
      std::int64_t integer = 0;
      if (const auto [end, ec] = std::from_chars(first, last, integer);
          ec == std::errc{} && end == last && first != last) {
        return integer;
      }
      std::uint64_t natural = 0;
      if (const auto [end, ec] = std::from_chars(first, last, natural);
          ec == std::errc{} && end == last && first != last) {
        return natural;
      }
      return node.number_value;
    }
    case Node::Kind::kString:
      return node.text;
    case Node::Kind::kList: {
      Json out = Json::array();
      for (const Node& item : node.items) out.push_back(to_json(item));
      return out;
    }
    case Node::Kind::kMap: {
      // Straight into the underlying vector: operator[] would search it for every key.
      Json out = Json::object();
      auto& object = out.get_ref<Json::object_t&>();
      object.reserve(node.entries.size());
      for (const auto& [key, value] : node.entries) {
        static_cast<std::vector<std::pair<const std::string, Json>>&>(object).emplace_back(
            key, to_json(value));
      }
      return out;
    }
  }
  return nullptr;
}

}  // namespace

Expected<Node> parse_json(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.bytes_max) {
    return fail(Errc::kLimit, "{} bytes of JSON, at most {} are read", text.size(),
                limits.bytes_max);
  }
  Position position;
  Builder builder{limits, position};
  const bool parsed =
      nlohmann::json::sax_parse(MarkingIterator{text.data(), &position},
                                MarkingIterator{text.data() + text.size(), &position}, &builder);
  if (!parsed) return Unexpected{std::move(builder.error)};
  return std::move(builder.root);
}

std::string print_json(const Node& node, int indent) {
  return escape_unsafe_json(to_json(node).dump(indent > 0 ? indent : -1, ' ', false,
                                               nlohmann::ordered_json::error_handler_t::replace));
}

}  // namespace tocsin::codec
