#pragma once
// Question answered here: what did that server say to our request?
//
// For messages to the outside (webhooks), not for checks: libcurl on the event loop. A call goes to
// one address that the egress policy allows, follows no redirect, uses no proxy of the environment,
// keeps the beginning of the answer, and ends within its timeout.

#include "common/base/expected.h"
#include "common/base/time.h"
#include "common/io/event_loop.h"
#include "common/model/egress.h"
#include "common/model/monitor_spec.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace tocsin::io {

struct HttpCall {
  std::string method = "POST";
  std::string url;
  std::vector<Header> headers;
  std::string body;
  Duration connect_timeout = std::chrono::seconds{10};
  Duration timeout = std::chrono::seconds{20};  ///< From start to the end of the answer.
  /// Of the answer's body; 0: HttpClient::kKeptBytes. What comes beyond is cut off.
  std::size_t keep_bytes = 0;
};

struct HttpAnswer {
  int status = 0;
  std::vector<Header> headers;  ///< Of the last header block; names in lower case.
  std::string body;             ///< At most HttpCall::keep_bytes; raw bytes of a stranger.
  std::string remote;           ///< Address used.
};

/// A call under way; destroying it cancels: `done` will not run.
class HttpCallHandle {
 public:
  virtual ~HttpCallHandle() = default;
};

/// One thread: the loop's. Outlives its handles; is not destroyed inside a `done`.
class HttpClient {
 public:
  using Done = std::function<void(Expected<HttpAnswer>)>;

  static constexpr std::size_t kKeptBytes = 1024;
  /// What comes beyond is not read: the connection is closed and the status stands.
  static constexpr std::size_t kReadBytesMax = 64 * 1024;
  static constexpr std::size_t kHeadersMax = 50;

  struct Options {
    EgressPolicy egress;
    std::string user_agent;
    std::string ca_file;  ///< PEM instead of the system's roots when not empty.
  };

  static Expected<std::unique_ptr<HttpClient>> open(EventLoop& loop, Options options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// `done` runs once, never inside this call, and may destroy the handle. Errors: kDenied by the
  /// egress policy, kInvalid for a URL or header that is not one, kTimeout, else kUnavailable.
  /// After kTimeout and kUnavailable the server may have done what was asked.
  [[nodiscard]] std::unique_ptr<HttpCallHandle> start(HttpCall call, Done done);

 private:
  struct Impl;
  struct Transfer;
  class Handle;
  explicit HttpClient(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace tocsin::io
