#pragma once
// Question answered here: which cookies of earlier responses go with the next request?
//
// The user agent's half of RFC 6265 (sections 5.1 to 5.4), for the requests of one attempt: what a
// redirect sets is sent on, and nothing outlives the attempt. Stricter in what matters to a jar
// without a list of public suffixes: a Domain of one label is ignored with its cookie, and a Secure
// cookie comes by https only.

#include "common/base/time.h"
#include "common/codec/url.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::codec {

/// A value; one thread.
class CookieJar {
 public:
  /// Further cookies are not kept; longer ones, and values that cannot stand in a header, neither.
  static constexpr std::size_t kCookiesMax = 50;
  static constexpr std::size_t kCookieBytesMax = 4096;
  /// Of one header; the cookies that would make it longer are left out.
  static constexpr std::size_t kHeaderBytesMax = 8192;

  /// One Set-Cookie header of a response to `from`.
  void take(const Url& from, std::string_view set_cookie, WallTime now);

  /// The value of the header Cookie of a request to `to`; empty: none.
  std::string header(const Url& to) const;

  bool empty() const { return cookies_.empty(); }

 private:
  struct Cookie {
    std::string name;
    std::string value;
    std::string domain;  ///< Lower case.
    std::string path;
    bool host_only = true;
    bool secure = false;
  };

  std::vector<Cookie> cookies_;  ///< In the order in which they came.
};

}  // namespace tocsin::codec
