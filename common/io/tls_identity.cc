#include "common/io/tls_identity.h"

#include "common/base/check.h"
#include "common/io/openssl_error.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

namespace tocsin::io {

namespace {

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};

using BioPtr = std::unique_ptr<BIO, FreeBio>;

BioPtr bio_of(std::string_view text) {
  BioPtr out{BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))};
  CHECK(out != nullptr);
  return out;
}

/// An encrypted key is refused instead of asked for at the terminal.
int no_password(char*, int, int, void*) { return -1; }

}  // namespace

TlsIdentity::~TlsIdentity() {
  X509_free(certificate_);
  EVP_PKEY_free(key_);
  sk_X509_pop_free(chain_, X509_free);
}

Expected<std::shared_ptr<const TlsIdentity>> TlsIdentity::from_pem(std::string_view certificate_pem,
                                                                   std::string_view key_pem) {
  std::shared_ptr<TlsIdentity> out{new TlsIdentity};
  out->chain_ = sk_X509_new_null();
  CHECK(out->chain_ != nullptr);
  const BioPtr certificates = bio_of(certificate_pem);
  out->certificate_ = PEM_read_bio_X509(certificates.get(), nullptr, &no_password, nullptr);
  if (out->certificate_ == nullptr) {
    return fail(Errc::kInvalid, "expected a PEM certificate: {}", take_openssl_error());
  }
  while (X509* next = PEM_read_bio_X509(certificates.get(), nullptr, &no_password, nullptr)) {
    if (static_cast<std::size_t>(sk_X509_num(out->chain_)) == kChainMax) {
      X509_free(next);
      return fail(Errc::kInvalid, "expected at most {} certificates behind the first", kChainMax);
    }
    sk_X509_push(out->chain_, next);
  }
  ERR_clear_error();  // The end of the text is an error as well.
  const BioPtr key = bio_of(key_pem.empty() ? certificate_pem : key_pem);
  out->key_ = PEM_read_bio_PrivateKey(key.get(), nullptr, &no_password, nullptr);
  if (out->key_ == nullptr) {
    return fail(Errc::kInvalid, "expected an unencrypted PEM private key: {}",
                take_openssl_error());
  }
  if (X509_check_private_key(out->certificate_, out->key_) != 1) {
    return fail(Errc::kInvalid, "the key does not belong to the certificate: {}",
                take_openssl_error());
  }
  return std::shared_ptr<const TlsIdentity>{std::move(out)};
}

}  // namespace tocsin::io
