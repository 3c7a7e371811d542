#include "collector/api/public_api.h"

#include "collector/api/engine_metrics.h"
#include "collector/status/pages.h"
#include "tests/support/loopback_client.h"
#include "tests/unit/collector/status/sample.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

namespace tocsin::collector {
namespace {

using test::LoopbackClient;
using test::ManualClock;

/// The public API over real HTTP, as the collector puts it together.
class PublicApiTest : public testing::Test {
 protected:
  PublicApiTest() {
    add_public_routes(router, {.views = views, .pages = pages, .metrics = [this] {
                                 publish_engine_stats(metrics, views.stats());
                                 publish_http_stats(metrics, server->stats());
                                 return metrics.text();
                               }});
    auto opened = io::HttpServer::open(
        loop, {.listen = "127.0.0.1:0"},
        [this](codec::HttpRequest r, io::HttpResponder out) { router.route(r, std::move(out)); });
    EXPECT_TRUE(opened);
    server = *std::move(opened);
  }

  std::string ask(std::string_view method, std::string_view path, std::string_view more = "") {
    LoopbackClient c{loop, server->port()};
    c.send(fmt::format("{} {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}\r\n", method, path,
                       more));
    return c.read_all();
  }

  std::string get(std::string_view path, std::string_view more = "") {
    return ask("GET", path, more);
  }

  void publish(MonitorStatus status, bool noindex = false) {
    status::World w;
    w.page.noindex = noindex;
    w.component("Web", status, status == MonitorStatus::kUp ? 2 : 0, 0,
                status == MonitorStatus::kDown ? 2 : 0, 0);
    w.view.at = clock.now().wall;
    w.view.pages.push_back(w.page);
    views.publish(std::make_shared<EngineView>(w.view), EngineStats{});
  }

