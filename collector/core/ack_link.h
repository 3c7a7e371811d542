#pragma once
// Question answered here: which message is this acknowledge link from, and did we write it?
//
// A link is PUBLIC_URL/ack/TOKEN. The token is base64url, without padding, of
//
//   version 1 | incident 16 | notification 16 | expires, seconds since the epoch 4 | HMAC-SHA256 32
//
// whose numbers are little-endian and whose HMAC, by a key that never leaves the state directory,
// is over all bytes before it. Whom it speaks for is not in it: the notification's row says so. The
// same row gives the same token on every attempt. That it works once is the engine's to see
// (IncidentRow::used_links).

#include "collector/core/rows.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace tocsin::collector {

/// From the message's due moment on.
inline constexpr Duration kAckLinkValid = std::chrono::hours{24 * 7};
/// Of the key; any bytes.
inline constexpr std::size_t kAckKeyBytes = 32;

struct AckLink {
  IncidentId incident;
  NotificationId notification;
  WallTime expires;  ///< Whole seconds.

  friend bool operator==(const AckLink&, const AckLink&) = default;
};

AckLink ack_link_of(const OutboxRow& row);

std::string ack_token(const AckLink& link, ByteSpan key);

/// Nothing when it is no token or another key made it; compared in constant time. The caller looks
/// at `expires`.
std::optional<AckLink> read_ack_token(std::string_view token, ByteSpan key);

/// The link of a message, for channels to print; empty when there is none to give.
using AckUrl = std::function<std::string(const OutboxRow& row)>;

}  // namespace tocsin::collector
