#include "agent/probe/dialogue.h"

#include <algorithm>
#include <charconv>

namespace tocsin::agent {

namespace {

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

std::string_view group(const assertion::RegexMatch& match, std::string_view name) {
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error == std::errc{} && end == name.data() + name.size()) {
    return number < match.groups.size() ? match.groups[number] : std::string_view{};
  }
  const auto named = match.named.find(name);
  return named == match.named.end() ? std::string_view{} : named->second;
}

/// The name behind a dollar sign, and how many bytes it takes; nothing when it is none.
struct Reference {
  std::string_view name;
  std::size_t size = 0;
};

Reference reference(std::string_view rest) {
  const bool braced = rest.starts_with('{');
  if (braced) rest.remove_prefix(1);
  const auto end = std::find_if_not(rest.begin(), rest.end(), is_word);
  const std::string_view name = rest.substr(0, static_cast<std::size_t>(end - rest.begin()));
  if (name.empty() || (braced && !rest.substr(name.size()).starts_with('}'))) return {};
  return {name, name.size() + (braced ? 2 : 0)};
}

}  // namespace

std::string expand_groups(std::string_view text, const assertion::RegexMatch& match) {
  std::string out;
  while (!text.empty()) {
    const std::size_t dollar = std::min(text.find('$'), text.size());
    out += text.substr(0, dollar);
    text.remove_prefix(dollar);
    if (text.empty()) break;
    text.remove_prefix(1);
    if (text.starts_with('$')) {
      out += '$';
      text.remove_prefix(1);
      continue;
    }
    const Reference found = reference(text);
    if (found.size == 0) {
      out += '$';
    } else {
      out += group(match, found.name);
      text.remove_prefix(found.size);
    }
  }
  return out;
}

}  // namespace tocsin::agent
