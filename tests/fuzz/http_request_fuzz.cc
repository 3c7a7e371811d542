// The request parser of our server against any bytes.
//
// Oracles: the answer does not depend on how the bytes were cut; nothing accepted breaks a promise
// of the header; and llhttp, which most of the world reads requests with, reads every accepted
// request alike: same method, same headers, same body, same end.

#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/codec/http_request.h"

#include <llhttp.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace {

using tocsin::codec::HttpRequest;
using tocsin::codec::HttpRequestParser;

/// Requests that one input may hold; more are not looked at.
constexpr std::size_t kRequestsMax = 8;

struct Outcome {
  std::vector<HttpRequest> requests;
  std::vector<std::size_t> ends;
  HttpRequestParser::Status status = HttpRequestParser::Status::kNeedMore;
  tocsin::codec::HttpRefusal refusal;

  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome run(std::string_view bytes, std::size_t step) {
  Outcome out;
  HttpRequestParser parser;
  std::size_t used = 0;
  while (used < bytes.size() && out.requests.size() < kRequestsMax) {
    const std::size_t took = parser.feed(bytes.substr(used, step));
    used += took;
    out.status = parser.status();
    if (out.status == HttpRequestParser::Status::kRefused) {
      out.refusal = parser.refusal();
      break;
    }
    if (out.status == HttpRequestParser::Status::kComplete) {
      out.requests.push_back(parser.take());
      out.ends.push_back(used);
      out.status = HttpRequestParser::Status::kNeedMore;
      continue;
    }
    CHECK(took > 0);
  }
  return out;
}

struct Second {
  std::string body;
  int headers = 0;
  bool complete = false;
  bool in_trailers = false;
};

Second& state_of(llhttp_t* parser) { return *static_cast<Second*>(parser->data); }

/// llhttp's reading of exactly the bytes that we took for one request.
void compare_with_llhttp(std::string_view bytes, const HttpRequest& ours) {
  llhttp_settings_t settings;
  llhttp_settings_init(&settings);
  settings.on_header_value_complete = [](llhttp_t* p) {
    if (!state_of(p).in_trailers) ++state_of(p).headers;
    return 0;
  };
  settings.on_headers_complete = [](llhttp_t* p) {
    state_of(p).in_trailers = true;
    return 0;
  };
  settings.on_body = [](llhttp_t* p, const char* at, std::size_t n) {
    state_of(p).body.append(at, n);
    return 0;
  };
  settings.on_message_complete = [](llhttp_t* p) {
    state_of(p).complete = true;
    return 0;
  };
  Second second;
  llhttp_t parser;
  llhttp_init(&parser, HTTP_REQUEST, &settings);
  parser.data = &second;
  const llhttp_errno_t error = llhttp_execute(&parser, bytes.data(), bytes.size());
  // Upgrade is not ours: llhttp stops there and hands the rest over.
  if (error == HPE_PAUSED_UPGRADE || parser.upgrade != 0) return;
  if (error != HPE_OK) {
    // It refuses some chunk extensions that we skip. That is no second reading, unless it saw the
    // request end before.
    CHECK(!second.complete);
    return;
  }
  CHECK(second.complete);
  CHECK(second.body == ours.body);
  CHECK(second.headers == static_cast<int>(ours.headers.size()));
  CHECK(std::string_view{llhttp_method_name(static_cast<llhttp_method_t>(parser.method))} ==
        to_string(ours.method));
}

void check_promises(const HttpRequest& r) {
  const tocsin::codec::HttpRequestLimits limits;
  CHECK(r.body.size() <= limits.body_bytes);
  CHECK(r.headers.size() <= limits.header_count);
  CHECK(r.path == "*" || r.path.starts_with('/'));
  CHECK(r.path.find('\0') == std::string::npos);
  CHECK((r.path + "/").find("/../") == std::string::npos);
  CHECK(tocsin::is_valid_utf8(r.path));
  CHECK(r.minor_version == 0 || !r.host.empty());
  for (const tocsin::Header& h : r.headers) {
    CHECK(h.value.find_first_of(std::string_view{"\r\n\0", 3}) == std::string::npos);
    CHECK(h.name == tocsin::to_lower(h.name));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  const Outcome whole = run(bytes, bytes.size() + 1);
  CHECK(run(bytes, 1) == whole);
  CHECK(run(bytes, 7) == whole);
  std::size_t begin = 0;
  for (std::size_t i = 0; i < whole.requests.size(); ++i) {
    check_promises(whole.requests[i]);
    compare_with_llhttp(bytes.substr(begin, whole.ends[i] - begin), whole.requests[i]);
    begin = whole.ends[i];
  }
  return 0;
}
