#pragma once
// Certificates as OpenSSL has them, for tests that need one that nobody would issue.

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

namespace tocsin::test {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Cert = std::unique_ptr<X509, decltype(&X509_free)>;

Key new_key();

/// With that subject and key, neither issued nor signed.
Cert new_certificate(long serial, const std::string& name, EVP_PKEY* key, int from_days,
                     int to_days);

/// `value` as in openssl.cnf.
void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value);

}  // namespace tocsin::test
