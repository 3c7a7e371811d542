#pragma once
// Question answered here: how does a receiver know that a webhook is ours, and not a replay?
//
// Standard Webhooks 1.0: HMAC-SHA-256 over "ID.TIMESTAMP.BODY", base64, with the version in front.
// A secret file holds one secret per line; while keys are changed there are two, and every message
// carries a signature by each.

#include "common/base/expected.h"
#include "common/base/time.h"
#include "common/io/secret.h"

#include <string>
#include <string_view>
#include <vector>

namespace tocsin::collector {

/// Keys in one file.
inline constexpr std::size_t kWebhookKeysMax = 4;
/// Bytes of a key, decoded.
inline constexpr std::size_t kWebhookKeyBytesMin = 16;
inline constexpr std::size_t kWebhookKeyBytesMax = 64;

/// The decoded keys of a file: lines "whsec_BASE64", blank lines and lines with # left out. The
/// errors never quote the text.
Expected<std::vector<io::Secret>> parse_webhook_keys(std::string_view text);

/// "v1,BASE64", one per key, separated by blanks. `seconds` is the Unix time of this attempt.
std::string sign_webhook(const std::vector<io::Secret>& keys, std::string_view id,
                         std::int64_t seconds, std::string_view body);

}  // namespace tocsin::collector
