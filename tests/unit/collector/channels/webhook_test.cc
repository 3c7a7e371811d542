#include "collector/channels/webhook.h"

#include "collector/channels/webhook_body.h"
#include "collector/channels/webhook_signature.h"
#include "common/codec/json.h"
#include "common/io/http_server.h"
#include "tests/support/loopback_client.h"
#include "tests/unit/collector/channels/sample.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tocsin::collector {
namespace {

using test::turn_until;

constexpr std::string_view kKeyLine = "whsec_dG9jc2luIGV4YW1wbGUga2V5LCBub3Qgc2VjcmV0";

std::string read_doc() {
  std::ifstream file{"docs/webhooks.md"};
  return {std::istreambuf_iterator<char>{file}, {}};
}

/// The text of the first fenced block after `heading`.
std::string block_after(const std::string& doc, const std::string& heading) {
  const std::size_t at = doc.find(heading);
  const std::size_t begin = doc.find('\n', doc.find("```", at)) + 1;
  return doc.substr(begin, doc.find("```", begin) - begin);
}

TEST(WebhookSignature, SignsIdTimestampAndBodyWithEveryKey) {
  const auto keys = parse_webhook_keys(
      fmt::format("# current\n{}\n\nwhsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX\n", kKeyLine));
  ASSERT_TRUE(keys) << keys.error().text;
  ASSERT_EQ(keys->size(), 2U);
  const std::string header = sign_webhook(*keys, "msg_1", 1'795'230'000, "{}");
  ASSERT_EQ(header.find(' '), 47U) << header;
  const Sha256 first =
      hmac_sha256(as_bytes("tocsin example key, not secret"), as_bytes("msg_1.1795230000.{}"));
  EXPECT_EQ(header.substr(0, 47), "v1," + to_base64(first));
  EXPECT_NE(header.substr(48), header.substr(0, 47));
  EXPECT_NE(sign_webhook(*keys, "msg_2", 1'795'230'000, "{}"), header);
  EXPECT_NE(sign_webhook(*keys, "msg_1", 1'795'230'001, "{}"), header);
  EXPECT_NE(sign_webhook(*keys, "msg_1", 1'795'230'000, "{ }"), header);
}

TEST(WebhookSignature, RefusesAFileThatIsNoKeyAndNeverQuotesIt) {
  for (const std::string text :
       {"", "# nothing\n", "secret-word", "whsec_", "whsec_secret-word!", "whsec_c2hvcnQ="}) {
    const auto keys = parse_webhook_keys(text);
    ASSERT_FALSE(keys) << text;
    EXPECT_EQ(keys.error().text.find("secret-word"), std::string::npos);
  }
  std::string many;
  for (int i = 0; i < 5; ++i) many += std::string{kKeyLine} + "\n";
  EXPECT_EQ(parse_webhook_keys(many).error().code, Errc::kLimit);
}

TEST(WebhookBody, IsTheExampleOfTheDocumentation) {
  const std::string doc = read_doc();
  const auto documented = codec::parse_json(block_after(doc, "## The message"));
  ASSERT_TRUE(documented) << documented.error().text;
  const auto body = codec::parse_json(webhook_body(sample_row(), "https://tocsin.example.com",
                                                   "https://tocsin.example.com/ack/abc"));
  ASSERT_TRUE(body);
  EXPECT_EQ(codec::print_json(*body, 2), codec::print_json(*documented, 2));
}

TEST(WebhookBody, TheSignedExampleOfTheDocumentationIsWhatWeSend) {
  const std::string example = block_after(read_doc(), "## A signed example");
  const std::size_t end = example.find("\n\n");
  const std::string body = example.substr(end + 2, example.size() - end - 3);
  const auto keys = parse_webhook_keys(kKeyLine);
  ASSERT_TRUE(keys);
  EXPECT_NE(example.find("webhook-signature: " +
                         sign_webhook(*keys, sample_row().id.str(), 1'795'230'000, body) + "\n"),
            std::string::npos)
      << sign_webhook(*keys, sample_row().id.str(), 1'795'230'000, body);
}

TEST(WebhookBody, IsTheSameOnEveryAttemptAndSaysWhatItIs) {
  OutboxRow row = sample_row();
  EXPECT_EQ(webhook_body(row, "s"), webhook_body(row, "s"));
  row.kind = NotificationKind::kResolve;
  row.content.resolved_at = kThree + 60s;
  const auto body = codec::parse_json(webhook_body(row, "s"));
  ASSERT_TRUE(body);
  EXPECT_EQ(body->find("type")->text, "io.tocsin.incident.resolved.v1");
  EXPECT_EQ(body->find("data")->find("incident")->find("state")->text, "resolved");
  EXPECT_EQ(body->find("data")->find("incident")->find("resolved_at")->text,
            "2026-11-21T03:01:00.000Z");
}

TEST(WebhookBody, AnImpairedRegionHasNoMonitor) {
  OutboxRow row = sample_row();
  row.content.incident_kind = IncidentKind::kImpaired;
  row.content.monitor_key.clear();
  row.content.region = "eu-west";
  const auto body = codec::parse_json(webhook_body(row, "s"));
  ASSERT_TRUE(body);
  EXPECT_EQ(body->find("data")->find("monitor")->kind, codec::Node::Kind::kNull);
  EXPECT_EQ(body->find("data")->find("region")->text, "eu-west");
}

TEST(WebhookBody, EvidenceIsShortenedBeforeTheMessageGrowsTooLarge) {
  OutboxRow row = sample_row();
  const CheckResult one = row.content.evidence[0];
  for (int i = 0; i < 98; ++i) row.content.evidence.push_back(one);
  for (CheckResult& r : row.content.evidence) {
    r.attempts.resize(CheckResult::kMaxAttempts, r.attempts[0]);
    for (Attempt& a : r.attempts) {
      a.excerpt = std::string(4096, 'e');
      a.hops.resize(HttpHop::kHopsMax, {std::string(250, 'u'), "192.0.2.1:80", 302, {}});
      a.tcp.emplace();
    }
  }
  const std::string text = webhook_body(row, "s");
  EXPECT_LE(text.size(), kWebhookBodyBytesMax);
  const auto body = codec::parse_json(text);
  ASSERT_TRUE(body);
  const std::size_t kept = body->find("data")->find("evidence")->items.size();
  EXPECT_GT(kept, 0U);
  EXPECT_EQ(body->find("data")->find("evidence_left_out")->number_value,
            static_cast<double>(100 - kept));
}

TEST(WebhookBody, AnAttemptTellsItsHopsAndItsConnectionIfThereWereAny) {
  OutboxRow row = sample_row();
  Attempt& attempt = row.content.evidence[0].attempts[0];
  attempt.hops = {{"http://a.example/", "192.0.2.1:80", 302, {.total_us = 7}},
                  {"http://b.example/", "", 0, {}}};
  attempt.tcp = TcpFacts{.state = TcpState::kSynSent, .retransmissions = 3};
  const auto body = codec::parse_json(webhook_body(row, "s"));
  ASSERT_TRUE(body);
  const auto& attempts = body->find("data")->find("evidence")->items[0].find("attempts")->items;
  const auto& hops = attempts[0].find("hops")->items;
  ASSERT_EQ(hops.size(), 2U);
  EXPECT_EQ(hops[0].find("url")->text, "http://a.example/");
  EXPECT_EQ(hops[0].find("phases")->find("total_us")->number_value, 7);
  EXPECT_EQ(hops[1].find("http_status")->kind, codec::Node::Kind::kNull);
  EXPECT_EQ(attempts[0].find("tcp")->find("state")->text, "syn-sent");
  EXPECT_EQ(attempts[0].find("tcp")->find("retransmissions")->number_value, 3);
  EXPECT_EQ(attempts[1].find("tcp"), nullptr);
}

TEST(WebhookBody, HostileTextStaysInItsString) {
  OutboxRow row = sample_row();
  row.content.title = "\"},\"evil\":{\"\r\n\xff\xe2\x80\xae</script>";
  const std::string text = webhook_body(row, "s");
  const auto body = codec::parse_json(text);
  ASSERT_TRUE(body) << body.error().text;
  EXPECT_EQ(body->find("data")->find("evil"), nullptr);
  EXPECT_EQ(text.find("\xe2\x80\xae"), std::string::npos);
}

TEST(WebhookAnswer, TwoHundredsAreAcceptedAndOthersAreTriedAgainOrNot) {
  using Kind = SendResult::Kind;
  const auto kind = [](int status) {
    io::HttpAnswer answer;
    answer.status = status;
    return judge_webhook_answer(answer, kThree).kind;
  };
  for (const int status : {200, 201, 204, 299}) EXPECT_EQ(kind(status), Kind::kAccepted) << status;
  for (const int status : {301, 307, 408, 425, 429, 500, 502, 503, 599}) {
    EXPECT_EQ(kind(status), Kind::kTransient) << status;
  }
  for (const int status : {400, 401, 403, 404, 410, 413, 422}) {
    EXPECT_EQ(kind(status), Kind::kPermanent) << status;
  }
}

TEST(WebhookAnswer, RetryAfterIsSecondsOrADateAndBounded) {
  EXPECT_EQ(parse_retry_after("120", kThree), 120s);
  EXPECT_EQ(parse_retry_after("0", kThree), 0s);
  EXPECT_EQ(parse_retry_after("86400", kThree), kRetryAfterMax);
  EXPECT_EQ(parse_retry_after("99999999999999999999", kThree), kRetryAfterMax);
  EXPECT_EQ(parse_retry_after("Sat, 21 Nov 2026 03:01:30 GMT", kThree), 90s);
  EXPECT_EQ(parse_retry_after("Sat, 21 Nov 2026 02:00:00 GMT", kThree), 0s);
  for (const std::string bad : {"", "-1", "soon", "1.5", "Sat, 21 Nox 2026 03:01:30 GMT"}) {
    EXPECT_EQ(parse_retry_after(bad, kThree), std::nullopt) << bad;
  }
}

TEST(WebhookAnswer, TheDetailIsShortAndPrintable) {
  io::HttpAnswer answer;
  answer.status = 500;
  answer.body = "oops\x1b[31m\r\nX: y" + std::string(1000, 'z');
  const std::string detail = judge_webhook_answer(answer, kThree).detail;
  EXPECT_TRUE(detail.starts_with("HTTP 500: oops\\x1b"));
  EXPECT_LT(detail.size(), 300U);
  EXPECT_EQ(detail.find('\n'), std::string::npos);
}

class WebhookChannelTest : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = io::HttpServer::open(
        loop, {.listen = "127.0.0.1:0"}, [this](codec::HttpRequest r, io::HttpResponder out) {
          seen.push_back(std::move(r));
          std::move(out).send(io::HttpResponse::text(status, "thanks"));
        });
    ASSERT_TRUE(opened);
    server = *std::move(opened);
    const auto egress = EgressPolicy::parse("private", {"127.0.0.0/8"}, {});
    auto client_opened =
        io::HttpClient::open(loop, {.egress = *egress, .user_agent = "tocsin/test", .ca_file = ""});
    ASSERT_TRUE(client_opened);
    client = *std::move(client_opened);
    std::string name = (std::filesystem::temp_directory_path() / "tocsin-webhook-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir = name;
    std::ofstream{dir / "ops-hook"} << kKeyLine << "\n";
    channel = std::make_unique<WebhookChannel>(
        loop, *client,
        WebhookChannel::Options{.secrets_dir = dir, .source = "https://tocsin.example.com"});
  }

  void TearDown() override { std::filesystem::remove_all(dir); }

  SendResult send(const OutboxRow& row) {
    std::optional<SendResult> got;
    const auto handle = channel->send(row, row.id.str(), 5s, [&](SendResult r) { got = r; });
    EXPECT_FALSE(got);
    EXPECT_TRUE(turn_until(loop, [&] { return got.has_value(); }));
    return got.value_or(SendResult{});
  }

  OutboxRow row() {
    OutboxRow r = sample_row();
    r.destination.url = fmt::format("http://127.0.0.1:{}/hook", server->port());
    r.destination.secret_file = "ops-hook";
    return r;
  }

  SystemClock clock;
  io::EventLoop loop{clock};
  int status = 204;
  std::vector<codec::HttpRequest> seen;
  std::filesystem::path dir;
  std::unique_ptr<io::HttpServer> server;
  std::unique_ptr<io::HttpClient> client;
  std::unique_ptr<WebhookChannel> channel;
};

TEST_F(WebhookChannelTest, SendsASignedMessageThatVerifies) {
  const SendResult result = send(row());
  EXPECT_EQ(result.kind, SendResult::Kind::kAccepted) << result.detail;
  ASSERT_EQ(seen.size(), 1U);
  const codec::HttpRequest& got = seen[0];
  EXPECT_EQ(got.path, "/hook");
  EXPECT_EQ(got.header("content-type"), "application/cloudevents+json; charset=utf-8");
  EXPECT_EQ(got.header("webhook-id"), row().id.str());
  EXPECT_EQ(got.body, webhook_body(row(), "https://tocsin.example.com"));
  const std::string timestamp{got.header("webhook-timestamp").value_or("")};
  const auto keys = parse_webhook_keys(kKeyLine);
  EXPECT_EQ(got.header("webhook-signature"),
            sign_webhook(*keys, row().id.str(), std::stoll(timestamp), got.body));
}

TEST_F(WebhookChannelTest, ARetryHasTheSameIdAndBody) {
  status = 503;
  EXPECT_EQ(send(row()).kind, SendResult::Kind::kTransient);
  status = 204;
  EXPECT_EQ(send(row()).kind, SendResult::Kind::kAccepted);
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0].header("webhook-id"), seen[1].header("webhook-id"));
  EXPECT_EQ(seen[0].body, seen[1].body);
}

TEST_F(WebhookChannelTest, AnUnreadableSecretPutsTheMessageOffAndSaysWhy) {
  for (const std::string name : {"missing", "../ops-hook", ".hidden"}) {
    OutboxRow r = row();
    r.destination.secret_file = name;
    const SendResult result = send(r);
    EXPECT_EQ(result.kind, SendResult::Kind::kTransient) << name;
    EXPECT_NE(result.detail.find("secret file"), std::string::npos) << result.detail;
  }
  std::ofstream{dir / "ops-hook"} << "not a key\n";
  EXPECT_EQ(send(row()).kind, SendResult::Kind::kTransient);
  EXPECT_TRUE(seen.empty());
}

TEST_F(WebhookChannelTest, AChangedSecretIsUsedForTheNextMessage) {
  send(row());
  std::ofstream{dir / "ops-hook"} << "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX\n" << kKeyLine << "\n";
  send(row());
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0].header("webhook-signature")->find(' '), std::string_view::npos);
  EXPECT_NE(seen[1].header("webhook-signature")->find(' '), std::string_view::npos);
}

TEST_F(WebhookChannelTest, ADestinationWithoutASecretGetsItUnsigned) {
  OutboxRow r = row();
  r.destination.secret_file.clear();
  EXPECT_EQ(send(r).kind, SendResult::Kind::kAccepted);
  EXPECT_EQ(seen.at(0).header("webhook-signature"), std::nullopt);
}

TEST_F(WebhookChannelTest, AGoneReceiverIsTriedAgain) {
  const OutboxRow r = row();
  server.reset();
  const SendResult result = send(r);
  EXPECT_EQ(result.kind, SendResult::Kind::kTransient);
  EXPECT_EQ(result.status, 0);
  EXPECT_FALSE(result.detail.empty());
}

}  // namespace
}  // namespace tocsin::collector
