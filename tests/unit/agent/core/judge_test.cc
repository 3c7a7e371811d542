#include "agent/core/judge.h"

#include "common/base/bytes.h"

#include <gtest/gtest.h>

namespace tocsin::agent {
namespace {

ProbeSpec spec_with(std::vector<Header> headers) {
  ProbeSpec out;
  HttpTarget http;
  http.url = "http://a.example/";
  http.headers = std::move(headers);
  out.target = http;
  return out;
}

Observation answered(std::string body) {
  Observation out;
  out.http.emplace();
  out.http->status = 500;
  out.http->version = "1.1";
  out.http->body = std::move(body);
  return out;
}

TEST(Judge, NoSecretOfTheSpecOrTheAnswerIsInTheEvidence) {
  const std::string basic = to_base64(as_bytes("ann:correct horse"));
  const ProbeSpec spec = spec_with(
      {{"Authorization", "Basic " + basic}, {"X-Api-Key", "k-12345"}, {"Accept", "text/html"}});
  Observation seen = answered("you sent Basic " + basic + " and k-12345, that is correct horse; " +
                              std::string(8000, 'x'));
  seen.http->headers = {{"set-cookie", "session=s3cret"},
                        {"location", "/?key=k-12345"},
                        {"authorization", "Bearer other"}};
  const Attempt attempt = make_attempt(
      spec, seen, {Outcome::kDown, Reason::kAssertBody, "expected x, got \"k-12345\""}, {}, true);
  EXPECT_EQ(attempt.finding.detail, "expected x, got \"***\"");
  EXPECT_EQ(attempt.excerpt.substr(0, 139),
            "HTTP/1.1 500\nset-cookie: ***\nlocation: /?key=***\nauthorization: ***\n\n"
            "you sent *** and ***, that is ***; xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
  EXPECT_EQ(attempt.excerpt.size(), kExcerptMax);
}

TEST(Judge, OnlyWhatFailedKeepsWhatTlsShowedAndWithinItsBounds) {
  Observation seen;
  seen.remote = "192.0.2.2:443";
  seen.tried = {"192.0.2.1:443: connect.timeout"};
  seen.tls.emplace();
  seen.tls->not_after = WallTime{5'000'000};
  CertificateFacts certificate;
  certificate.names.assign(CertificateFacts::kNamesMax, "a.example");
  seen.tls->chain.assign(TlsFacts::kChainMax, certificate);
  seen.tls->problems.assign(TlsFacts::kProblemsMax, {Reason::kTlsVerifyExpired, 0, "x"});
  ProbeSpec spec;
  spec.target = TlsTarget{"a.example"};

  const Attempt good = make_attempt(spec, seen, {}, {}, false);
  EXPECT_FALSE(good.tls);
  EXPECT_EQ(good.cert_not_after_ms, 5000);
  EXPECT_EQ(good.tried, seen.tried);

  const Attempt bad =
      make_attempt(spec, seen, {Outcome::kDown, Reason::kTlsVerifyExpired, "x"}, {}, true);
  ASSERT_TRUE(bad.tls);
  EXPECT_EQ(bad.tls->chain.size(), Attempt::kEvidenceChainMax);
  EXPECT_EQ(bad.tls->chain[0].names.size(), Attempt::kEvidenceNamesMax);
  EXPECT_TRUE(bad.tls->chain[1].names.empty());
  EXPECT_EQ(bad.tls->problems.size(), Attempt::kEvidenceProblemsMax);
}

TEST(Judge, ThePathIsKeptOfWhatFailedOrWasDegradedWithoutSecrets) {
  const ProbeSpec spec = spec_with({{"X-Api-Key", "k-12345"}});
  Observation seen = answered("");
  seen.http->connection = ConnectionUse::kReused;
  seen.http->hops = {{"http://a.example/?key=k-12345", "192.0.2.1:80", 302, {}},
                     {"http://a.example/b", "192.0.2.1:80", 500, {}}};

  seen.tcp = TcpFacts{.state = TcpState::kEstablished, .rtt_us = 12};
  seen.http->hops[0].phases.total_us = 5;

  const Attempt up = make_attempt(spec, seen, {}, {}, false);
  // Of what passed only how long each took.
  ASSERT_EQ(up.hops.size(), 2U);
  EXPECT_EQ(up.hops[0], (HttpHop{"", "", 302, {.total_us = 5}}));
  EXPECT_FALSE(up.tcp);
  EXPECT_EQ(up.connection, ConnectionUse::kReused);

  const Finding slow{Outcome::kDegraded, Reason::kAssertLatency, "x"};
  const Finding bad{Outcome::kDown, Reason::kAssertStatus, "x"};
  for (const Attempt& kept :
       {make_attempt(spec, seen, slow, {}, false), make_attempt(spec, seen, bad, {}, true)}) {
    ASSERT_EQ(kept.hops.size(), 2U);
    EXPECT_EQ(kept.hops[0].url, "http://a.example/?key=***");
    EXPECT_EQ(kept.hops[0].status, 302);
    EXPECT_EQ(kept.hops[1], seen.http->hops[1]);
    EXPECT_EQ(kept.tcp, seen.tcp);
  }
  const Attempt second = make_attempt(spec, seen, bad, {}, false);
  EXPECT_TRUE(second.hops.empty());  // Not the first that failed.
  EXPECT_FALSE(second.tcp);
}

}  // namespace
}  // namespace tocsin::agent
