#include "common/assert/json_lookup.h"

#include "common/base/strings.h"

#include <simdjson.h>

#include <utility>

namespace tocsin::assertion {

namespace {

namespace dom = simdjson::dom;

constexpr std::size_t kTextMax = 1 << 20;

JsonValue to_value(const dom::element& element) {
  switch (element.type()) {
    case dom::element_type::ARRAY:
      return Structure{true, dom::array{element}.size()};
    case dom::element_type::OBJECT:
      return Structure{false, dom::object{element}.size()};
    case dom::element_type::INT64:
    case dom::element_type::UINT64:
    case dom::element_type::DOUBLE: {
      double number = 0;
      if (element.get_double().get(number) != simdjson::SUCCESS) return Nowhere{};
      return number;
    }
    case dom::element_type::STRING: {
      std::string_view text;
      if (element.get_string().get(text) != simdjson::SUCCESS) return Nowhere{};
      return std::string{text};
    }
    case dom::element_type::BOOL: {
      bool value = false;
      if (element.get_bool().get(value) != simdjson::SUCCESS) return Nowhere{};
      return value;
    }
    case dom::element_type::NULL_VALUE:
      return Null{};
  }
  return Nowhere{};
}

bool step_into(dom::element& element, const JsonPath::Step& step) {
  dom::element next;
  if (const auto* name = std::get_if<std::string>(&step)) {
    dom::object object;
    if (element.get_object().get(object) != simdjson::SUCCESS) return false;
    if (object.at_key(*name).get(next) != simdjson::SUCCESS) return false;
  } else {
    dom::array array;
    if (element.get_array().get(array) != simdjson::SUCCESS) return false;
    if (array.at(std::get<std::uint32_t>(step)).get(next) != simdjson::SUCCESS) return false;
  }
  element = next;
  return true;
}

}  // namespace

struct JsonDocument::Impl {
  dom::parser parser{kTextMax};
  dom::element root;  ///< Points into `parser`.
};

JsonDocument::JsonDocument(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}

JsonDocument::~JsonDocument() = default;

std::string describe(const JsonValue& value) {
  if (std::holds_alternative<Nowhere>(value)) return "nothing there";
  if (const auto* structure = std::get_if<Structure>(&value)) {
    return structure->is_array ? "an array" : "an object";
  }
  if (std::holds_alternative<Null>(value)) return "null";
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* number = std::get_if<double>(&value)) return fmt::format("{}", *number);
  return fmt::format("\"{}\"", printable(std::get<std::string>(value), 80));
}

Expected<std::unique_ptr<JsonDocument>> JsonDocument::parse(std::string_view text) {
  auto impl = std::make_unique<Impl>();
  const simdjson::error_code error = impl->parser.parse(text.data(), text.size()).get(impl->root);
  if (error != simdjson::SUCCESS) {
    return fail(Errc::kInvalid, "{}", simdjson::error_message(error));
  }
  return std::unique_ptr<JsonDocument>{new JsonDocument{std::move(impl)}};
}

JsonValue JsonDocument::at(const JsonPath& path) const {
  dom::element element = impl_->root;
  for (const JsonPath::Step& step : path.steps) {
    if (!step_into(element, step)) return Nowhere{};
  }
  return to_value(element);
}

}  // namespace tocsin::assertion
