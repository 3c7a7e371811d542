#pragma once
// Question answered here: what does the OCSP answer that a server staples say of its certificate?
//
// RFC 6960 (the answer, and who may sign it), RFC 6066 section 8 (stapling). Nobody is asked and
// nothing is fetched: all there is to go by are the bytes, which are a stranger's until their
// signature is verified.

#include "common/base/bytes.h"
#include "common/model/observation.h"

#include <optional>

struct x509_st;

namespace tocsin::io {

/// Bounds on what one staple can cost, each refused as unusable beyond it. Answers for one
/// certificate have one single response and at most the signer's certificate beside it.
inline constexpr std::size_t kStapleBytesMax = 64 * 1024;
inline constexpr int kStapleResponsesMax = 32;
inline constexpr int kStapleCertificatesMax = 8;

/// How far clocks may be apart.
inline constexpr Duration kStapleLeeway = std::chrono::minutes{5};
/// How long an answer that does not say until when it holds is taken.
inline constexpr Duration kStapleAgeMax = std::chrono::hours{24};

struct StapleVerdict {
  OcspFacts facts;                 ///< Never kNotAsked or kNone.
  std::optional<Failure> failure;  ///< Nothing: it is good. The detail names the certificate.
};

/// The answer must be signed by the issuer, or by a certificate for signing OCSP answers that the
/// issuer itself issued, and be for this certificate and of now (the system's clock). Of several
/// answers for it the first counts. `issuer` is whoever issued `certificate` and was verified;
/// null: nobody known. Both are borrowed for the call. At most two signatures are verified.
StapleVerdict judge_staple(ByteSpan staple, x509_st* certificate, x509_st* issuer);

}  // namespace tocsin::io
