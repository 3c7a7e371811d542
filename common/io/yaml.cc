#include "common/io/yaml.h"

#include "common/base/strings.h"
#include "common/io/file.h"

#include <yaml.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace tocsin::io {

namespace {

using codec::Mark;
using codec::Node;

Mark to_mark(const yaml_mark_t& m) {
  return {static_cast<int>(m.line) + 1, static_cast<int>(m.column) + 1};
}

/// A JSON number, and nothing else that YAML 1.1 would take for one.
bool is_number(std::string_view s) {
  const auto digits = [&s] {
    std::size_t n = 0;
    while (n < s.size() && s[n] >= '0' && s[n] <= '9') ++n;
    s.remove_prefix(n);
    return n;
  };
  if (s.starts_with('-')) s.remove_prefix(1);
  const bool zero = s.starts_with('0');
  const std::size_t whole = digits();
  if (whole == 0 || (zero && whole > 1)) return false;
  if (s.starts_with('.')) {
    s.remove_prefix(1);
    if (digits() == 0) return false;
  }
  if (s.starts_with('e') || s.starts_with('E')) {
    s.remove_prefix(1);
    if (s.starts_with('-') || s.starts_with('+')) s.remove_prefix(1);
    if (digits() == 0) return false;
  }
  return s.empty();
}

/// A reference: of a parameter by value g++ 12 says, when hardened, that it may be uninitialized.
Node scalar(std::string&& text, bool plain) {
  if (plain) {
    if (text.empty() || text == "~" || text == "null") return Node{};
    if (text == "true" || text == "false") return Node::boolean(text == "true");
    if (is_number(text)) {
      Node n = Node::number(std::strtod(text.c_str(), nullptr));
      n.text = std::move(text);
      return n;
    }
  }
  return Node::string(std::move(text));
}

class Event {
 public:
  Event() = default;

  ~Event() {
    if (filled_) yaml_event_delete(&event_);
  }

  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  bool parse(yaml_parser_t& parser) { return filled_ = yaml_parser_parse(&parser, &event_) == 1; }

  const yaml_event_t* operator->() const { return &event_; }

  Mark mark() const { return to_mark(event_.start_mark); }

 private:
  yaml_event_t event_{};
  bool filled_ = false;
};

/// Builds the tree from events without recursion.
class Builder {
 public:
  Builder(std::string_view text, std::string_view name)
      : name_(name) {
    yaml_parser_initialize(&parser_);
    // Said, not guessed: libyaml would otherwise take a byte order mark for UTF-16.
    yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
    // An empty view may have no address, and libyaml asserts one.
    const char* start = text.empty() ? "" : text.data();
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(start),
                                 text.size());
  }

  ~Builder() { yaml_parser_delete(&parser_); }

  Builder(const Builder&) = delete;
  Builder& operator=(const Builder&) = delete;

  Expected<Node> build() {
    while (!done_) {
      Event event;
      if (!event.parse(parser_)) return syntax_error();
      TRY(take(event));
    }
    return std::move(root_);
  }

 private:
  struct Open {
    Node node;
    std::map<std::string, int, std::less<>> key_lines;  ///< Keys seen and where.
    std::optional<std::string> key;                     ///< Waits for its value.
    Mark key_mark;
  };

  Expected<void> take(const Event& event) {
    switch (event->type) {
      case YAML_STREAM_END_EVENT:
        done_ = true;
        return {};
      case YAML_DOCUMENT_START_EVENT:
        return start_document(event);
      case YAML_ALIAS_EVENT:
        return refuse(event.mark(), "aliases (*name) are not supported; write the value out");
      case YAML_SCALAR_EVENT:
        return take_scalar(event);
      case YAML_SEQUENCE_START_EVENT:
        TRY(refuse_decoration(event.mark(), event->data.sequence_start.anchor,
                              event->data.sequence_start.tag));
        return open(Node::list(), event.mark());
      case YAML_MAPPING_START_EVENT:
        TRY(refuse_decoration(event.mark(), event->data.mapping_start.anchor,
                              event->data.mapping_start.tag));
        return open(Node::map(), event.mark());
      case YAML_SEQUENCE_END_EVENT:
      case YAML_MAPPING_END_EVENT: {
        Node node = std::move(open_.back().node);
        open_.pop_back();
        put(std::move(node));
        return {};
      }
      case YAML_NO_EVENT:
      case YAML_STREAM_START_EVENT:
      case YAML_DOCUMENT_END_EVENT:
        return {};
    }
    return {};
  }

  Expected<void> start_document(const Event& event) {
    const auto& start = event->data.document_start;
    if (documents_++ > 0)
      return refuse(event.mark(), "a second document; one file is one document");
    if (start.tag_directives.start != start.tag_directives.end) {
      return refuse(event.mark(), "%TAG is not supported");
    }
    return {};
  }

  Expected<void> take_scalar(const Event& event) {
    const auto& s = event->data.scalar;
    const Mark mark = event.mark();
    TRY(refuse_decoration(mark, s.anchor, s.tag));
    std::string text(reinterpret_cast<const char*>(s.value), s.length);
    if (text.find('\0') != std::string::npos) return refuse(mark, "text with a NUL character");
    const bool plain = s.style == YAML_PLAIN_SCALAR_STYLE;
    if (wants_key()) return take_key(std::move(text), plain, mark);
    TRY(count(mark));
    Node node = scalar(std::move(text), plain);
    node.mark = mark;
    node.text_offset = offset_of(event, node.text.size());
    put(std::move(node));
    return {};
  }

