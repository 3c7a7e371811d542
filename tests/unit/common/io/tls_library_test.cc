#include "common/io/tls_library.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace tocsin::io {
namespace {

struct Free {
  void operator()(SSL_CTX* p) const { SSL_CTX_free(p); }

  void operator()(SSL* p) const { SSL_free(p); }
};

/// What a client of that library says first.
std::string client_hello(OSSL_LIB_CTX* library) {
  const std::unique_ptr<SSL_CTX, Free> context{
      SSL_CTX_new_ex(library, nullptr, TLS_client_method())};
  const std::unique_ptr<SSL, Free> ssl{SSL_new(context.get())};
  BIO* out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), out);
  SSL_set_connect_state(ssl.get());
  EXPECT_EQ(SSL_do_handshake(ssl.get()), -1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out, &data);
  return {data, static_cast<std::size_t>(size)};
}

/// Record header 5, handshake header 4, version 2, random 32, session id 1 + 32; then suites,
/// compression and extensions, of which only the last one, the key share, is random.
std::string without_random(const std::string& hello) {
  constexpr std::size_t kFixed = 5 + 4 + 2 + 32 + 1 + 32;
  constexpr std::size_t kKeyShare = 32;
  return hello.substr(kFixed, hello.size() - kFixed - kKeyShare);
}

TEST(TlsLibrary, OffersWhatTheDefaultContextOffers) {
  ASSERT_NE(tls_library(), nullptr);
  const std::string ours = client_hello(tls_library());
  const std::string theirs = client_hello(nullptr);
  ASSERT_GT(ours.size(), 150U);
  EXPECT_EQ(ours.size(), theirs.size());
  EXPECT_EQ(without_random(ours), without_random(theirs));
}

TEST(TlsLibrary, KnowsFarFewerAlgorithms) {
  const auto count = [](OSSL_LIB_CTX* library) {
    int n = 0;
    EVP_KEYMGMT_do_all_provided(
        library, [](EVP_KEYMGMT*, void* sum) { ++*static_cast<int*>(sum); }, &n);
    EVP_CIPHER_do_all_provided(
        library, [](EVP_CIPHER*, void* sum) { ++*static_cast<int*>(sum); }, &n);
    return n;
  };
  EXPECT_LT(count(tls_library()) * 2, count(nullptr));
}

/// A certificate with that key, signed by itself, as DER.
std::string certificate_with(EVP_PKEY* key) {
  X509* made = X509_new();
  X509_gmtime_adj(X509_getm_notBefore(made), 0);
  X509_gmtime_adj(X509_getm_notAfter(made), 3600);
  X509_set_pubkey(made, key);
  // EdDSA has a digest of its own.
  const bool own_digest = EVP_PKEY_is_a(key, "ED25519") == 1 || EVP_PKEY_is_a(key, "ED448") == 1;
  EXPECT_GT(X509_sign(made, key, own_digest ? nullptr : EVP_sha256()), 0);
  std::string out(static_cast<std::size_t>(i2d_X509(made, nullptr)), '\0');
  auto* to = reinterpret_cast<unsigned char*>(out.data());
  i2d_X509(made, &to);
  X509_free(made);
  return out;
}

TEST(TlsLibrary, VerifiesSignaturesOfEveryKindOfKey) {
  struct Kind {
    const char* type;
    const char* group;  ///< Null: none.
  };

  for (const Kind kind :
       {Kind{"EC", "P-256"}, Kind{"EC", "P-384"}, Kind{"EC", "P-521"}, Kind{"RSA", nullptr},
        Kind{"RSA-PSS", nullptr}, Kind{"ED25519", nullptr}, Kind{"ED448", nullptr}}) {
    SCOPED_TRACE(kind.type);
    EVP_PKEY_CTX* maker = EVP_PKEY_CTX_new_from_name(nullptr, kind.type, nullptr);
    EVP_PKEY* key = nullptr;
    ASSERT_EQ(EVP_PKEY_keygen_init(maker), 1);
    if (kind.group != nullptr) {
      ASSERT_EQ(EVP_PKEY_CTX_set_group_name(maker, kind.group), 1);
    }
    ASSERT_EQ(EVP_PKEY_generate(maker, &key), 1);
    const std::string der = certificate_with(key);
    X509* read = X509_new_ex(tls_library(), nullptr);
    const auto* from = reinterpret_cast<const unsigned char*>(der.data());
    ASSERT_NE(d2i_X509(&read, &from, static_cast<long>(der.size())), nullptr);
    EVP_PKEY* const found = X509_get0_pubkey(read);
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(X509_verify(read, found), 1);
    X509_free(read);
    EVP_PKEY_free(key);
    EVP_PKEY_CTX_free(maker);
  }
}

TEST(TlsLibrary, IsOne) { EXPECT_EQ(tls_library(), tls_library()); }

}  // namespace
}  // namespace tocsin::io
