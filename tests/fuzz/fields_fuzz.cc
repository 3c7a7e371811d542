// Queries, forms and cookie headers, of both directions, from any bytes.
//
// Oracles: an error names a byte or a bound and is printable; what was accepted keeps the promises
// of the headers; and what is encoded from the parts reads back as the same parts.

#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/codec/cookie_jar.h"
#include "common/codec/cookies.h"
#include "common/codec/query_string.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {

using tocsin::Expected;
using tocsin::codec::Field;
using tocsin::codec::FieldLimits;
using tocsin::codec::Fields;

std::string encode(const Fields& fields) {
  std::string out;
  for (const Field& field : fields.all()) {
    if (!out.empty()) out += '&';
    out.append(tocsin::codec::percent_encode(field.name))
        .append("=")
        .append(tocsin::codec::percent_encode(field.value));
  }
  return out;
}

void check(const Expected<Fields>& fields, const FieldLimits& limits) {
  if (!fields) {
    CHECK(tocsin::printable(fields.error().text, 1024) == fields.error().text);
    return;
  }
  CHECK(fields->all().size() <= limits.fields);
  for (const Field& field : fields->all()) {
    CHECK(!field.name.empty());
    CHECK(tocsin::is_valid_utf8(field.name) && tocsin::is_valid_utf8(field.value));
    CHECK(field.value.find('\0') == std::string::npos);
    CHECK(!fields->each(field.name).empty());
    (void)fields->one(field.name);
    (void)fields->number(field.name, 1, 500, 50);
  }
  const FieldLimits wide{.bytes = std::size_t{1} << 24, .fields = limits.fields};
  const Expected<Fields> again = tocsin::codec::parse_form(encode(*fields), wide);
  CHECK(again && *again == *fields);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  check(tocsin::codec::parse_query(bytes), {});
  check(tocsin::codec::parse_form(bytes), tocsin::codec::kFormLimits);
  (void)tocsin::codec::is_form(bytes);
  const auto cookies = tocsin::codec::parse_cookies(bytes);
  CHECK(cookies.size() <= tocsin::codec::kCookiesMax);
  for (const auto& [name, value] : cookies) {
    CHECK(!name.empty() && name.find_first_of("=; ") == std::string_view::npos);
    CHECK(value.find_first_of("; \"\r\n") == std::string_view::npos);
    const auto found = tocsin::codec::find_cookie(bytes, name);
    CHECK(!found || *found == value);
  }
  // Each line is one Set-Cookie header.
  const auto url = tocsin::parse_url("https://www.shop.example/app/login?next=/");
  tocsin::codec::CookieJar jar;
  for (std::size_t i = 0; i < size; i = std::min(bytes.find('\n', i), size - 1) + 1) {
    jar.take(*url, bytes.substr(i, bytes.find('\n', i) - i),
             tocsin::WallTime{1'790'000'000'000'000});
  }
  const std::string header = jar.header(*url);
  CHECK(header.size() <= tocsin::codec::CookieJar::kHeaderBytesMax);
  CHECK(tocsin::printable(header, header.size() + 1) == header);
  return 0;
}
