#include "agent/probe/http_connection.h"
#include "common/codec/url.h"
#include "tests/unit/agent/probe/probing.h"

#include <chrono>
#include <set>

namespace tocsin::agent {
namespace {

using test::Certificate;
using test::LoopbackServer;
using test::make_certificate;
using test::Peer;

const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

LoopbackServer::Script tls_respond(const Certificate& certificate, std::string response) {
  return [certificate, response = std::move(response)](Peer& peer) {
    if (!peer.start_tls(certificate)) return;
    peer.read_until("\r\n\r\n");
    peer.write(response);
    peer.close_tls();
  };
}

class HttpsProbing : public Probing {
 protected:
  static HttpTarget at(std::uint16_t port, const std::string& ca_pem,
                       const std::string& host = "localhost") {
    HttpTarget out;
    out.url = fmt::format("https://{}:{}/", host, port);
    out.ca_pem = ca_pem;
    return out;
  }

  /// One attempt against a server with this certificate that trusts `ca_pem`.
  Observation run_with(const Certificate& certificate, const std::string& ca_pem,
                       const std::string& host = "localhost") {
    const LoopbackServer server{tls_respond(certificate, kOk)};
    return run(at(server.port(), ca_pem, host), 10s, IpFamily::kV4);
  }
};

TEST_F(HttpsProbing, VerifiesAndReportsTheCertificate) {
  const Certificate certificate = make_certificate();
  const Observation seen = run_with(certificate, certificate.ca_pem);
  EXPECT_EQ(seen.failure, std::nullopt) << detail_of(seen);
  ASSERT_TRUE(seen.tls);
  EXPECT_TRUE(seen.tls->verified);
  EXPECT_EQ(seen.tls->version, "TLSv1.3");
  EXPECT_EQ(seen.tls->subject, "CN=test.example");
  EXPECT_EQ(seen.tls->issuer, "CN=Test Root");
  EXPECT_EQ(seen.tls->not_after - seen.tls->not_before, Duration{31 * 24h});
  EXPECT_GT(seen.phases.tls_us, 0U);
  ASSERT_TRUE(seen.http);
  EXPECT_EQ(seen.http->body, "ok");
}

TEST_F(HttpsProbing, AnAddressIsVerifiedAsAnAddress) {
  const Certificate good = make_certificate({.names = {}, .addresses = {"127.0.0.1"}});
  EXPECT_EQ(run_with(good, good.ca_pem, "127.0.0.1").failure, std::nullopt);
  const Certificate other = make_certificate({.names = {}, .addresses = {"127.0.0.9"}});
  EXPECT_EQ(reason_of(run_with(other, other.ca_pem, "127.0.0.1")), Reason::kTlsVerifyHostname);
}

TEST_F(HttpsProbing, NamesWhatIsWrongWithTheCertificateAndStillReportsIt) {
  struct Row {
    const char* what;
    test::CertificateOptions options;
    bool trust_root;
    Reason reason;
  };

  const Row rows[] = {
      {"expired", {.from_days = -20, .to_days = -3}, true, Reason::kTlsVerifyExpired},
      {"not yet", {.from_days = 3, .to_days = 9}, true, Reason::kTlsVerifyNotYetValid},
      {"name", {.names = {"other.example"}}, true, Reason::kTlsVerifyHostname},
      {"wildcard", {.names = {"*.localhost"}}, true, Reason::kTlsVerifyHostname},
      {"issuer", {.root_name = "Other"}, false, Reason::kTlsVerifyUnknownIssuer},
      {"issuer of the same name", {}, false, Reason::kTlsVerifyUnknownIssuer},
      {"self-signed", {.self_signed = true}, true, Reason::kTlsVerifySelfSigned},
  };
  for (const Row& row : rows) {
    const Certificate certificate = make_certificate(row.options);
    const Observation seen =
        run_with(certificate, row.trust_root ? certificate.ca_pem : make_certificate().ca_pem);
    EXPECT_EQ(reason_of(seen), row.reason) << row.what << ": " << detail_of(seen);
    ASSERT_TRUE(seen.tls) << row.what;
    EXPECT_EQ(seen.tls->subject, "CN=test.example");
    EXPECT_NE(seen.tls->not_after, WallTime{});
    EXPECT_FALSE(seen.tls->verified);
    ASSERT_FALSE(seen.tls->problems.empty()) << row.what;
    EXPECT_EQ(seen.tls->problems.front().reason, row.reason) << row.what;
    EXPECT_EQ(seen.tls->problems.front().depth, 0U) << row.what;
    ASSERT_EQ(seen.tls->chain.size(), 1U) << row.what;
    EXPECT_EQ(seen.tls->chain_size, 1U);
    const CertificateFacts& leaf = seen.tls->chain.front();
    EXPECT_EQ(leaf.serial, "2");
    EXPECT_EQ(leaf.names, row.options.names);
    EXPECT_EQ(leaf.key, "EC P-256");
    EXPECT_EQ(leaf.signature, "ecdsa-with-SHA256");
    EXPECT_EQ(leaf.sha256.size(), 64U);
    EXPECT_EQ(leaf.not_after, seen.tls->not_after);
    EXPECT_EQ(seen.tls->chain_not_after, seen.tls->not_after);
    EXPECT_EQ(seen.http, std::nullopt) << "nothing may be sent to a server that is not verified";
  }
}

TEST_F(HttpsProbing, TellsEverythingThatIsWrongWithACertificateInWords) {
  const Certificate expired =
      make_certificate({.names = {"a.example", "b.example"}, .from_days = -20, .to_days = -3});
  const Observation seen = run_with(expired, make_certificate({.root_name = "Other"}).ca_pem);
  ASSERT_TRUE(seen.tls);
  std::vector<Reason> reasons;
  for (const TlsProblem& problem : seen.tls->problems) reasons.push_back(problem.reason);
  EXPECT_EQ(reasons, (std::vector{Reason::kTlsVerifyUnknownIssuer, Reason::kTlsVerifyHostname,
                                  Reason::kTlsVerifyExpired}));
  const std::string detail = detail_of(seen);
  for (const std::string part :
       {"CN=test.example is issued by CN=Test Root, which is not among the roots",
        "it is for a.example, b.example, not for localhost"}) {
    EXPECT_NE(detail.find(part), std::string::npos) << detail;
  }
  EXPECT_EQ(seen.tls->problems.back().text,
            fmt::format("CN=test.example ended on {}",
                        format_rfc3339(seen.tls->not_after).substr(0, 10)));
}

TEST_F(HttpsProbing, TheChainEndsWithTheEarliestOfTheRootAndTheLeaf) {
  const Certificate long_leaf = make_certificate({.to_days = 900});  // The root has 365 days.
  const Observation seen = run_with(long_leaf, long_leaf.ca_pem);
  ASSERT_TRUE(seen.tls && seen.tls->verified) << detail_of(seen);
  EXPECT_EQ(seen.tls->not_after - seen.tls->chain_not_after, Duration{535 * 24h});
  EXPECT_EQ(seen.tls->server_name, "localhost");
  EXPECT_NE(seen.tls->group, "");
  EXPECT_TRUE(seen.tls->chain.empty()) << "the plain case pays for the leaf alone";
}

TEST_F(HttpsProbing, NamesTheAlertOfTheServer) {
  struct Row {
    char description;
    Reason reason;
    const char* name;
  };

  for (const Row& row : {Row{40, Reason::kTlsHandshake, "handshake_failure (40)"},
                         Row{70, Reason::kTlsVersion, "protocol_version (70)"},
                         Row{80, Reason::kTlsAlert, "internal_error (80)"},
                         Row{112, Reason::kTlsUnrecognizedName, "unrecognized_name (112)"},
                         Row{116, Reason::kTlsClientCertificate, "certificate_required (116)"},
                         Row{120, Reason::kTlsAlpn, "no_application_protocol (120)"}}) {
    const LoopbackServer server{[&row](Peer& peer) {
      peer.write(std::string{"\x15\x03\x03\x00\x02\x02", 6} + row.description);
      peer.close();
    }};
    const Observation seen = run(at(server.port(), make_certificate().ca_pem), 10s, IpFamily::kV4);
    EXPECT_EQ(reason_of(seen), row.reason) << row.name;
    EXPECT_NE(detail_of(seen).find(row.name), std::string::npos) << detail_of(seen);
    ASSERT_TRUE(seen.tls);
    EXPECT_EQ(seen.tls->alert_received, row.name);
  }
}

TEST_F(HttpsProbing, WithoutVerificationItGoesOnAndSaysThatItWasBad) {
  const Certificate certificate = make_certificate({.self_signed = true});
  const LoopbackServer server{tls_respond(certificate, kOk)};
  HttpTarget target = at(server.port(), make_certificate().ca_pem);
  target.verify = false;
  const Observation seen = run(target, 10s, IpFamily::kV4);
  EXPECT_EQ(seen.failure, std::nullopt) << detail_of(seen);
  EXPECT_FALSE(seen.tls->verified);
}

TEST_F(HttpsProbing, NamesEveryWayAHandshakeCanFail) {
  const std::string ca = make_certificate().ca_pem;

  struct Row {
    const char* what;
    LoopbackServer::Script script;
    Reason reason;
  };

  const Row rows[] = {
      {"plain HTTP",
       [](Peer& peer) {
         peer.write("HTTP/1.1 400 Bad Request\r\n\r\n");
         peer.close();
       },
       Reason::kTlsNotTls},
      {"SSH",
       [](Peer& peer) {
         peer.write("SSH-2.0-OpenSSH_9.2p1\r\n");
         peer.close();
       },
       Reason::kTlsNotTls},
      {"reset",
       [](Peer& peer) {
         peer.read_until("\x16\x03");  // Earlier, and it may be the connect that fails.
         peer.reset();
       },
       Reason::kTlsReset},
      {"close", [](Peer& peer) { peer.close(); }, Reason::kTlsReset},
      // A fatal alert, handshake_failure.
      {"alert",
       [](Peer& peer) {
         peer.write({"\x15\x03\x03\x00\x02\x02\x28", 7});
         peer.close();
       },
       Reason::kTlsHandshake},
  };
  for (const Row& row : rows) {
    const LoopbackServer server{row.script};
    const Observation seen = run(at(server.port(), ca), 10s, IpFamily::kV4);
    EXPECT_EQ(reason_of(seen), row.reason) << row.what << ": " << detail_of(seen);
  }
  const LoopbackServer silent{[](Peer& peer) { peer.stall(); }};
  const Observation seen = run(at(silent.port(), ca), 150ms, IpFamily::kV4);
  EXPECT_EQ(reason_of(seen), Reason::kTlsTimeout);
  EXPECT_GT(seen.phases.tls_us, seen.phases.connect_us);
}

TEST_F(HttpsProbing, AnEndWithoutTlsCloseIsTruncationOnlyWhenTheBodyHasNoLength) {
  const Certificate certificate = make_certificate();
  const auto cut_after = [&](std::string response) {
    const LoopbackServer server{[certificate, response = std::move(response)](Peer& peer) {
      if (!peer.start_tls(certificate)) return;
      peer.read_until("\r\n\r\n");
      peer.write(response);
      peer.close();
    }};
    return run(at(server.port(), certificate.ca_pem), 10s, IpFamily::kV4);
  };
  EXPECT_EQ(cut_after(kOk).failure, std::nullopt);
  EXPECT_EQ(reason_of(cut_after("HTTP/1.1 200 OK\r\n\r\nsome")), Reason::kHttpTruncated);
  EXPECT_EQ(reason_of(cut_after("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome")),
            Reason::kHttpTruncated);
  const LoopbackServer closes{tls_respond(certificate, "HTTP/1.1 200 OK\r\n\r\nall")};
  EXPECT_EQ(run(at(closes.port(), certificate.ca_pem), 10s, IpFamily::kV4).failure, std::nullopt);
}

TEST_F(HttpsProbing, ReadsABodyOfManyRecords) {
  const Certificate certificate = make_certificate();
  const std::string body(300'000, 'r');
  const LoopbackServer server{tls_respond(
      certificate,
      fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", body.size(), body))};
  const Observation seen = run(at(server.port(), certificate.ca_pem), 10s, IpFamily::kV4);
  ASSERT_TRUE(seen.http) << detail_of(seen);
  EXPECT_EQ(seen.http->body_bytes, body.size());
}

TEST_F(HttpsProbing, DoesNotFollowFromHttpsToHttp) {
  const Certificate certificate = make_certificate();
  const LoopbackServer plain{test::respond(kOk)};
  const LoopbackServer server{tls_respond(
      certificate,
      fmt::format(
          "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{}/\r\nContent-Length: 0\r\n\r\n",
          plain.port()))};
  const Observation seen = run(at(server.port(), certificate.ca_pem), 10s, IpFamily::kV4);
  EXPECT_EQ(reason_of(seen), Reason::kHttpRedirectDowngrade);
  EXPECT_EQ(plain.accepted(), 0);
}

TEST_F(HttpsProbing, NothingIsTakenOverFromAMonitorThatLookedForStaplesLess) {
  HttpTarget target{.url = "https://a.example/"};
  HttpRequestPlan request;
  request.url = *parse_url(target.url);
  std::set<std::string> keys;
  for (const OcspMode mode : {OcspMode::kOff, OcspMode::kCheck, OcspMode::kRequire}) {
    target.ocsp = mode;
    keys.insert(connection_key(target, request, IpFamily::kAny));
  }
  EXPECT_EQ(keys.size(), 3U);
}

TEST_F(HttpsProbing, RootsThatCannotBeReadAreNotTheTargetsFault) {
  const LoopbackServer server{tls_respond(make_certificate(), kOk)};
  EXPECT_EQ(reason_of(run(at(server.port(), "not a certificate"), 10s, IpFamily::kV4)),
            Reason::kSelfInternal);
  open({.ca_path = "/nonexistent"});
  EXPECT_EQ(reason_of(run(at(server.port(), ""), 10s, IpFamily::kV4)), Reason::kSelfInternal);
}

}  // namespace
}  // namespace tocsin::agent
