#pragma once
// Question answered here: which names and values does a query or a submitted form hold?
//
// Specification
//  - application/x-www-form-urlencoded: NAME=VALUE joined by '&', '+' is a blank, %XX is a byte. A
//    name without '=' has an empty value
//  - strict: a percent sign without two hexadecimal digits, an empty piece ("a=1&&b=2"), an empty
//    name, bytes that are not UTF-8, and control characters are refused; a form's values (text
//    areas) may hold tabs and line breaks
//  - bounded: FieldLimits, checked before anything is stored
//  - an error is kInvalid or kLimit (a bound was passed) and names the field or its number, and the
//    byte counted from the start of the text; at most 64 bytes of a name are repeated, printable

#include "common/base/expected.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::codec {

struct FieldLimits {
  std::size_t bytes = 8 * 1024;  ///< As written. Of a query also bounded by the request line.
  std::size_t fields = 64;
};

/// What a form's body may be.
constexpr FieldLimits kFormLimits{.bytes = 64 * 1024, .fields = 256};

struct Field {
  std::string name;
  std::string value;

  friend bool operator==(const Field&, const Field&) = default;
};

/// A value; in the order written.
class Fields {
 public:
  Fields() = default;

  explicit Fields(std::vector<Field> fields)
      : fields_(std::move(fields)) {}

  const std::vector<Field>& all() const { return fields_; }

  /// The value of a field that may be there once; nothing when it is not. kInvalid when it is there
  /// twice: whoever reads the first one and whoever reads the last one would disagree.
  Expected<std::optional<std::string_view>> one(std::string_view name) const;

  /// Every value of that name, for fields that may be repeated.
  std::vector<std::string_view> each(std::string_view name) const;

  /// A decimal number without sign or leading zeros, from `min` to `max`; `otherwise` when the
  /// field is not there. The error names the range.
  Expected<std::uint64_t> number(std::string_view name, std::uint64_t min, std::uint64_t max,
                                 std::uint64_t otherwise) const;

  /// kInvalid for a field that is none of these, with the nearest one that is.
  Expected<void> only(const std::vector<std::string_view>& known) const;

  friend bool operator==(const Fields&, const Fields&) = default;

 private:
  std::vector<Field> fields_;
};

/// What stands behind the question mark, as written (HttpRequest::query); may be empty.
Expected<Fields> parse_query(std::string_view query, FieldLimits limits = {});

/// The body of a form. The caller has looked at the content type (is_form).
Expected<Fields> parse_form(std::string_view body, FieldLimits limits = kFormLimits);

/// "application/x-www-form-urlencoded", with parameters or without.
bool is_form(std::string_view content_type);

/// The other way, for links of our own: every byte but letters, digits and "-._~" becomes %XX.
std::string percent_encode(std::string_view text);

}  // namespace tocsin::codec
