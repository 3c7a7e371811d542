#pragma once
// Question answered here: which function answers this path and method?
//
// A short list, looked through in the order it was written. A pattern's segment is literal or one
// name in braces, with literal text after it if need be: "/status/{slug}.json". A name matches
// [A-Za-z0-9_~-]+ : no dot and no slash, so the shorter pattern never takes what the longer one
// means.

#include "common/codec/http_request.h"
#include "common/io/http_server.h"

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::collector {

using PathValues = std::map<std::string, std::string, std::less<>>;

/// One thread: `net`.
class Router {
 public:
  using Handle = std::function<void(const codec::HttpRequest& request, const PathValues& values,
                                    io::HttpResponder responder)>;

  /// GET also answers HEAD.
  void add(codec::HttpMethod method, std::string pattern, Handle handle);

  /// Calls the handle, or answers 404, 405 with Allow, or OPTIONS by itself.
  void route(const codec::HttpRequest& request, io::HttpResponder responder) const;

  /// "GET /healthz" and so on, in the order they were added.
  std::vector<std::string> routes() const;

  /// The pattern that takes this path, for metrics: bounded in number, unlike paths. Empty: none.
  std::string_view pattern_of(std::string_view path) const;

 private:
  struct Route {
    codec::HttpMethod method;
    std::string pattern;
    std::vector<std::string> segments;
    Handle handle;
  };

  static bool matches(const Route& route, const std::vector<std::string_view>& path,
                      PathValues& values);

  std::vector<Route> routes_;
};

}  // namespace tocsin::collector
