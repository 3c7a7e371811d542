// Whatever a certificate says, the facts are bounded and can be shown, and reading it again says
// the same. The same bytes are no OCSP answer that anybody signed.

#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/io/certificate.h"
#include "common/io/staple.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <algorithm>

namespace {

void check_text(const std::string& text) {
  CHECK(text.size() <= 256);
  CHECK(tocsin::is_valid_utf8(text));
  CHECK(tocsin::printable(text, 256) == text);
}

X509* a_certificate() {
  X509* out = X509_new();
  EVP_PKEY* key = EVP_EC_gen("P-256");
  CHECK(X509_set_pubkey(out, key) == 1 && X509_sign(out, key, EVP_sha256()) > 0);
  EVP_PKEY_free(key);
  return out;
}

void check_staple(tocsin::ByteSpan bytes) {
  static X509* const kCertificate = a_certificate();
  const auto verdict = tocsin::io::judge_staple(bytes, kCertificate, kCertificate);
  CHECK(verdict.failure && verdict.facts.status == tocsin::OcspStatus::kUnusable);
  CHECK(verdict.facts.this_update.us == 0 && verdict.facts.next_update.us == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check_staple({data, size});
  const auto facts = tocsin::io::read_certificate({data, size});
  if (!facts) return 0;
  for (const std::string* text : {&facts->subject, &facts->issuer, &facts->serial, &facts->key,
                                  &facts->signature, &facts->sha256}) {
    check_text(*text);
  }
  CHECK(facts->names.size() <= tocsin::CertificateFacts::kNamesMax);
  CHECK(facts->names.size() <= facts->name_count);
  std::for_each(facts->names.begin(), facts->names.end(), check_text);
  CHECK(facts->sha256.size() == 64);
  CHECK(tocsin::io::read_certificate({data, size}) == facts);
  return 0;
}
