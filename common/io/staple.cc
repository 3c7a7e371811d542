#include "common/io/staple.h"

#include "common/base/strings.h"
#include "common/base/time.h"
#include "common/io/certificate.h"
#include "common/io/openssl_error.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

namespace tocsin::io {

namespace {

using Response = std::unique_ptr<OCSP_RESPONSE, decltype(&OCSP_RESPONSE_free)>;
using Answer = std::unique_ptr<OCSP_BASICRESP, decltype(&OCSP_BASICRESP_free)>;

/// That of our TLS connections: Debian's.
constexpr int kSecurityLevel = 2;
constexpr std::size_t kNameMax = 100;  // Long names shall not push out what is wrong.

StapleVerdict unusable(std::string text) {
  return {{.status = OcspStatus::kUnusable}, Failure{Reason::kTlsVerifyStaple, std::move(text)}};
}

/// The bytes within their bounds; nothing about who signed them. Says why not.
Expected<Answer> decode(ByteSpan staple) {
  if (staple.size() > kStapleBytesMax) {
    return fail(Errc::kLimit, "has {} bytes, more than {}", staple.size(), kStapleBytesMax);
  }
  const unsigned char* at = staple.data();
  const Response response{d2i_OCSP_RESPONSE(nullptr, &at, static_cast<long>(staple.size())),
                          OCSP_RESPONSE_free};
  if (response == nullptr || at != staple.data() + staple.size()) {
    return fail(Errc::kInvalid, "is not one in DER");
  }
  const int status = OCSP_response_status(response.get());
  if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
    return fail(Errc::kInvalid, "says nothing but {}", OCSP_response_status_str(status));
  }
  Answer answer{OCSP_response_get1_basic(response.get()), OCSP_BASICRESP_free};
  if (answer == nullptr) {
    return fail(Errc::kInvalid, "is not a basic one in DER (RFC 6960 section 4.2.1)");
  }
  const int responses = OCSP_resp_count(answer.get());
  const int certificates = sk_X509_num(OCSP_resp_get0_certs(answer.get()));  // -1: there is none.
  if (responses > kStapleResponsesMax || certificates > kStapleCertificatesMax) {
    return fail(Errc::kLimit, "has {} responses and {} certificates, more than {} or {}", responses,
                std::max(certificates, 0), kStapleResponsesMax, kStapleCertificatesMax);
  }
  return answer;
}

/// By whom it may be: the issuer is all there is to trust, and no chain is built from what the
/// server sent, so that a delegated signer must have been issued by the issuer itself (RFC 6960
/// section 4.2.2.2) and a hostile staple buys no search.
bool is_signed_by(OCSP_BASICRESP* answer, X509* issuer) {
  const std::unique_ptr<X509_STORE, decltype(&X509_STORE_free)> trusted{X509_STORE_new(),
                                                                        X509_STORE_free};
  if (trusted == nullptr || X509_STORE_add_cert(trusted.get(), issuer) != 1) return false;
  X509_VERIFY_PARAM* param = X509_STORE_get0_param(trusted.get());
  X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);  // The issuer need not be a root.
  X509_VERIFY_PARAM_set_auth_level(param, kSecurityLevel);
  // The stack does not own what is in it.
  const std::unique_ptr<STACK_OF(X509), void (*)(STACK_OF(X509)*)> signers{
      sk_X509_new_null(), [](STACK_OF(X509) * stack) { sk_X509_free(stack); }};
  if (signers == nullptr || sk_X509_push(signers.get(), issuer) == 0) return false;
  return OCSP_basic_verify(answer, signers.get(), trusted.get(), OCSP_NOCHAIN | OCSP_NOEXPLICIT) ==
         1;
}

struct Found {
  int status = V_OCSP_CERTSTATUS_UNKNOWN;
  int reason = -1;
  ASN1_GENERALIZEDTIME* revoked = nullptr;
  ASN1_GENERALIZEDTIME* from = nullptr;
  ASN1_GENERALIZEDTIME* to = nullptr;
};

