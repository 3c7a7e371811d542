#pragma once
// Question answered here: what does the collector answer to one request?
//
// Blocking: a command line waits. One request at a time, its answer kept up to kAnswerBytesMax.

#include "common/base/expected.h"
#include "common/codec/node.h"
#include "common/io/event_loop.h"
#include "common/io/http_client.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace tocsin::ctl {

struct Answer {
  int status = 0;
  codec::Node body;  ///< kNull when there is none.
  std::string text;  ///< The body as it came.
};

class ApiClient {
 public:
  static constexpr std::size_t kAnswerBytesMax = std::size_t{16} << 20;

  /// `url` without /api/v1.
  static Expected<std::unique_ptr<ApiClient>> open(Clock& clock, std::string url,
                                                   std::string token);

  /// The answer whatever its status. kUnavailable: nobody answers at the URL.
  Expected<Answer> ask(std::string_view method, std::string_view path,
                       const codec::Node* body = nullptr, std::string_view idempotency_key = {});

  /// The body of a 2xx answer; else an error with the problem's words, kUnavailable for 429 and
  /// 503.
  Expected<codec::Node> get(std::string_view path);
  Expected<codec::Node> post(std::string_view path, const codec::Node& body,
                             std::string_view idempotency_key = {});

  /// Lets `d` pass.
  void wait(Duration d);

  const std::string& url() const { return url_; }

 private:
  ApiClient(Clock& clock, std::string url, std::string token)
      : loop_(clock),
        url_(std::move(url)),
        token_(std::move(token)) {}

  io::EventLoop loop_;
  std::unique_ptr<io::HttpClient> client_;
  std::string url_;
  std::string token_;
};

/// What a problem document says; the status when it says nothing.
Error problem_error(const Answer& answer);

}  // namespace tocsin::ctl
