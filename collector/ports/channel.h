#pragma once
// Question answered here: how is a message handed to the outside world?

#include "collector/core/rows.h"
#include "common/base/check.h"
#include "common/base/time.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace tocsin::collector {

struct SendResult {
  enum class Kind : std::uint8_t {
    kAccepted,   ///< The provider took it.
    kTransient,  ///< Refused for now, unreachable, or uncertain: send again.
    kPermanent,  ///< Will never be taken (410 Gone, malformed destination).
  } kind = Kind::kTransient;
  int status = 0;
  std::string detail;  ///< Printable, bounded.
  std::optional<Duration> retry_after;
};

/// A send under way; destroying it cancels (the provider may have accepted already).
class SendHandle {
 public:
  virtual ~SendHandle() = default;
};

/// One thread: `net`. `key` is the idempotency key: the notification's id, the same on every try.
class Channel {
 public:
  using Done = std::function<void(SendResult)>;
  virtual ~Channel() = default;
  virtual std::unique_ptr<SendHandle> send(const OutboxRow& message, const std::string& key,
                                           Duration deadline, Done done) = 0;

  /// How many messages one digest of this channel can list; 0: it is read by programs, which want
  /// each message by itself.
  virtual std::size_t digest_max() const { return 0; }

  /// One message that stands for all of these, at most digest_max() and to the same destination.
  /// `key` is the same for the same messages. Only when digest_max() is above zero. The rows
  /// outlive the handle.
  virtual std::unique_ptr<SendHandle> send_digest(const std::vector<const OutboxRow*>& messages,
                                                  const std::string& key, Duration deadline,
                                                  Done done);
};

// --- inline ---

// NOLINTBEGIN(performance-unnecessary-value-param): who overrides it keeps the function.
inline std::unique_ptr<SendHandle> Channel::send_digest(const std::vector<const OutboxRow*>&,
                                                        const std::string&, Duration, Done) {
  CHECK(false);  // digest_max() says that it is not asked for.
}

// NOLINTEND(performance-unnecessary-value-param)

}  // namespace tocsin::collector