/// The answer about this certificate, under either hash that is in use; valid with `answer`.
std::optional<Found> find(OCSP_BASICRESP* answer, const X509* certificate, const X509* issuer) {
  for (const EVP_MD* digest : {EVP_sha1(), EVP_sha256()}) {
    const std::unique_ptr<OCSP_CERTID, decltype(&OCSP_CERTID_free)> id{
        OCSP_cert_to_id(digest, certificate, issuer), OCSP_CERTID_free};
    Found out;
    if (id != nullptr && OCSP_resp_find_status(answer, id.get(), &out.status, &out.reason,
                                               &out.revoked, &out.from, &out.to) == 1) {
      return out;
    }
  }
  return std::nullopt;
}

bool is_of_now(const Found& found) {
  const auto seconds = [](Duration d) {
    return static_cast<long>(std::chrono::duration_cast<std::chrono::seconds>(d).count());
  };
  const long age_max = found.to == nullptr ? seconds(kStapleAgeMax) : -1;
  return OCSP_check_validity(found.from, found.to, seconds(kStapleLeeway), age_max) == 1;
}

std::string outdated_text(const OcspFacts& facts) {
  const std::string from = format_rfc3339(facts.this_update);
  if (facts.next_update.us == 0) return fmt::format("is of {} and does not say how long", from);
  return fmt::format("holds from {} to {}, not now", from, format_rfc3339(facts.next_update));
}

std::string revoked_text(const Found& found, const std::string& subject) {
  const WallTime when = asn1_time(found.revoked);
  return fmt::format("{} was revoked on {}: {}", subject, format_rfc3339(when).substr(0, 10),
                     found.reason < 0 ? "no reason given" : OCSP_crl_reason_str(found.reason));
}

StapleVerdict judge(ByteSpan staple, X509* certificate, X509* issuer) {
  const std::string subject = printable(certificate_name(certificate, true), kNameMax);
  const std::string what = fmt::format("the OCSP answer stapled for {}", subject);
  auto answer = decode(staple);
  if (!answer) return unusable(fmt::format("{} {}", what, answer.error().text));
  if (issuer == nullptr) return unusable(what + " cannot be verified: its issuer is not known");
  if (!is_signed_by(answer->get(), issuer)) {
    return unusable(fmt::format("{} is not signed by {} or on its behalf: {}", what,
                                printable(certificate_name(issuer, true), kNameMax),
                                take_openssl_error()));
  }
  const auto found = find(answer->get(), certificate, issuer);
  if (!found) return unusable(what + " is about other certificates");
  OcspFacts facts{.this_update = asn1_time(found->from), .next_update = asn1_time(found->to)};
  if (!is_of_now(*found)) {
    facts.status = OcspStatus::kUnusable;
    return {facts,
            Failure{Reason::kTlsVerifyStaple, fmt::format("{} {}", what, outdated_text(facts))}};
  }
  if (found->status == V_OCSP_CERTSTATUS_GOOD) {
    facts.status = OcspStatus::kGood;
    return {facts, std::nullopt};
  }
  if (found->status == V_OCSP_CERTSTATUS_REVOKED) {
    facts.status = OcspStatus::kRevoked;
    return {facts, Failure{Reason::kTlsVerifyRevoked, revoked_text(*found, subject)}};
  }
  facts.status = OcspStatus::kUnknown;
  return {facts,
          Failure{Reason::kTlsVerifyStaple, what + " says that its responder does not know it"}};
}

}  // namespace

StapleVerdict judge_staple(ByteSpan staple, x509_st* certificate, x509_st* issuer) {
  StapleVerdict out = judge(staple, certificate, issuer);
  ERR_clear_error();  // Nobody else shall find the complaint.
  return out;
}

}  // namespace tocsin::io
