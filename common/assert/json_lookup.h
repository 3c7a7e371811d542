#pragma once
// Question answered here: what stands in a JSON document at a path?

#include "common/assert/json_path.h"
#include "common/base/expected.h"
#include "common/model/assertion.h"

#include <memory>
#include <string>
#include <string_view>
#include <variant>

namespace tocsin::assertion {

/// There is no such member or index.
struct Nowhere {};

/// An object or array is there; conditions compare only with scalars and with its size.
struct Structure {
  bool is_array = false;
  std::size_t size = 0;  ///< Members or items.
};

using JsonValue = std::variant<Nowhere, Structure, Null, bool, double, std::string>;

std::string describe(const JsonValue& value);

/// A parsed document. simdjson refuses bad UTF-8, more than 1,024 levels and whatever RFC 8259
/// does.
class JsonDocument {
 public:
  ~JsonDocument();

  /// At most 1 MiB.
  static Expected<std::unique_ptr<JsonDocument>> parse(std::string_view text);

  JsonValue at(const JsonPath& path) const;

 private:
  struct Impl;
  explicit JsonDocument(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tocsin::assertion
