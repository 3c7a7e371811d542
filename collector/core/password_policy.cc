#include "collector/core/password_policy.h"

#include "common/base/strings.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <vector>

namespace tocsin::collector {

namespace {

constexpr std::size_t kDistinctMin = 5;
/// Letters and digits that must be left when the obvious words are taken out.
constexpr std::size_t kOwnMin = 6;
constexpr std::size_t kWordMin = 3;  ///< Shorter words stand in anything.

std::size_t chars_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

std::vector<std::string> obvious_words(const UserSpec& user) {
  std::vector<std::string> words{"tocsin", "password", "passwort", "qwerty", "123456", "letmein"};
  const auto add = [&](std::string_view text) {
    for (const std::string_view word : split(text, ' ')) words.push_back(to_lower(word));
  };
  add(user.key);
  add(user.name);
  for (const std::string_view part : split(user.email, '@')) add(part);
  std::erase_if(words, [](const std::string& word) { return word.size() < kWordMin; });
  // The longest first: "annabel" before "ann".
  std::sort(words.begin(), words.end(),
            [](const std::string& a, const std::string& b) { return a.size() > b.size(); });
  return words;
}

}  // namespace

std::optional<std::string> check_password(std::string_view password, const UserSpec& user) {
  const bool control = std::any_of(password.begin(), password.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
  });
  if (control || !is_valid_utf8(password)) return "expected UTF-8 without control characters";
  const std::size_t chars = chars_of(password);
  if (chars < kPasswordCharsMin || chars > kPasswordCharsMax) {
    return fmt::format("expected {} to {} characters, not {}", kPasswordCharsMin, kPasswordCharsMax,
                       chars);
  }
  if (std::set<char>(password.begin(), password.end()).size() < kDistinctMin) {
    return fmt::format("expected at least {} different characters", kDistinctMin);
  }
  std::string rest = to_lower(password);
  for (const std::string& word : obvious_words(user)) {
    for (std::size_t at = rest.find(word); at != std::string::npos; at = rest.find(word, at)) {
      rest.erase(at, word.size());
    }
  }
  // Years and exclamation marks behind a name are tried as well.
  std::erase_if(
      rest, [](char c) { return static_cast<unsigned char>(c) < 0x80 && (c < 'a' || c > 'z'); });
  if (rest.size() < kOwnMin && rest.size() < password.size() / 2) {
    return "expected more than the user's own name, an obvious word and digits";
  }
  return std::nullopt;
}

}  // namespace tocsin::collector
