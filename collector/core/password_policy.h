#pragma once
// Question answered here: may this be somebody's password?
//
// Length counts, composition does not (NIST SP 800-63B): 12 to 128 characters of UTF-8 without
// control characters. Refused is what would be tried first: what is little more than the person's
// own key, name or address, the product's name or the word itself, and what repeats a few
// characters.

#include "collector/core/catalog.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace tocsin::collector {

inline constexpr std::size_t kPasswordCharsMin = 12;
inline constexpr std::size_t kPasswordCharsMax = 128;

/// Nothing: yes. Else what was expected, in a sentence that never quotes the password.
std::optional<std::string> check_password(std::string_view password, const UserSpec& user);

}  // namespace tocsin::collector
