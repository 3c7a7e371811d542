#pragma once
// Question answered here: what does an e-mail say? docs/email.md tells its readers.
//
// RFC 5322 and MIME: multipart/alternative of plain text in 78 columns and HTML that loads nothing.
// The same row gives the same bytes on every attempt: the date is the row's, the boundary comes
// from its id. Whatever a name, a target or a region says, it stays text in its place.

#include "collector/core/rows.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::collector {

inline constexpr std::size_t kEmailColumns = 78;
/// Regions, and attempts, that are listed; how many were left out is said.
inline constexpr std::size_t kEmailRowsMax = 20;
/// Messages that one digest lists; each may say kEmailListedBytesMax of a text.
inline constexpr std::size_t kEmailDigestMax = 40;
inline constexpr std::size_t kEmailListedBytesMax = 120;
/// Holds by construction of the parts' bounds; a test fills all of them.
inline constexpr std::size_t kEmailBytesMax = 96 * 1024;

struct EmailEnvelope {
  std::string from;     ///< is_mail_address; its domain is the host of the message ids.
  std::string ack_url;  ///< http(s) link that acknowledges; empty: none is shown.
};

/// "[down] INC-42 Shop checkout is down", in UTF-8 before RFC 2047.
std::string email_subject(const OutboxRow& row);

/// The whole message with CRLF line ends, to `row.destination.to`. Addresses are checked where they
/// come from.
std::string email_message(const OutboxRow& row, const EmailEnvelope& envelope);

/// One of the messages of a digest.
struct EmailDigestEntry {
  const OutboxRow& row;  ///< Outlives the call.
  std::string ack_url;   ///< As EmailEnvelope::ack_url.
};

/// "[digest] 12 messages: 9 down, 3 resolved"
std::string email_digest_subject(const std::vector<EmailDigestEntry>& entries);

/// One message that stands for all of these, 1 to kEmailDigestMax, to the destination of the first:
/// text only, each with its own link. `key` becomes the Message-ID.
std::string email_digest(const std::vector<EmailDigestEntry>& entries, const std::string& key,
                         const std::string& from);

}  // namespace tocsin::collector
