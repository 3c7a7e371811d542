#include "common/io/staple.h"

#include "common/base/clock.h"
#include "common/base/time.h"
#include "common/io/certificate.h"
#include "tests/support/x509_parts.h"

#include <gtest/gtest.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

#include <optional>
#include <string>

namespace tocsin::io {
namespace {

using test::Cert;
using test::Key;

constexpr long kHour = 3600;

struct Identity {
  Key key = test::new_key();
  Cert certificate{nullptr, X509_free};
};

/// Issued by `by`; by itself when that is null.
Identity issue(long serial, const std::string& name, const Identity* by,
               const char* usage = nullptr) {
  Identity out;
  out.certificate = test::new_certificate(serial, name, out.key.get(), -1, 30);
  const Identity& issuer = by == nullptr ? out : *by;
  X509_set_issuer_name(out.certificate.get(), X509_get_subject_name(issuer.certificate.get()));
  if (by == nullptr) {
    test::add_extension(out.certificate.get(), out.certificate.get(), NID_basic_constraints,
                        "critical,CA:TRUE");
  }
  if (usage != nullptr) {
    test::add_extension(out.certificate.get(), issuer.certificate.get(), NID_ext_key_usage, usage);
  }
  EXPECT_GT(X509_sign(out.certificate.get(), issuer.key.get(), EVP_sha256()), 0);
  return out;
}

using Time = std::unique_ptr<ASN1_TIME, decltype(&ASN1_TIME_free)>;

/// Of one moment, so that what is made with two of them is as far apart as they are.
Time from_now(long seconds) {
  static const std::int64_t kNow = SystemClock{}.now().wall.us / 1'000'000;
  return {ASN1_TIME_adj(nullptr, kNow, 0, seconds), ASN1_TIME_free};
}

struct Answer {
  int status = V_OCSP_CERTSTATUS_GOOD;
  int reason = -1;
  long from = -kHour;
  std::optional<long> to = kHour;
  const EVP_MD* digest = EVP_sha1();
  int others = 0;     ///< Responses about other certificates, before the one.
  int strangers = 0;  ///< Certificates beside the signer's.
};

class Staple : public ::testing::Test {
 protected:
  std::string make(const Answer& answer, const Identity& signer) const {
    const std::unique_ptr<OCSP_BASICRESP, decltype(&OCSP_BASICRESP_free)> basic{
        OCSP_BASICRESP_new(), OCSP_BASICRESP_free};
    for (int i = 0; i < answer.others; ++i) {
      const Identity other = issue(1000 + i, "other.example", &ca_);
      add(basic.get(), other, Answer{});
    }
    add(basic.get(), server_, answer);
    for (int i = 0; i < answer.strangers; ++i) {
      OCSP_basic_add1_cert(basic.get(), stranger_.certificate.get());
    }
    EXPECT_EQ(OCSP_basic_sign(basic.get(), signer.certificate.get(), signer.key.get(), EVP_sha256(),
                              nullptr, 0),
              1);
    return encode(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic.get());
  }

  static std::string encode(int status, OCSP_BASICRESP* basic) {
    OCSP_RESPONSE* response = OCSP_response_create(status, basic);
    unsigned char* der = nullptr;
    const int size = i2d_OCSP_RESPONSE(response, &der);
    std::string out{reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)};
    OPENSSL_free(der);
    OCSP_RESPONSE_free(response);
    return out;
  }

  StapleVerdict judge_bytes(const std::string& staple) const {
    return judge_staple(as_bytes(staple), server_.certificate.get(), ca_.certificate.get());
  }

  StapleVerdict judge(const Answer& answer) const { return judge_bytes(make(answer, ca_)); }

  /// It is unusable, and this is among the words.
  static void expect_unusable(const StapleVerdict& verdict, const std::string& words) {
    EXPECT_EQ(verdict.facts.status, OcspStatus::kUnusable);
    ASSERT_TRUE(verdict.failure) << words;
    EXPECT_EQ(verdict.failure->reason, Reason::kTlsVerifyStaple);
    EXPECT_NE(verdict.failure->detail.find(words), std::string::npos) << verdict.failure->detail;
  }

  const Identity ca_ = issue(1, "ca.example", nullptr);
  const Identity stranger_ = issue(1, "stranger.example", nullptr);
  const Identity server_ = issue(7, "a.example", &ca_);

