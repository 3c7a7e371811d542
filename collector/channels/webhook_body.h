#pragma once
// Question answered here: what does a webhook say? docs/webhooks.md is the contract.
//
// A CloudEvents 1.0 envelope in JSON. The same row gives the same bytes on every attempt, so a
// receiver may compare what it got twice.

#include "collector/core/rows.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace tocsin::collector {

/// Beyond it the evidence is shortened: first without excerpts, then fewer results.
inline constexpr std::size_t kWebhookBodyBytesMax = 128 * 1024;
inline constexpr std::size_t kWebhookExcerptBytesMax = 1024;

/// "io.tocsin.incident.opened.v1" ...
std::string_view webhook_event_type(NotificationKind kind);

/// `source` is a URI reference that names this collector; `ack_url` the link that acknowledges,
/// said of triggers only.
std::string webhook_body(const OutboxRow& row, std::string_view source,
                         std::string_view ack_url = {});

}  // namespace tocsin::collector
