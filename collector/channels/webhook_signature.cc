#include "collector/channels/webhook_signature.h"

#include "common/base/bytes.h"
#include "common/base/digest.h"
#include "common/base/strings.h"

#include <fmt/format.h>

namespace tocsin::collector {

Expected<std::vector<io::Secret>> parse_webhook_keys(std::string_view text) {
  constexpr std::string_view kPrefix = "whsec_";
  std::vector<io::Secret> keys;
  int number = 0;
  for (std::string_view line : split(text, '\n')) {
    ++number;
    line = trim(line);
    if (line.empty() || line.front() == '#') continue;
    if (!line.starts_with(kPrefix)) {
      return fail(Errc::kInvalid, "line {}: expected whsec_ and base64", number);
    }
    Bytes key;
    if (!from_base64(line.substr(kPrefix.size()), key)) {
      return fail(Errc::kInvalid, "line {}: what follows whsec_ is not base64", number);
    }
    if (key.size() < kWebhookKeyBytesMin || key.size() > kWebhookKeyBytesMax) {
      return fail(Errc::kInvalid, "line {}: expected {} to {} bytes, got {}", number,
                  kWebhookKeyBytesMin, kWebhookKeyBytesMax, key.size());
    }
    if (keys.size() == kWebhookKeysMax) {
      return fail(Errc::kLimit, "line {}: more than {} keys", number, kWebhookKeysMax);
    }
    keys.emplace_back(std::move(key));
  }
  if (keys.empty()) return fail(Errc::kInvalid, "no key: expected a line whsec_BASE64");
  return keys;
}

std::string sign_webhook(const std::vector<io::Secret>& keys, std::string_view id,
                         std::int64_t seconds, std::string_view body) {
  const std::string signed_text = fmt::format("{}.{}.{}", id, seconds, body);
  std::string out;
  for (const io::Secret& key : keys) {
    if (!out.empty()) out += ' ';
    out += "v1," + to_base64(hmac_sha256(as_bytes(key.reveal()), as_bytes(signed_text)));
  }
  return out;
}

}  // namespace tocsin::collector
