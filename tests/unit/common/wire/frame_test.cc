#include "common/wire/frame.h"

#include "common/wire/result.h"

#include <gtest/gtest.h>

namespace tocsin {
namespace {

StreamId a_stream() {
  StreamId s;
  s.agent.bytes[0] = 0xa1;
  s.agent.bytes[15] = 0x01;
  s.epoch = 7;
  s.nonce[3] = 9;
  s.cls = StreamClass::kAlert;
  return s;
}

CheckResult a_failure() {
  CheckResult r;
  r.series = SeriesId{42};
  r.tick = r.tick_last = 177'700'001;
  r.spec_rev = 3;
  r.config_version = 12;
  r.slot = WallTime{1'790'000'000'123'000};
  r.queue_us = 88;
  r.duration_us = 1'250'000;
  r.outcome = Outcome::kDown;
  r.reason = Reason::kConnectRefused;
  Attempt a;
  a.finding = {Outcome::kDown, Reason::kConnectRefused, "connect to 127.0.0.1:80 refused"};
  a.phases = {10, 200, 0, 0, 0, 0, 210};
  a.remote = "127.0.0.1:80";
  r.attempts = {a, a};
  r.attempts[1].start_offset_us = 1'000'210;
  r.attempts[1].excerpt = "HTTP/1.1 503";
  r.attempts[1].tried = {"192.0.2.1:80: connect.timeout"};
  TlsFacts tls;
  tls.version = "TLSv1.3";
  tls.cipher = "TLS_AES_256_GCM_SHA384";
  tls.alpn = "h2";
  tls.group = "x25519";
  tls.server_name = "a.example";
  tls.not_before = WallTime{1};
  tls.not_after = WallTime{-2};
  tls.chain_not_after = WallTime{-3};
  tls.subject = "CN=a";
  tls.issuer = "CN=b";
  tls.chain_size = 9;
  tls.chain = {{.subject = "CN=a",
                .issuer = "CN=b",
                .serial = "0f",
                .names = {"a.example", "b.example"},
                .name_count = 30,
                .not_before = WallTime{1},
                .not_after = WallTime{2},
                .key = "EC P-256",
                .signature = "ecdsa-with-SHA256",
                .sha256 = "00ff"}};
  tls.problems = {{Reason::kTlsVerifyExpired, 1, "CN=b ended"}};
  tls.alert_received = "unknown_ca (48)";
  tls.alert_sent = "bad_certificate (42)";
  tls.ocsp = {OcspStatus::kUnusable, WallTime{4}, WallTime{-5}};
  r.attempts[1].tls = tls;
  r.attempts[1].connection = ConnectionUse::kResumed;
  r.attempts[1].hops = {{"http://a.example/", "192.0.2.2:80", 301, {1, 2, 3, 4, 5, 6, 21}},
                        {"https://a.example/", "", 0, {7, 0, 0, 0, 0, 0, 7}}};
  r.attempts[1].tcp = TcpFacts{TcpState::kSynSent, 12, 6, 3, 1, 1'000'000'000'000, 7, 1460, 1500};
  r.clock = {-12, 3};
  return r;
}

CheckResult a_missed_run() {
  CheckResult r;
  r.series = SeriesId{42};
  r.kind = ResultKind::kMissed;
  r.tick = 10;
  r.tick_last = 14;
  r.outcome = Outcome::kMissed;
  r.missed = MissedCause::kOverload;
  r.slot = WallTime{5};
  r.clock.error_ms = UINT32_MAX;
  return r;
}

TEST(Frame, ResultsComeBackAsTheyWere) {
  const std::vector<CheckResult> results{a_failure(), a_missed_run()};
  const Bytes bytes = wire::encode_results_frame(a_stream(), 5, Digest16{1, 2, 3}, results);
  const auto frame = wire::decode_frame(as_bytes(bytes));
  ASSERT_TRUE(frame) << frame.error().text;
  EXPECT_EQ(frame->results, results);
  EXPECT_EQ(frame->header.ref.stream, a_stream());
  EXPECT_EQ(frame->header.ref.first, 5U);
  EXPECT_EQ(frame->header.ref.results, 6U);
  EXPECT_EQ(frame->header.previous, (Digest16{1, 2, 3}));
  EXPECT_EQ(frame->header.ref.digest, digest16(as_bytes(bytes)));
  EXPECT_EQ(frame->unreadable, 0U);
}

TEST(Frame, AGapKeepsTheDigestOfTheLastFrameItReplaces) {
  Gap gap{8, GapCause::kDiskFull, {{Digest16{1}, 256}, {Digest16{2}, 3}}};
  const Bytes bytes = wire::encode_gap_frame(a_stream(), gap, Digest16{9});
  const auto frame = wire::decode_frame(as_bytes(bytes));
  ASSERT_TRUE(frame) << frame.error().text;
  EXPECT_EQ(frame->gap, gap);
  EXPECT_EQ(frame->header.ref.last, 9U);
  EXPECT_EQ(frame->header.ref.results, 259U);
  EXPECT_EQ(frame->header.ref.digest, Digest16{2});
}

TEST(Frame, AFullGapFitsTheWire) {
  Gap gap;
  gap.first = 1;
  gap.frames.resize(Gap::kMaxEntries, GapEntry{Digest16{7}, 256});
  const Bytes bytes = wire::encode_gap_frame(a_stream(), gap, Digest16{});
  EXPECT_LE(bytes.size(), wire::kFrameWireSizeMax);
  EXPECT_TRUE(wire::decode_frame(as_bytes(bytes)));
}

TEST(Frame, EveryFlippedByteIsRefused) {
  const Bytes good = wire::encode_results_frame(a_stream(), 1, Digest16{}, {a_failure()});
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x10);
    EXPECT_FALSE(wire::decode_frame(as_bytes(bad))) << "byte " << i;
  }
}

TEST(Frame, EveryTruncationIsRefused) {
  const Bytes good = wire::encode_results_frame(a_stream(), 1, Digest16{}, {a_failure()});
  for (std::size_t n = 0; n < good.size(); ++n) {
    EXPECT_FALSE(wire::decode_frame(as_bytes(good).first(n))) << n;
  }
}

TEST(Frame, GenesisDiffersPerStream) {
  StreamId other = a_stream();
  other.cls = StreamClass::kRoutine;
  EXPECT_NE(wire::genesis(a_stream()), wire::genesis(other));
}

TEST(Frame, ABodyGrowsByOneEntryForEachResult) {
  // The entry before must leave nothing behind in the one after.
  const std::vector<CheckResult> results{a_failure(), a_missed_run(), a_failure()};
  wire::FrameBody body;
  for (const CheckResult& one : results) {
    const std::size_t before = body.bytes.size();
    const ByteSpan entry = wire::encode_entry(one);
    body.add(entry, one.weight());
    EXPECT_EQ(body.bytes.size(), before + entry.size());
  }
  const Bytes frame = wire::encode_results_frame(a_stream(), 1, Digest16{}, body);
  EXPECT_EQ(frame, wire::encode_results_frame(a_stream(), 1, Digest16{}, results));
  EXPECT_EQ(frame.size(), wire::kFrameHeaderSize + body.bytes.size());
  const auto back = wire::decode_frame(as_bytes(frame));
  ASSERT_TRUE(back) << back.error().text;
  EXPECT_EQ(back->results, results);
  EXPECT_EQ(back->header.ref.results, body.weight);
  body.clear();
  EXPECT_TRUE(body.bytes.empty());
  EXPECT_EQ(body.results, 0U);
}

TEST(Result, ComesBackOutsideAFrame) {
  const auto back = wire::decode_result(as_bytes(wire::encode_result(a_failure())));
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, a_failure());
}

TEST(Result, ContradictionsAreRefused) {
  CheckResult r = a_failure();
  r.missed = MissedCause::kOverload;
  EXPECT_FALSE(wire::decode_result(as_bytes(wire::encode_result(r))));
  r = a_failure();
  r.kind = ResultKind::kConfirm;  // Without a request id.
  EXPECT_FALSE(wire::decode_result(as_bytes(wire::encode_result(r))));
  r = a_missed_run();
  r.tick_last = 9;
  EXPECT_FALSE(wire::decode_result(as_bytes(wire::encode_result(r))));
}

}  // namespace
}  // namespace tocsin
