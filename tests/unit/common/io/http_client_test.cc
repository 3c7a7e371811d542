#include "common/io/http_client.h"

#include "common/io/http_server.h"
#include "tests/support/loopback_client.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tocsin::io {
namespace {

using test::settle;
using test::turn_until;

class HttpClientTest : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = HttpServer::open(
        loop, {.listen = "127.0.0.1:0"}, [this](codec::HttpRequest request, HttpResponder out) {
          seen.push_back(request);
          if (request.path == "/stall") {
            kept.push_back(std::move(out));
          } else if (request.path == "/redirect") {
            HttpResponse r = HttpResponse::text(302, "");
            r.headers.push_back({"Location", "http://127.0.0.1:1/elsewhere"});
            std::move(out).send(std::move(r));
          } else {
            std::move(out).send(HttpResponse::text(200, std::string(answer_bytes, 'a')));
          }
        });
    ASSERT_TRUE(opened);
    server = *std::move(opened);
    use({"127.0.0.0/8"});
  }

  void use(const std::vector<std::string>& allow) {
    const auto egress = EgressPolicy::parse("private", allow, {});
    ASSERT_TRUE(egress);
    auto opened =
        HttpClient::open(loop, {.egress = *egress, .user_agent = "tocsin/test", .ca_file = ""});
    ASSERT_TRUE(opened);
    client = *std::move(opened);
  }

  std::string url(std::string_view path) const {
    return fmt::format("http://127.0.0.1:{}{}", server->port(), path);
  }

  Expected<HttpAnswer> call(HttpCall c) {
    std::optional<Expected<HttpAnswer>> got;
    const auto handle =
        client->start(std::move(c), [&](Expected<HttpAnswer> answer) { got = std::move(answer); });
    EXPECT_FALSE(got) << "done never runs inside start";
    EXPECT_TRUE(turn_until(loop, [&] { return got.has_value(); }));
    return got ? *std::move(got) : Expected<HttpAnswer>{Unexpected{Error{}}};
  }

  HttpCall post(std::string_view path, std::string body = "") {
    HttpCall c;
    c.url = url(path);
    c.body = std::move(body);
    return c;
  }

  SystemClock clock;
  EventLoop loop{clock};
  std::vector<codec::HttpRequest> seen;
  std::vector<HttpResponder> kept;
  std::size_t answer_bytes = 2;
  std::unique_ptr<HttpServer> server;
  std::unique_ptr<HttpClient> client;
};

TEST_F(HttpClientTest, PostsABodyWithItsHeadersAndBringsTheAnswer) {
  HttpCall c = post("/hook", "hello");
  c.headers = {{"X-A", "1"}, {"Content-Type", "application/json"}, {"Expect", ""}};
  const auto answer = call(std::move(c));
  ASSERT_TRUE(answer) << answer.error().text;
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "aa");
  EXPECT_EQ(answer->remote, "127.0.0.1");
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].method, codec::HttpMethod::kPost);
  EXPECT_EQ(seen[0].body, "hello");
  EXPECT_EQ(seen[0].header("x-a"), "1");
  EXPECT_EQ(seen[0].header("content-type"), "application/json");
  EXPECT_EQ(seen[0].header("user-agent"), "tocsin/test");
  EXPECT_EQ(seen[0].header("expect"), std::nullopt);
}

TEST_F(HttpClientTest, UsesAConnectionAgain) {
  ASSERT_TRUE(call(post("/a")));
  ASSERT_TRUE(call(post("/b")));
  EXPECT_EQ(server->stats().accepted, 1U);
}

TEST_F(HttpClientTest, ConnectsOnlyWhereTheEgressPolicyAllows) {
  use({"192.0.2.0/24"});
  for (const std::string& where :
       {url("/a"), fmt::format("http://localhost:{}/", server->port())}) {
    HttpCall c;
    c.url = where;
    const auto answer = call(std::move(c));
    ASSERT_FALSE(answer) << where;
    EXPECT_EQ(answer.error().code, Errc::kDenied) << answer.error().text;
  }
  EXPECT_EQ(server->stats().accepted, 0U);
}

TEST_F(HttpClientTest, DoesNotFollowRedirects) {
  const auto answer = call(post("/redirect"));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 302);
  EXPECT_EQ(seen.size(), 1U);
}

TEST_F(HttpClientTest, KeepsTheBeginningOfALongAnswerAndStopsReading) {
  answer_bytes = 4 << 20;
  const auto answer = call(post("/big"));
  ASSERT_TRUE(answer) << answer.error().text;
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, std::string(HttpClient::kKeptBytes, 'a'));
}

TEST_F(HttpClientTest, EndsWithinItsTimeoutWhenNobodyAnswers) {
  HttpCall c = post("/stall");
  c.timeout = 200ms;
  const auto answer = call(std::move(c));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::kTimeout) << answer.error().text;
}

TEST_F(HttpClientTest, ARefusedConnectionIsAnErrorThatNamesTheUrl) {
  const std::string gone = url("/x");
  server.reset();
  HttpCall c;
  c.url = gone;
  const auto answer = call(std::move(c));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::kUnavailable);
  EXPECT_NE(answer.error().text.find(gone), std::string::npos);
}

TEST_F(HttpClientTest, RefusesWhatIsNotAUrlAndHeadersThatWouldBeTwo) {
  for (const std::string bad :
       {"", "ftp://127.0.0.1/", "http://u:p@127.0.0.1/", "file:///etc/passwd"}) {
    HttpCall c;
    c.url = bad;
    const auto answer = call(std::move(c));
    ASSERT_FALSE(answer) << bad;
    EXPECT_EQ(answer.error().code, Errc::kInvalid) << bad;
  }
  HttpCall c = post("/a");
  c.headers = {{"X-A", "1\r\nX-B: 2"}};
  const auto answer = call(std::move(c));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::kInvalid);
  EXPECT_TRUE(seen.empty());
}

TEST_F(HttpClientTest, DestroyingTheHandleCancels) {
  bool called = false;
  auto handle = client->start(post("/stall"), [&](const auto&) { called = true; });
  ASSERT_TRUE(turn_until(loop, [&] { return kept.size() == 1; }));
  handle.reset();
  std::move(kept[0]).send(HttpResponse::text(200, "late"));
  settle(loop);
  EXPECT_FALSE(called);
  ASSERT_TRUE(call(post("/next"))) << "the client goes on";
}

TEST_F(HttpClientTest, DoneMayDestroyItsHandleAndStartAnother) {
  std::unique_ptr<HttpCallHandle> handle;
  int done = 0;
  handle = client->start(post("/one"), [&](const auto&) {
    ++done;
    handle = client->start(post("/two"), [&](const auto&) { ++done; });
  });
  EXPECT_TRUE(turn_until(loop, [&] { return done == 2; }));
}

TEST_F(HttpClientTest, ManyCallsAtOnceAllEnd) {
  int done = 0;
  std::vector<std::unique_ptr<HttpCallHandle>> handles;
  for (int i = 0; i < 50; ++i) {
    handles.push_back(client->start(
        post("/m"), [&](const Expected<HttpAnswer>& a) { done += a && a->status == 200 ? 1 : 0; }));
  }
  EXPECT_TRUE(turn_until(loop, [&] { return done == 50; }));
}

TEST_F(HttpClientTest, DiesWithCallsUnderWay) {
  auto handle = client->start(post("/stall"), [](const auto&) { FAIL(); });
  ASSERT_TRUE(turn_until(loop, [&] { return kept.size() == 1; }));
  handle.reset();
  client.reset();
  settle(loop);
}

}  // namespace
}  // namespace tocsin::io
