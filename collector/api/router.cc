#include "collector/api/router.h"

#include "common/base/check.h"
#include "common/base/strings.h"

#include <algorithm>
#include <utility>

namespace tocsin::collector {

namespace {

bool is_value(std::string_view s) {
  return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '~' || c == '-';
  });
}

}  // namespace

void Router::add(codec::HttpMethod method, std::string pattern, Handle handle) {
  CHECK(pattern.starts_with('/'));
  Route route{method, std::move(pattern), {}, std::move(handle)};
  for (const std::string_view segment : split(std::string_view{route.pattern}.substr(1), '/')) {
    route.segments.emplace_back(segment);
  }
  routes_.push_back(std::move(route));
}

bool Router::matches(const Route& route, const std::vector<std::string_view>& path,
                     PathValues& values) {
  if (route.segments.size() != path.size()) return false;
  values.clear();
  for (std::size_t i = 0; i < path.size(); ++i) {
    const std::string_view segment = route.segments[i];
    if (!segment.starts_with('{')) {
      if (segment != path[i]) return false;
      continue;
    }
    const std::size_t close = segment.find('}');
    CHECK(close != std::string_view::npos);
    const std::string_view suffix = segment.substr(close + 1);
    if (path[i].size() <= suffix.size() || !path[i].ends_with(suffix)) return false;
    const std::string_view value = path[i].substr(0, path[i].size() - suffix.size());
    if (!is_value(value)) return false;
    values.emplace(segment.substr(1, close - 1), value);
  }
  return true;
}

std::vector<std::string> Router::routes() const {
  std::vector<std::string> out;
  for (const Route& route : routes_) {
    out.push_back(std::string{codec::to_string(route.method)} + " " + route.pattern);
  }
  return out;
}

std::string_view Router::pattern_of(std::string_view path) const {
  if (!path.starts_with('/')) return {};
  const std::vector<std::string_view> segments = split(path.substr(1), '/');
  PathValues values;
  for (const Route& route : routes_) {
    if (matches(route, segments, values)) return route.pattern;
  }
  return {};
}

void Router::route(const codec::HttpRequest& request, io::HttpResponder responder) const {
  using codec::HttpMethod;
  const bool star = request.path == "*";  // OPTIONS * asks about the server as a whole.
  const std::vector<std::string_view> path =
      split(std::string_view{request.path}.substr(star ? 0 : 1), '/');
  const HttpMethod wanted = request.method == HttpMethod::kHead ? HttpMethod::kGet : request.method;
  std::vector<std::string> allowed;
  PathValues values;
  for (const Route& route : routes_) {
    if (!star && !matches(route, path, values)) continue;
    if (route.method == wanted && !star) {
      return route.handle(request, values, std::move(responder));
    }
    std::string name = codec::to_string(route.method);
    if (route.method == HttpMethod::kGet) name += ", HEAD";
    if (std::find(allowed.begin(), allowed.end(), name) == allowed.end()) {
      allowed.push_back(std::move(name));
    }
  }
  if (allowed.empty()) {
    return std::move(responder).send(
        io::HttpResponse::problem(404, "there is nothing at " + printable(request.path, 100)));
  }
  allowed.emplace_back("OPTIONS");
  io::HttpResponse response;
  if (request.method == HttpMethod::kOptions) {
    response.status = 204;
  } else {
    response = io::HttpResponse::problem(
        405, std::string{codec::to_string(request.method)} + " is not possible here");
  }
  response.headers.push_back({"Allow", join(allowed, ", ")});
  std::move(responder).send(std::move(response));
}

}  // namespace tocsin::collector
