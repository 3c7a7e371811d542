#pragma once
// Question answered here: what does one line of the assertion language mean?
//
//   status == 200                      status in 200..299        redirects <= 2
//   header content-type contains json  header x-cache exists     http version == "1.1"
//   body contains "ready"              body not matches "err.*"  latency < 2s
//   json $.ok == true                  json $.items[0]["a b"] exists
//   phase tls < 500ms                  certificate expires in > 14d
//   dns rcode == NOERROR               dns record contains "192.0.2.1"   dns count >= 1
//   dns ttl >= 5m                      dns flags contains ad             address == 192.0.2.1
//   length json $.items >= 1           length body < 10000               connected == true
//
// A line that begins with '[', `len(` or `has(` is a condition in Gatus' spelling (gatus.h).
//
// Words are separated by blanks. An operand is a bare word or a text in double quotes, in which
// \" \\ \n \r \t are escapes; after `matches` only \" is one and the rest goes to RE2 as written.
// Everything that is not in the table of parser.cc is an error that names the column and what was
// expected: nothing is guessed.

#include "common/base/expected.h"
#include "common/model/assertion.h"
#include "common/model/monitor_spec.h"

#include <string_view>
#include <utility>

namespace tocsin::assertion {

/// Longest condition, in bytes.
inline constexpr std::size_t kConditionSizeMax = 1024;
/// Longest regular expression, in bytes.
inline constexpr std::size_t kPatternSizeMax = 512;

/// `target` decides which subjects exist: a TCP monitor has no status. Errors are kInvalid, with
/// "column N: " before the text; columns count from 1 in bytes. A line with any() is a group.
Expected<Condition> parse_condition(std::string_view text, const Target& target);

/// The column of such an error, 0 if it names none, and the text behind it.
std::pair<std::size_t, std::string_view> split_column(const Error& error);

/// The same rules for a condition that did not come from parse_condition (the wire, the API):
/// subject, selector, operator and operand fit together and fit the target; groups are not too deep
/// and not empty. Regular expressions are compiled once to see whether they can be.
Expected<void> check_condition(const Condition& condition, const Target& target);

}  // namespace tocsin::assertion
