#include "tests/support/test_certificate.h"

#include "common/base/check.h"
#include "common/base/strings.h"
#include "tests/support/x509_parts.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>

namespace tocsin::test {

Key new_key() {
  Key key{EVP_EC_gen("P-256"), EVP_PKEY_free};
  CHECK(key != nullptr);
  return key;
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX ctx;
  X509V3_set_ctx(&ctx, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &ctx, nid, value.c_str());
  CHECK(extension != nullptr);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

Cert new_certificate(long serial, const std::string& name, EVP_PKEY* key, int from_days,
                     int to_days) {
  Cert out{X509_new(), X509_free};
  X509_set_version(out.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(out.get()), serial);
  X509_gmtime_adj(X509_getm_notBefore(out.get()), 86400L * from_days);
  X509_gmtime_adj(X509_getm_notAfter(out.get()), 86400L * to_days);
  X509_set_pubkey(out.get(), key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(out.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  return out;
}

namespace {

std::string to_pem(X509* certificate) {
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, certificate);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string out{data, static_cast<std::size_t>(size)};
  BIO_free(bio);
  return out;
}

std::string to_pem(EVP_PKEY* key) {
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string out{data, static_cast<std::size_t>(size)};
  BIO_free(bio);
  return out;
}

}  // namespace

Certificate make_certificate(const CertificateOptions& options) {
  const Key ca_key = new_key();
  const Cert ca = new_certificate(1, options.root_name, ca_key.get(), -2, 365);
  X509_set_issuer_name(ca.get(), X509_get_subject_name(ca.get()));
  add_extension(ca.get(), ca.get(), NID_basic_constraints, "critical,CA:TRUE");
  CHECK(X509_sign(ca.get(), ca_key.get(), EVP_sha256()) > 0);

  const Key key = new_key();
  const Cert leaf =
      new_certificate(2, "test.example", key.get(), options.from_days, options.to_days);
  X509* issuer = options.self_signed ? leaf.get() : ca.get();
  X509_set_issuer_name(leaf.get(), X509_get_subject_name(issuer));
  std::vector<std::string> names;
  for (const std::string& name : options.names) names.push_back("DNS:" + name);
  for (const std::string& address : options.addresses) names.push_back("IP:" + address);
  if (!names.empty()) add_extension(leaf.get(), issuer, NID_subject_alt_name, join(names, ","));
  CHECK(X509_sign(leaf.get(), options.self_signed ? key.get() : ca_key.get(), EVP_sha256()) > 0);
  return {to_pem(leaf.get()), to_pem(key.get()), to_pem(ca.get())};
}

}  // namespace tocsin::test
