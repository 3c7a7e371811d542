#pragma once
// Question answered here: with which bytes does an answer of our server begin?
//
// Pure; for the sources of HttpServer alone.

#include "common/base/time.h"
#include "common/io/http_server.h"

#include <optional>
#include <string>
#include <string_view>

namespace tocsin::io {

/// How the body will be told from what follows it.
enum class HttpFraming { kLength, kNoBody, kChunked, kUntilClose };

struct HttpHeadFacts {
  std::string_view date;  ///< http_date of now.
  std::string_view etag;  ///< Empty: none.
  HttpFraming framing = HttpFraming::kLength;
  bool keep = true;
  int minor_version = 1;  ///< Of the request.
};

/// "Sat, 21 Nov 2026 03:00:00 GMT" (RFC 9110 section 5.6.7).
std::string http_date(WallTime t);

/// Status line, headers and the empty line, behind what `out` holds already. A control character in
/// a header's value becomes a question mark: what a user wrote must not become a second header.
void append_head(std::string& out, const HttpResponse& response, const HttpHeadFacts& facts);

/// Does If-None-Match name this tag? Weak comparison (RFC 9110 section 13.1.2).
bool names_etag(std::string_view if_none_match, std::string_view etag);

}  // namespace tocsin::io