  ManualClock clock;
  io::EventLoop loop{clock};
  ViewHolder views;
  status::StatusPages pages{clock, views};
  io::Metrics metrics;
  Router router;
  std::unique_ptr<io::HttpServer> server;
};

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST_F(PublicApiTest, HealthzSaysThatTheLoopTurns) {
  const std::string got = get("/healthz");
  EXPECT_TRUE(got.starts_with("HTTP/1.1 200 OK\r\n"));
  EXPECT_TRUE(got.ends_with("\r\n\r\nok\n"));
}

TEST_F(PublicApiTest, ReadyzNamesWhatIsMissingUntilNothingIs) {
  EXPECT_TRUE(get("/readyz").starts_with("HTTP/1.1 503 "));
  views.set_ready({"store", true, ""});
  views.set_ready({"engine", false, "restoring 3 of 10 groups"});
  std::string got = get("/readyz");
  EXPECT_TRUE(got.starts_with("HTTP/1.1 503 "));
  EXPECT_TRUE(got.ends_with(R"({"ready":false,"checks":[{"name":"store","ok":true,"detail":null},)"
                            R"({"name":"engine","ok":false,"detail":"restoring 3 of 10 groups"}]})"
                            "\n"))
      << got;
  views.set_ready({"engine", true, ""});
  got = get("/readyz");
  EXPECT_TRUE(got.starts_with("HTTP/1.1 200 "));
  EXPECT_TRUE(contains(got, R"("ready":true)"));
}

TEST_F(PublicApiTest, MetricsAreTextWithTheEnginesAndTheServersNumbers) {
  EngineStats stats;
  stats.results_stored = 17;
  stats.refused_future = 3;
  stats.live_agents = 2;
  views.publish(nullptr, stats);
  const std::string got = get("/metrics");
  EXPECT_TRUE(contains(got, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  EXPECT_TRUE(contains(got, "\n# TYPE tocsin_engine_results_total counter\n")) << got;
  EXPECT_TRUE(contains(got, "\ntocsin_engine_results_total 17\n")) << got;
  EXPECT_TRUE(contains(got, "\ntocsin_engine_results_refused_total{reason=\"future\"} 3\n"));
  EXPECT_TRUE(contains(got, "\ntocsin_engine_live_agents 2\n"));
  EXPECT_TRUE(contains(got, "\ntocsin_http_requests_total 1\n"));
}

TEST_F(PublicApiTest, AStatusPageIsHtmlUnderAPolicyThatAllowsNothing) {
  publish(MonitorStatus::kDown);
  const std::string got = get("/status/shop");
  EXPECT_TRUE(got.starts_with("HTTP/1.1 200 OK\r\n")) << got;
  EXPECT_TRUE(contains(got, "Content-Type: text/html; charset=utf-8\r\n"));
  EXPECT_TRUE(contains(got, "Content-Security-Policy: default-src 'none'; style-src 'sha256-"));
  EXPECT_TRUE(contains(got, "frame-ancestors 'none'\r\n"));
  EXPECT_TRUE(contains(got, "X-Content-Type-Options: nosniff\r\n"));
  EXPECT_TRUE(contains(got, "Web is down"));
}

TEST_F(PublicApiTest, TheSamePageIsJsonForPrograms) {
  publish(MonitorStatus::kUp);
  const std::string got = get("/status/shop.json");
  EXPECT_TRUE(contains(got, "Content-Type: application/json\r\n"));
  EXPECT_TRUE(contains(got, R"("status":"up")"));
}

TEST_F(PublicApiTest, APageIsRenderedOncePerViewAndItsTagLastsAsLong) {
  publish(MonitorStatus::kUp);
  const std::string first = get("/status/shop");
  const std::size_t at = first.find("ETag: ") + 6;
  const std::string tag = first.substr(at, first.find("\r\n", at) - at);
  clock.advance(4s);
  EXPECT_TRUE(get("/status/shop", "If-None-Match: " + tag + "\r\n").starts_with("HTTP/1.1 304 "));
  clock.advance(1s);
  EXPECT_TRUE(get("/status/shop", "If-None-Match: " + tag + "\r\n").starts_with("HTTP/1.1 200 "));
  publish(MonitorStatus::kDown);
  EXPECT_TRUE(contains(get("/status/shop"), "Web is down")) << "a new view is shown at once";
}

TEST_F(PublicApiTest, EveryFileOfAPageIsServedWithItsTypeItsTagAndTo304) {
  publish(MonitorStatus::kUp);
  for (const PageFileName& name : kPageFiles) {
    const std::string path = "/status/shop" + std::string{name.route};
    const std::string got = get(path);
    EXPECT_TRUE(got.starts_with("HTTP/1.1 200 OK\r\n")) << path << got;
    EXPECT_TRUE(contains(got, "Cache-Control: public, max-age=5\r\n")) << path;
    EXPECT_EQ(contains(got, "Access-Control-Allow-Origin: *\r\n"), name.file != PageFile::kHtml);
    EXPECT_FALSE(contains(got, "X-Robots-Tag"));
    const std::size_t at = got.find("ETag: ") + 6;
    const std::string tag = got.substr(at, got.find("\r\n", at) - at);
    const std::string again = get(path, "If-None-Match: " + tag + "\r\n");
    EXPECT_TRUE(again.starts_with("HTTP/1.1 304 ")) << path << again;
  }
  EXPECT_TRUE(contains(get("/status/shop/feed.rss"), "Content-Type: application/rss+xml;"));
  EXPECT_TRUE(contains(get("/status/shop/feed.atom"), "Content-Type: application/atom+xml;"));
  EXPECT_TRUE(contains(get("/status/shop/badge.svg"), "Content-Type: image/svg+xml;"));
  EXPECT_TRUE(
      contains(get("/status/shop/api/v2/summary.json"), "Content-Type: application/json\r\n"));
}

TEST_F(PublicApiTest, ACrowdCostsOneRenderingOfEachFile) {
  publish(MonitorStatus::kDown);
  for (int reader = 0; reader < 50; ++reader) {
    get("/status/shop");
    get("/status/shop.json");
  }
  EXPECT_EQ(pages.renderings(), 2U);
  publish(MonitorStatus::kUp);
  for (int reader = 0; reader < 50; ++reader) get("/status/shop");
  EXPECT_EQ(pages.renderings(), 3U);
}

TEST_F(PublicApiTest, FeedsAndTheirLikeKeepTheirTagUntilSomethingHappens) {
  publish(MonitorStatus::kUp);
  const auto tag_of = [this](const std::string& path) {
    const std::string got = get(path);
    const std::size_t at = got.find("ETag: ");
    return got.substr(at, got.find("\r\n", at) - at);
  };
  std::map<std::string, std::string> tags;
  for (const PageFileName& name : kPageFiles) tags[std::string{name.route}] = "";
  for (auto& [route, tag] : tags) tag = tag_of("/status/shop" + route);
  clock.advance(30s);
  for (const auto& [route, tag] : tags) {
    const bool timed = route.empty() || route == ".json";
    EXPECT_EQ(tag_of("/status/shop" + route) == tag, !timed) << route;
  }
}

TEST_F(PublicApiTest, APageThatWantsNoSearchEnginesSaysSoWithEveryFile) {
  publish(MonitorStatus::kUp, true);
  for (const PageFileName& name : kPageFiles) {
    EXPECT_TRUE(contains(get("/status/shop" + std::string{name.route}),
                         "X-Robots-Tag: noindex, nofollow\r\n"))
        << name.route;
  }
}

TEST_F(PublicApiTest, APageThatDoesNotExistIsAProblemDocument) {
  publish(MonitorStatus::kUp);
  for (const std::string path : {"/status/other", "/status/other.json", "/status/", "/status",
                                 "/status/shop/x", "/nothing", "/status/a.b", "/status/shop%20"}) {
    const std::string got = get(path);
    EXPECT_TRUE(got.starts_with("HTTP/1.1 404 Not Found\r\n")) << path;
    EXPECT_TRUE(contains(got, "Content-Type: application/problem+json\r\n")) << path;
    EXPECT_TRUE(contains(got, R"("status":404)")) << path;
  }
}

TEST_F(PublicApiTest, APathOfAStrangerIsEscapedInTheProblem) {
  const std::string got = get("/%22%3Cb%3E");
  EXPECT_TRUE(contains(got, R"(there is nothing at /\"<b>)")) << got;
  EXPECT_TRUE(contains(got, "nosniff"));
}

TEST_F(PublicApiTest, BeforeTheFirstViewAPageIsUnavailableAndNotMissing) {
  const std::string got = get("/status/shop");
  EXPECT_TRUE(got.starts_with("HTTP/1.1 503 "));
  EXPECT_TRUE(contains(got, "Retry-After: 2\r\n"));
}

TEST_F(PublicApiTest, OtherMethodsAreToldWhatIsPossible) {
  for (const std::string method : {"POST", "PUT", "DELETE", "PATCH"}) {
    const std::string got = ask(method, "/healthz");
    EXPECT_TRUE(got.starts_with("HTTP/1.1 405 ")) << method;
    EXPECT_TRUE(contains(got, "Allow: GET, HEAD, OPTIONS\r\n")) << method;
  }
  const std::string options = ask("OPTIONS", "/healthz");
  EXPECT_TRUE(options.starts_with("HTTP/1.1 204 "));
  EXPECT_TRUE(contains(options, "Allow: GET, HEAD, OPTIONS\r\n"));
  EXPECT_TRUE(ask("OPTIONS", "*").starts_with("HTTP/1.1 204 "));
  EXPECT_TRUE(ask("HEAD", "/healthz").starts_with("HTTP/1.1 200 "));
}

TEST(Router, FindsThePatternOfAPathForMetrics) {
  Router router;
  router.add(codec::HttpMethod::kGet, "/a/{x}.json", nullptr);
  router.add(codec::HttpMethod::kGet, "/a/{x}", nullptr);
  EXPECT_EQ(router.pattern_of("/a/1.json"), "/a/{x}.json");
  EXPECT_EQ(router.pattern_of("/a/1"), "/a/{x}");
  EXPECT_EQ(router.pattern_of("/a/"), "");
  EXPECT_EQ(router.pattern_of("/a/.json"), "");
  EXPECT_EQ(router.pattern_of("*"), "");
}

}  // namespace
}  // namespace tocsin::collector
