#include "common/base/digest.h"

#include "common/base/check.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <algorithm>

namespace tocsin {

Sha256 sha256(ByteSpan bytes) {
  Sha256 out{};
  SHA256(bytes.data(), bytes.size(), out.data());
  return out;
}

Sha256Hasher::Sha256Hasher()
    : context_(EVP_MD_CTX_new()) {
  CHECK(context_ != nullptr &&
        EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(context_), EVP_sha256(), nullptr) == 1);
}

Sha256Hasher::~Sha256Hasher() { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context_)); }

void Sha256Hasher::add(ByteSpan bytes) {
  CHECK(EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_), bytes.data(), bytes.size()) == 1);
}

Sha256 Sha256Hasher::finish() {
  Sha256 out{};
  CHECK(EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_), out.data(), nullptr) == 1);
  return out;
}

Digest16 digest16(ByteSpan bytes) {
  const Sha256 full = sha256(bytes);
  Digest16 out{};
  std::copy_n(full.begin(), out.size(), out.begin());
  return out;
}

Sha256 hmac_sha256(ByteSpan key, ByteSpan message) {
  Sha256 out{};
  unsigned int size = 0;
  const auto* done = HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), message.data(),
                          message.size(), out.data(), &size);
  CHECK(done != nullptr && size == out.size());
  return out;
}

bool equal_constant_time(ByteSpan a, ByteSpan b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace tocsin
