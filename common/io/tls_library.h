#pragma once
// Question answered here: which algorithms does OpenSSL look through for our client connections?
//
// OpenSSL 3.0 walks over every algorithm that its library context knows to decode one public key
// (OSSL_DECODER_CTX_new_for_pkey, a fifth of a handshake's time; later versions remember the
// answer). So client connections have a library context of their own with a provider that passes
// on what TLS and certificates need of OpenSSL's default provider: the same code, a shorter list.
// Cipher suites, groups and signature algorithms offered are those of the default context, which a
// test holds.

struct ossl_lib_ctx_st;

namespace tocsin::io {

/// Made at the first call and kept to the end of the process; safe to call from any thread. Null,
/// which OpenSSL takes for its default context, when the operator's configuration of OpenSSL brings
/// providers of its own (FIPS), which then decide, or when the context cannot be made.
ossl_lib_ctx_st* tls_library();

}  // namespace tocsin::io
