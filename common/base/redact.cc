#include "common/base/redact.h"

#include <algorithm>

namespace tocsin {

std::string redacted(std::string_view text, const std::vector<std::string>& secrets,
                     std::size_t bytes_max) {
  if (secrets.empty()) return std::string{text.substr(0, bytes_max)};
  std::string out;
  std::size_t i = 0;
  while (i < text.size() && out.size() < bytes_max) {
    std::size_t longest = 0;
    for (const std::string& secret : secrets) {
      if (secret.size() > longest && text.substr(i).starts_with(secret)) longest = secret.size();
    }
    if (longest == 0) {
      out += text[i++];
      continue;
    }
    out += "***";
    i += longest;
  }
  if (out.size() > bytes_max) out.resize(bytes_max);
  return out;
}

}  // namespace tocsin
