#pragma once
// Question answered here: what does a condition in Gatus' spelling mean in our language?
//
//   [STATUS] == 200                [STATUS] == any(200, 204)       [RESPONSE_TIME] < 500
//   [BODY] == pat(*ready*)         [BODY].user.name == john        [BODY].items[0].id > 3
//   len([BODY].items) >= 1         has([BODY].error) == false      [IP] == 192.0.2.1
//   [CONNECTED] == true            [CERTIFICATE_EXPIRATION] > 48h  [DNS_RCODE] == NOERROR
//
// Operators == != < <= > >= between blanks. Times without a unit are milliseconds. The right side
// runs to the end of the line and is not quoted, except that "text" is a text where a JSON value is
// compared. pat(): `*` stands for anything, everything else for itself. any(): one of up to 16
// values separated by commas. What Gatus has and we do not ([DOMAIN_EXPIRATION], [CONTEXT]) is an
// error that says so.

#include "common/base/expected.h"
#include "common/model/assertion.h"
#include "common/model/monitor_spec.h"

#include <string_view>

namespace tocsin::assertion {

inline constexpr std::size_t kAlternativesMax = 16;

bool is_gatus(std::string_view text);

/// `text` is UTF-8 without control characters. Errors as those of parse_condition.
Expected<Condition> parse_gatus(std::string_view text, const Target& target);

}  // namespace tocsin::assertion
