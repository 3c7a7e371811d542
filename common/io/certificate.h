#pragma once
// Question answered here: what does a certificate say?
//
// The bytes are a stranger's: everything that comes out is printable and bounded.

#include "common/base/bytes.h"
#include "common/base/expected.h"
#include "common/model/observation.h"

struct asn1_string_st;
struct x509_st;

namespace tocsin::io {

/// What stands in it, whether or not it can be trusted. `certificate` is borrowed for the call.
CertificateFacts certificate_facts(const x509_st* certificate);

/// "CN=..,O=..", RFC 2253; `subject` false: the issuer.
std::string certificate_name(const x509_st* certificate, bool subject);

WallTime certificate_not_before(const x509_st* certificate);
/// Zero when it cannot be read; the last moment that can be told for years beyond it.
WallTime certificate_not_after(const x509_st* certificate);

/// UTCTime or GeneralizedTime; zero for null, what cannot be read, and the year 0.
WallTime asn1_time(const asn1_string_st* time);

/// One DER certificate and nothing else; kInvalid otherwise.
Expected<CertificateFacts> read_certificate(ByteSpan der);

}  // namespace tocsin::io
