#include "collector/api/public_api.h"

#include "common/base/strings.h"
#include "common/codec/json.h"
#include "common/codec/node.h"

#include <algorithm>
#include <utility>

namespace tocsin::collector {

namespace {

using codec::HttpMethod;
using codec::HttpRequest;
using io::HttpResponder;
using io::HttpResponse;

constexpr std::string_view kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

HttpResponse answer_page(PageSource& pages, std::string_view slug, PageFile file) {
  const PageSource::Found found = pages.find_page(slug, file);
  switch (found.missing) {
    case PageSource::Missing::kNoSuchPage:
      return HttpResponse::problem(404, "there is no such status page");
    case PageSource::Missing::kNoDataYet: {
      HttpResponse r =
          HttpResponse::problem(503, "the collector is starting and has nothing to show yet");
      r.headers.push_back({"Retry-After", "2"});
      return r;
    }
    case PageSource::Missing::kNone:
      break;
  }
  HttpResponse r;
  r.content_type = found.page->content_type;
  r.body = found.page->body;
  r.etag = true;
  r.headers.push_back({"Cache-Control", "public, max-age=5"});
  if (!found.page->policy.empty()) {
    r.headers.push_back({"Content-Security-Policy", found.page->policy});
  }
  if (found.page->noindex) r.headers.push_back({"X-Robots-Tag", "noindex, nofollow"});
  // Programs on other sites may read what everybody may read.
  if (file != PageFile::kHtml) r.headers.push_back({"Access-Control-Allow-Origin", "*"});
  return r;
}

}  // namespace

bool is_ready(const std::vector<ReadyCheck>& checks) {
  return !checks.empty() &&
         std::all_of(checks.begin(), checks.end(), [](const ReadyCheck& c) { return c.ok; });
}

std::string readiness_json(const std::vector<ReadyCheck>& checks) {
  using codec::Node;
  Node out = Node::map();
  out.set("ready", Node::boolean(is_ready(checks)));
  Node list = Node::list();
  for (const ReadyCheck& c : checks) {
    Node check = Node::map();
    check.set("name", Node::string(c.name));
    check.set("ok", Node::boolean(c.ok));
    check.set("detail", c.detail.empty() ? Node{} : Node::string(printable(c.detail)));
    list.items.push_back(std::move(check));
  }
  out.set("checks", std::move(list));
  return codec::print_json(out) + "\n";
}

void add_public_routes(Router& router, const PublicApiOptions& options) {
  router.add(HttpMethod::kGet, "/healthz",
             [](const HttpRequest&, const PathValues&, HttpResponder responder) {
               std::move(responder).send(HttpResponse::text(200, "ok\n"));
             });
  router.add(
      HttpMethod::kGet, "/readyz",
      [views = &options.views](const HttpRequest&, const PathValues&, HttpResponder responder) {
        const std::vector<ReadyCheck> checks = views->readiness();
        std::move(responder).send(
            HttpResponse::json(is_ready(checks) ? 200 : 503, readiness_json(checks)));
      });
  router.add(
      HttpMethod::kGet, "/metrics",
      [metrics = options.metrics](const HttpRequest&, const PathValues&, HttpResponder responder) {
        HttpResponse r;
        r.content_type = kMetricsType;
        r.body = metrics();
        std::move(responder).send(std::move(r));
      });
  for (const PageFileName& name : kPageFiles) {
    router.add(HttpMethod::kGet, "/status/{slug}" + std::string{name.route},
               [pages = &options.pages, file = name.file](
                   const HttpRequest&, const PathValues& values, HttpResponder responder) {
                 std::move(responder).send(answer_page(*pages, values.find("slug")->second, file));
               });
  }
}

}  // namespace tocsin::collector
