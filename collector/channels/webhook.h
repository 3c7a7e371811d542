#pragma once
// Question answered here: how does a notification reach a URL, and what does the answer mean?
//
//   2xx                     accepted
//   408 425 429 5xx         transient; Retry-After is passed on
//   3xx                     transient: redirects are not followed, somebody must correct the URL
//   other 4xx, 410          permanent
//   no answer, denied, no secret   transient: what is wrong is ours or the network's, and a page is
//                           not given up for that

#include "collector/core/ack_link.h"
#include "collector/ports/channel.h"
#include "common/base/expected.h"
#include "common/io/event_loop.h"
#include "common/io/http_client.h"

#include <optional>
#include <string>
#include <string_view>

namespace tocsin::collector {

/// The meaning of an answer, by the table above. `now` is for a Retry-After with a date.
SendResult judge_webhook_answer(const io::HttpAnswer& answer, WallTime now);

/// Seconds or an HTTP date, from 0 to kRetryAfterMax; nothing when it is neither.
std::optional<Duration> parse_retry_after(std::string_view value, WallTime now);

inline constexpr Duration kRetryAfterMax = std::chrono::minutes{10};

/// One thread: `net`.
class WebhookChannel final : public Channel {
 public:
  struct Options {
    std::string secrets_dir;  ///< Where ChannelSpec::secret_file lives; read anew for every send.
    std::string source;       ///< CloudEvents source: a URI reference that names this collector.
    AckUrl ack_url;           ///< Empty: messages carry no link.
    Duration connect_timeout = std::chrono::seconds{10};
  };

  /// `loop` and `client` outlive the channel.
  WebhookChannel(io::EventLoop& loop, io::HttpClient& client, Options options);

  /// Signed with the keys of the destination's secret file; a destination without one gets its
  /// messages unsigned.
  std::unique_ptr<SendHandle> send(const OutboxRow& message, const std::string& key,
                                   Duration deadline, Done done) override;

  /// The same for a body of the caller's own.
  std::unique_ptr<SendHandle> post(const ChannelSpec& destination, std::string body,
                                   const std::string& key, Duration deadline, Done done);

 private:
  io::EventLoop& loop_;
  io::HttpClient& client_;
  Options options_;
};

}  // namespace tocsin::collector
