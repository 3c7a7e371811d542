#include "common/wire/messages.h"

#include <gtest/gtest.h>

namespace tocsin {
namespace {

StreamId a_stream() {
  StreamId s;
  s.agent.bytes[2] = 3;
  s.epoch = 2;
  s.nonce[0] = 1;
  s.cls = StreamClass::kRoutine;
  return s;
}

void expect_same(const AgentMessage& message) {
  const auto back = wire::decode_agent_message(as_bytes(wire::encode(message)));
  ASSERT_TRUE(back) << back.error().text;
  EXPECT_EQ(*back, message);
}

void expect_same(const CollectorMessage& message) {
  const auto back = wire::decode_collector_message(as_bytes(wire::encode(message)));
  ASSERT_TRUE(back) << back.error().text;
  EXPECT_EQ(*back, message);
}

TEST(Messages, OfAgentsComeBackAsTheyWere) {
  Hello hello;
  hello.capabilities = kCapHttp | kCapDns;
  hello.version = "0.1.0";
  hello.host = "node-1";
  hello.boot[5] = 5;
  hello.streams = {{a_stream(), 3, 9, Digest16{4}}};
  hello.assignment_epoch = 77;
  hello.wall = WallTime{1'790'000'000'000'000};
  expect_same(hello);
  Heartbeat beat;
  beat.number = 4;
  beat.wall = WallTime{5};
  beat.health = AgentHealth::kBlind;
  beat.self_fault = Reason::kSelfUplink;
  beat.generated = 1'000'000'000'000;
  beat.clock = {-5, UINT32_MAX};
  expect_same(beat);
  expect_same(ConfigApplied{6});
  expect_same(Suspicion{SeriesId{4}, 5, 6, Reason::kHttpTimeout});
  expect_same(AssignmentWanted{1});
  expect_same(Goodbye{"SIGTERM"});
  expect_same(Enrol{std::string(40, 'k'), "0.1.0", "node-1"});
}

TEST(Messages, OfTheCollectorComeBackAsTheyWere) {
  const StreamAck ack{a_stream(), 12, Digest16{1}, 65536};
  expect_same(Welcome{1, "eu-west", {ack}, WallTime{7}, std::chrono::seconds{3}});
  expect_same(Ack{ack});
  expect_same(Nack{ack, NackCode::kFork, std::chrono::milliseconds{250}});
  expect_same(HeartbeatReply{1, WallTime{2}, WallTime{3}, WallTime{4}});
  expect_same(Refused{RefusalCode::kRevoked, "this agent was revoked; enrol it again"});
  expect_same(Enrolled{AgentId{{1, 2}}, "eu-west"});
  RunRequest run;
  run.request[1] = 1;
  run.series = SeriesId{9};
  run.spec_rev = 2;
  expect_same(run);
}

TEST(Messages, AnAssignmentCarriesEveryKindOfTarget) {
  Assignment a;
  a.base = 1;
  a.epoch = 2;
  a.config_version = 3;
  AssignedSeries s;
  s.series = SeriesId{1};
  s.key = "shop";
  s.spec_rev = 4;
  s.grid = {30'000, 29'999};
  s.spec.interval = std::chrono::seconds{30};
  s.spec.timeout = std::chrono::milliseconds{1500};
  s.spec.target =
      HttpTarget{"https://shop.example.com/", "POST", {{"a", "b"}}, "body", 2, false, "pem"};
  s.spec.assertions.all = {
      {Subject::kStatus, "", Compare::kInRange, 200.0, 299.0, "status in 200..299"},
      {Subject::kJson, "$.ok", Compare::kEq, true, Null{}, "json $.ok == true"},
      {Subject::kPhase, "tls", Compare::kLt, Duration{500'000}, Null{}, "phase tls < 500ms"}};
  Condition either;
  either.group = GroupKind::kOr;
  either.parts = s.spec.assertions.all;
  Condition denied;
  denied.group = GroupKind::kNot;
  denied.text = "[STATUS] != any(200)";
  denied.parts = {either};
  s.spec.assertions.all.push_back(denied);
  s.spec.degraded = {{Subject::kBody, "", Compare::kContains, std::string{"slow"}, Null{}, "x"}};
  a.put.push_back(s);
  HttpTarget more;
  more.url = "https://shop.example.com/";
  more.auth = {HttpAuth::Kind::kBasic, "ann", SecretRef::file("password")};
  more.secret_headers = {{"X-Key", SecretRef::file("key")},
                         {"X-Other", SecretRef::stored("other")}};
  more.server_name = "shop.internal";
  more.resolver = "192.0.2.53";
  more.version = HttpVersion::k2;
  more.allow_downgrade = true;
  more.proxy = "office";
  more.client_cert = SecretRef::file("client.pem");
  more.client_key = SecretRef::stored("client-key");
  more.connection = ConnectionMode::kReuse;
  more.body_max = 4096;
  more.ocsp = OcspMode::kRequire;
  s.series = SeriesId{5};
  s.spec.target = more;
  a.put.push_back(s);
  s.series = SeriesId{2};
  s.spec.target = TcpTarget{"db.example.com", 5432, "ping", "pong"};
  a.put.push_back(s);
  s.series = SeriesId{3};
  s.spec.target = DnsTarget{.name = "example.com",
                            .type = DnsType::kCaa,
                            .resolver = "192.0.2.53:5353",
                            .transport = DnsTransport::kTcp};
  a.put.push_back(s);
  s.series = SeriesId{5};
  s.spec.target = DnsTarget{.name = "example.com",
                            .type = DnsType::kHttps,
                            .resolver = "192.0.2.53",
                            .transport = DnsTransport::kTls,
                            .server_name = "dns.example",
                            .verify = false,
                            .ca_pem = "PEM",
                            .recursion = false,
                            .dnssec = true,
                            .rcode = "NXDOMAIN"};
  a.put.push_back(s);
  TcpTarget mail{
      "mx", 25, "a", "b", StartTls::kSmtp, "mail.example", false, "pem", OcspMode::kCheck};
  s.spec.target = mail;
  a.put.push_back(s);
  s.spec.target = TlsTarget{"::1", 993,   StartTls::kImap, "a.example",       {"imap", "x"},
                            true,  false, "pem",           OcspMode::kRequire};
  a.put.push_back(s);
  a.drop = {SeriesId{4}};
  expect_same(a);
}

TEST(Messages, AnUnknownAssertionOperatorIsRefusedAndNeverAPass) {
  Assignment a;
  AssignedSeries s;
  s.series = SeriesId{1};
  s.grid = {30'000, 0};
  s.spec.interval = std::chrono::seconds{30};
  s.spec.assertions.all = {
      {Subject::kStatus, "", static_cast<Compare>(99), 200.0, Null{}, "status ~ 200"}};
  a.put.push_back(s);
  const auto back = wire::decode_collector_message(as_bytes(wire::encode(CollectorMessage{a})));
  ASSERT_TRUE(back);
  const AssignedSeries& got = std::get<Assignment>(*back).put.at(0);
  EXPECT_EQ(got.unreadable, "assertion 'status ~ 200': operator 99 is unknown to this version");
  EXPECT_EQ(got.spec, ProbeSpec{});
}

TEST(Messages, GroupsThatNoCollectorWouldSendAreRefused) {
  const auto refused = [](Condition c) {
    Assignment a;
    AssignedSeries s;
    s.series = SeriesId{1};
    s.grid = {30'000, 0};
    s.spec.interval = std::chrono::seconds{30};
    s.spec.assertions.all = {std::move(c)};
    a.put.push_back(s);
    const auto back = wire::decode_collector_message(as_bytes(wire::encode(CollectorMessage{a})));
    return back ? std::nullopt : std::optional{back.error().code};
  };
  Condition deep{Subject::kStatus, "", Compare::kEq, 200.0, Null{}, "status == 200"};
  EXPECT_EQ(refused(deep), std::nullopt);
  for (std::size_t i = 0; i <= Assertions::kGroupDepthMax; ++i) {
    Condition around;
    around.group = GroupKind::kNot;
    around.parts = {deep};
    deep = around;
  }
  EXPECT_EQ(refused(deep), Errc::kCorrupt);
  Condition wide;
  wide.group = GroupKind::kOr;
  wide.parts.resize(Assertions::kNodesMax);
  EXPECT_EQ(refused(wide), Errc::kCorrupt);
}

TEST(Messages, AnUnknownKindIsUnsupportedNotCorrupt) {
  // Field 99, length-delimited, empty: what a newer peer could send.
  const Bytes newer{"\x9a\x06\x00", 3};
  EXPECT_EQ(wire::decode_agent_message(as_bytes(newer)).error().code, Errc::kUnsupported);
  EXPECT_EQ(wire::decode_collector_message(as_bytes(newer)).error().code, Errc::kUnsupported);
  EXPECT_EQ(wire::decode_agent_message(as_bytes("\xff\xff")).error().code, Errc::kCorrupt);
}

TEST(Messages, AnAssignmentThatFitsNoMessageGoesInPieces) {
  Assignment whole;
  whole.epoch = 9;
  for (std::uint32_t i = 1; i <= 10'000; ++i) {
    AssignedSeries s;
    s.series = SeriesId{i};
    s.key = "monitor-with-a-name";
    s.grid = {30'000, 0};
    s.spec.interval = std::chrono::seconds{30};
    s.spec.target = HttpTarget{.url = "https://shop.example.com/a/path/that/is/not/short"};
    whole.put.push_back(s);
  }
  for (int i = 0; i < 20; ++i) {
    whole.secrets.push_back({fmt::format("s{}", i), Bytes(60'000, '\xff')});
  }
  const auto bodies = wire::encode_in_pieces(CollectorMessage{whole});
  EXPECT_GT(bodies.size(), 3U);
  std::vector<AssignedSeries> together;
  std::vector<AssignedSecret> secrets;
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    EXPECT_LT(bodies[i].size(), wire::kMessageSizeMax);
    const auto back = wire::decode_collector_message(as_bytes(bodies[i]));
    ASSERT_TRUE(back);
    const auto& piece = std::get<Assignment>(*back);
    EXPECT_EQ(piece.more, i + 1 < bodies.size());
    EXPECT_EQ(piece.epoch, 9U);
    together.insert(together.end(), piece.put.begin(), piece.put.end());
    secrets.insert(secrets.end(), piece.secrets.begin(), piece.secrets.end());
  }
  EXPECT_EQ(together, whole.put);
  EXPECT_EQ(secrets, whole.secrets);
}

TEST(Messages, ASpecOfANewerVersionLeavesTheOthersReadable) {
  Assignment whole;
  for (std::uint32_t i = 1; i <= 3; ++i) {
    AssignedSeries s;
    s.series = SeriesId{i};
    s.grid = {30'000, 0};
    s.spec.target = HttpTarget{.url = "http://a.example/"};
    whole.put.push_back(s);
  }
  Condition strange;
  strange.group = static_cast<GroupKind>(4);  // Of a version to come.
  whole.put[1].spec.assertions.all = {strange};
  const Bytes bytes = wire::encode(CollectorMessage{whole});
  const auto read = wire::decode_collector_message(as_bytes(bytes));
  ASSERT_TRUE(read) << read.error().text;
  const Assignment& got = std::get<Assignment>(*read);
  EXPECT_EQ(got.put[0], whole.put[0]);
  EXPECT_EQ(got.put[1].unreadable, "assertion: group 4 is unknown to this version");
  EXPECT_EQ(got.put[1].spec, ProbeSpec{});
  EXPECT_EQ(got.put[2], whole.put[2]);
  // In the agent's cache it stays one that cannot be read, and never becomes another check.
  const Bytes again = wire::encode(CollectorMessage{got});
  const auto kept = wire::decode_collector_message(as_bytes(again));
  ASSERT_TRUE(kept) << kept.error().text;
  EXPECT_NE(std::get<Assignment>(*kept).put[1].unreadable, "");
}

TEST(Messages, ASecretHasTheNameOfAKey) {
  Assignment a;
  a.secrets = {{"../etc", "x"}};
  const Bytes bytes = wire::encode(CollectorMessage{a});
  EXPECT_EQ(wire::decode_collector_message(as_bytes(bytes)).error().code, Errc::kCorrupt);
}

TEST(Messages, HeadIsTwoBytes) {
  const auto head = wire::decode_head(as_bytes(wire::encode_head(wire::PartKind::kFrame)));
  ASSERT_TRUE(head);
  EXPECT_EQ(head->version, kProtocolVersion);
  EXPECT_FALSE(wire::decode_head(as_bytes("")));
  EXPECT_FALSE(wire::decode_head(as_bytes("\x04\x01")));
}

}  // namespace
}  // namespace tocsin
