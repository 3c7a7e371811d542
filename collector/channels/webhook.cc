#include "collector/channels/webhook.h"

#include "collector/channels/webhook_body.h"
#include "collector/channels/webhook_signature.h"
#include "common/base/strings.h"
#include "common/io/secret_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace tocsin::collector {

namespace {

constexpr std::size_t kDetailBytesMax = 256;

struct HttpSendHandle final : SendHandle {
  std::unique_ptr<io::HttpCallHandle> call;
  io::TimerHandle at_once;
};

/// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7), the one form that may be sent.
std::optional<WallTime> parse_http_date(std::string_view s) {
  constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                               "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  if (s.size() != 29 || s.substr(26) != "GMT") return std::nullopt;
  const auto month = std::find(kMonths.begin(), kMonths.end(), s.substr(8, 3));
  if (month == kMonths.end()) return std::nullopt;
  const auto t =
      parse_rfc3339(fmt::format("{}-{:02}-{}T{}Z", s.substr(12, 4), month - kMonths.begin() + 1,
                                s.substr(5, 2), s.substr(17, 8)));
  if (!t) return std::nullopt;
  return *t;
}

std::string describe(const io::HttpAnswer& answer) {
  std::string out = fmt::format("HTTP {}", answer.status);
  const std::string_view body = trim(answer.body);
  if (!body.empty()) out += ": " + printable(body, kDetailBytesMax);
  return out;
}

}  // namespace

std::optional<Duration> parse_retry_after(std::string_view value, WallTime now) {
  value = trim(value);
  std::uint32_t seconds = 0;
  const auto [end, ec] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (!value.empty() && end == value.data() + value.size()) {
    if (ec == std::errc::result_out_of_range) return kRetryAfterMax;
    if (ec == std::errc{}) {
      return std::min<Duration>(std::chrono::seconds{seconds}, kRetryAfterMax);
    }
  }
  const std::optional<WallTime> date = parse_http_date(value);
  if (!date) return std::nullopt;
  return std::clamp<Duration>(*date - now, Duration{0}, kRetryAfterMax);
}

SendResult judge_webhook_answer(const io::HttpAnswer& answer, WallTime now) {
  SendResult out;
  out.status = answer.status;
  out.detail = describe(answer);
  if (answer.status >= 200 && answer.status < 300) {
    out.kind = SendResult::Kind::kAccepted;
    return out;
  }
  const bool passing = answer.status == 408 || answer.status == 425 || answer.status == 429;
  if (answer.status >= 400 && answer.status < 500 && !passing) {
    out.kind = SendResult::Kind::kPermanent;
    return out;
  }
  out.kind = SendResult::Kind::kTransient;
  if (answer.status >= 300 && answer.status < 400) out.detail += " (redirects are not followed)";
  for (const Header& h : answer.headers) {
    if (h.name == "retry-after") out.retry_after = parse_retry_after(h.value, now);
  }
  return out;
}

WebhookChannel::WebhookChannel(io::EventLoop& loop, io::HttpClient& client, Options options)
    : loop_(loop),
      client_(client),
      options_(std::move(options)) {}

std::unique_ptr<SendHandle> WebhookChannel::send(const OutboxRow& message, const std::string& key,
                                                 Duration deadline, Done done) {
  const std::string ack_url = options_.ack_url ? options_.ack_url(message) : std::string{};
  return post(message.destination, webhook_body(message, options_.source, ack_url), key, deadline,
              std::move(done));
}

std::unique_ptr<SendHandle> WebhookChannel::post(const ChannelSpec& destination, std::string body,
                                                 const std::string& key, Duration deadline,
                                                 Done done) {
  auto handle = std::make_unique<HttpSendHandle>();
  const auto refuse = [&](const Error& error) {
    handle->at_once = loop_.after(Duration{0}, [done, text = error.text] {
      done({SendResult::Kind::kTransient, 0, printable(text, kDetailBytesMax), std::nullopt});
    });
  };

  io::HttpCall call;
  call.url = destination.url;
  call.body = std::move(body);
  call.timeout = deadline;
  call.connect_timeout = std::min(options_.connect_timeout, deadline);
  const std::int64_t seconds = loop_.now().wall.us / 1'000'000;
  call.headers = {{"Content-Type", "application/cloudevents+json; charset=utf-8"},
                  {"Accept", "*/*"},
                  {"Expect", ""},
                  {"webhook-id", key},
                  {"webhook-timestamp", std::to_string(seconds)}};
  if (!destination.secret_file.empty()) {
    const Expected<std::string> text =
        io::read_secret_file(options_.secrets_dir, destination.secret_file);
    if (!text) {
      refuse(text.error());
      return handle;
    }
    const auto keys = parse_webhook_keys(*text);
    if (!keys) {
      refuse({keys.error().code,
              fmt::format("secret file {}: {}", destination.secret_file, keys.error().text)});
      return handle;
    }
    call.headers.push_back({"webhook-signature", sign_webhook(*keys, key, seconds, call.body)});
  }
  handle->call = client_.start(
      std::move(call), [this, done = std::move(done)](const Expected<io::HttpAnswer>& answer) {
        if (answer) return done(judge_webhook_answer(*answer, loop_.now().wall));
        done({SendResult::Kind::kTransient, 0, printable(answer.error().text, kDetailBytesMax),
              std::nullopt});
      });
  return handle;
}

}  // namespace tocsin::collector