 private:
  void add(OCSP_BASICRESP* basic, const Identity& about, const Answer& answer) const {
    OCSP_CERTID* id =
        OCSP_cert_to_id(answer.digest, about.certificate.get(), ca_.certificate.get());
    const Time from = from_now(answer.from);
    const Time to = from_now(answer.to.value_or(0));
    const Time revoked = from_now(-48 * kHour);
    EXPECT_NE(OCSP_basic_add1_status(basic, id, answer.status, answer.reason, revoked.get(),
                                     from.get(), answer.to ? to.get() : nullptr),
              nullptr);
    OCSP_CERTID_free(id);
  }
};

TEST_F(Staple, GoodIsGoodAndSaysHowLong) {
  for (const EVP_MD* digest : {EVP_sha1(), EVP_sha256()}) {
    const StapleVerdict verdict = judge({.digest = digest});
    EXPECT_EQ(verdict.failure, std::nullopt) << verdict.failure->detail;
    EXPECT_EQ(verdict.facts.status, OcspStatus::kGood);
    EXPECT_EQ(verdict.facts.next_update - verdict.facts.this_update, std::chrono::hours{2});
  }
}

TEST_F(Staple, RevokedSaysSinceWhenAndWhy) {
  const StapleVerdict verdict =
      judge({.status = V_OCSP_CERTSTATUS_REVOKED, .reason = OCSP_REVOKED_STATUS_KEYCOMPROMISE});
  EXPECT_EQ(verdict.facts.status, OcspStatus::kRevoked);
  const std::string day = format_rfc3339(asn1_time(from_now(-48 * kHour).get())).substr(0, 10);
  EXPECT_EQ(verdict.failure, (Failure{Reason::kTlsVerifyRevoked,
                                      "CN=a.example was revoked on " + day + ": keyCompromise"}));
  EXPECT_EQ(judge({.status = V_OCSP_CERTSTATUS_REVOKED}).failure->detail,
            "CN=a.example was revoked on " + day + ": no reason given");
}

TEST_F(Staple, ACertificateThatTheResponderDoesNotKnowIsNotGood) {
  const StapleVerdict verdict = judge({.status = V_OCSP_CERTSTATUS_UNKNOWN});
  EXPECT_EQ(verdict.facts.status, OcspStatus::kUnknown);
  EXPECT_EQ(verdict.failure->reason, Reason::kTlsVerifyStaple);
}

TEST_F(Staple, AnAnswerHoldsFromItsFirstMomentToItsLastGiveOrTakeFiveMinutes) {
  EXPECT_EQ(judge({.from = 240}).failure, std::nullopt);
  EXPECT_EQ(judge({.to = -240}).failure, std::nullopt);
  const StapleVerdict ended = judge({.from = -48 * kHour, .to = -kHour});
  expect_unusable(ended, ", not now");
  EXPECT_EQ(ended.facts.next_update - ended.facts.this_update, std::chrono::hours{47});
  expect_unusable(judge({.from = kHour, .to = 2 * kHour}), ", not now");
  // Revoked then says nothing about now: a hold may have been lifted.
  expect_unusable(judge({.status = V_OCSP_CERTSTATUS_REVOKED, .from = -48 * kHour, .to = -kHour}),
                  ", not now");
}

TEST_F(Staple, AnAnswerThatDoesNotSayHowLongIsTakenForADay) {
  EXPECT_EQ(judge({.from = -23 * kHour, .to = std::nullopt}).failure, std::nullopt);
  expect_unusable(judge({.from = -25 * kHour, .to = std::nullopt}), "does not say how long");
}

TEST_F(Staple, OnlyTheIssuerOrWhoItMadeASignerMaySign) {
  const Identity signer = issue(20, "ocsp.example", &ca_, "OCSPSigning");
  EXPECT_EQ(judge_bytes(make({}, signer)).failure, std::nullopt);

  const Identity server = issue(21, "other.example", &ca_, "serverAuth");
  const Identity impostor = issue(20, "ocsp.example", &stranger_, "OCSPSigning");
  for (const Identity* one : {&stranger_, &impostor, &server, &server_}) {
    expect_unusable(judge_bytes(make({}, *one)), "is not signed by CN=ca.example");
  }
  expect_unusable(judge_staple(as_bytes(make({}, ca_)), server_.certificate.get(), nullptr),
                  "its issuer is not known");
}

TEST_F(Staple, AChangedByteIsNoticed) {
  const std::string good = make({}, ca_);
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string changed = good;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    // What stands outside of the signature, as the signer's certificate does, may change.
    const StapleVerdict verdict = judge_bytes(changed);
    if (verdict.failure) continue;
    EXPECT_EQ(verdict.facts.status, OcspStatus::kGood) << at;
    EXPECT_EQ(verdict.facts, judge_bytes(good).facts) << at;
  }
}

TEST_F(Staple, AnAnswerAboutOthersSaysNothing) {
  const Identity other = issue(8, "b.example", &ca_);
  expect_unusable(
      judge_staple(as_bytes(make({}, ca_)), other.certificate.get(), ca_.certificate.get()),
      "is about other certificates");
}

TEST_F(Staple, WhatIsNoAnswerIsUnusable) {
  expect_unusable(judge_bytes(std::string{}), "is not one in DER");
  expect_unusable(judge_bytes(std::string{"hello"}), "is not one in DER");
  expect_unusable(judge_bytes(make({}, ca_) + "x"), "is not one in DER");
  const std::string good = make({}, ca_);
  for (std::size_t n = 0; n < good.size(); ++n) {
    EXPECT_TRUE(judge_bytes(good.substr(0, n)).failure) << n;
  }
  expect_unusable(judge_bytes(encode(OCSP_RESPONSE_STATUS_TRYLATER, nullptr)),
                  "says nothing but trylater");
}

TEST_F(Staple, BoundsHold) {
  EXPECT_EQ(judge({.others = kStapleResponsesMax - 1}).failure, std::nullopt);
  expect_unusable(judge({.others = kStapleResponsesMax}), "has 33 responses");
  EXPECT_EQ(judge({.strangers = kStapleCertificatesMax - 1}).failure, std::nullopt);
  expect_unusable(judge({.strangers = kStapleCertificatesMax}), "9 certificates");
  expect_unusable(judge_bytes(std::string(kStapleBytesMax + 1, '0')), "has 65537 bytes");
}

}  // namespace
}  // namespace tocsin::io