  /// Plain and quoted texts of one line stand in the source as they are unless it is longer.
  static std::int8_t offset_of(const Event& event, std::size_t size) {
    const yaml_mark_t& start = event->start_mark;
    const yaml_mark_t& end = event->end_mark;
    if (start.line != end.line) return -1;
    const std::size_t source = end.column - start.column;
    switch (event->data.scalar.style) {
      case YAML_PLAIN_SCALAR_STYLE:
        return source == size ? 0 : -1;
      case YAML_SINGLE_QUOTED_SCALAR_STYLE:
      case YAML_DOUBLE_QUOTED_SCALAR_STYLE:
        return source == size + 2 ? 1 : -1;
      case YAML_ANY_SCALAR_STYLE:
      case YAML_LITERAL_SCALAR_STYLE:
      case YAML_FOLDED_SCALAR_STYLE:
        break;
    }
    return -1;
  }

  Expected<void> take_key(std::string text, bool plain, const Mark& mark) {
    if (plain && text == "<<") return refuse(mark, "merge keys (<<) are not supported");
    Open& map = open_.back();
    const auto [it, fresh] = map.key_lines.emplace(text, mark.line);
    if (!fresh) {
      return refuse(mark, fmt::format("the key \"{}\" stands twice, first on line {}",
                                      printable(text, 64), it->second));
    }
    map.key = std::move(text);
    map.key_mark = mark;
    return {};
  }

  Expected<void> open(Node node, const Mark& mark) {
    if (wants_key()) return refuse(mark, "a key must be a single word or text");
    if (open_.size() >= static_cast<std::size_t>(kYamlDepthMax)) {
      return refuse(mark, fmt::format("nested deeper than {} levels", kYamlDepthMax));
    }
    TRY(count(mark));
    node.mark = mark;
    open_.push_back(Open{.node = std::move(node), .key_lines = {}, .key = {}, .key_mark = {}});
    return {};
  }

  bool wants_key() const {
    return !open_.empty() && open_.back().node.kind == Node::Kind::kMap && !open_.back().key;
  }

  void put(Node node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = open_.back();
    if (parent.node.kind == Node::Kind::kList) {
      parent.node.items.push_back(std::move(node));
      return;
    }
    // A key without a value has its null where the next line begins: the key is the better mark.
    if (node.kind == Node::Kind::kNull) node.mark = parent.key_mark;
    parent.node.set(std::move(*parent.key), std::move(node));
    parent.key.reset();
  }

  Expected<void> count(const Mark& mark) {
    if (++nodes_ > kYamlNodesMax) {
      return refuse(mark, fmt::format("more than {} values", kYamlNodesMax));
    }
    return {};
  }

  Expected<void> refuse_decoration(const Mark& mark, const yaml_char_t* anchor,
                                   const yaml_char_t* tag) {
    if (anchor != nullptr) return refuse(mark, "anchors (&name) are not supported");
    if (tag != nullptr) return refuse(mark, "tags (!name) are not supported");
    return {};
  }

  Unexpected refuse(const Mark& mark, std::string_view what) const {
    return fail(Errc::kInvalid, "{}:{}:{}: {}", name_, mark.line, mark.column, what);
  }

  Unexpected syntax_error() const {
    const char* problem = parser_.problem != nullptr ? parser_.problem : "cannot be read";
    if (parser_.error == YAML_READER_ERROR) {
      return fail(Errc::kInvalid, "{}: {} at byte {}", name_, problem, parser_.problem_offset);
    }
    std::string text = problem;
    if (parser_.context != nullptr) {
      text += fmt::format(" {}", parser_.context);
      if (parser_.context_mark.line != parser_.problem_mark.line) {
        text += fmt::format(" that begins on line {}", parser_.context_mark.line + 1);
      }
    }
    return refuse(to_mark(parser_.problem_mark), text);
  }

  std::string_view name_;
  yaml_parser_t parser_{};
  std::vector<Open> open_;
  Node root_;
  std::size_t nodes_ = 0;
  int documents_ = 0;
  bool done_ = false;
};

}  // namespace

Expected<Node> parse_yaml(std::string_view text, std::string_view name) {
  if (text.size() > kYamlSizeMax) {
    return fail(Errc::kLimit, "{}: larger than {} bytes", name, kYamlSizeMax);
  }
  return Builder(text, name).build();
}

Expected<Node> load_yaml(const std::string& path) {
  TRY_ASSIGN(const Bytes text, read_file(path, kYamlSizeMax));
  return parse_yaml(text, path);
}

std::string locate(std::string_view file, const FieldError& error) {
  // codec::describe writes the mark in front of the text.
  int line = 0;
  int column = 0;
  int taken = 0;
  std::string_view text = error.text;
  std::string where(file);
  if (std::sscanf(error.text.c_str(), "line %d, column %d: %n", &line, &column, &taken) == 2 &&
      taken > 0) {
    where += fmt::format(":{}:{}", line, column);
    text.remove_prefix(static_cast<std::size_t>(taken));
  }
  if (error.path.empty()) return fmt::format("{}: {}", where, text);
  return fmt::format("{}: {}: {}", where, error.path, text);
}

}  // namespace tocsin::io
