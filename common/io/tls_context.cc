#include "common/io/tls_context.h"

#include "common/base/defer.h"
#include "common/io/openssl_error.h"
#include "common/io/tls_library.h"
#include "common/io/tls_stream.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>

namespace tocsin::io {

TlsContext::TlsContext(ssl_ctx_st* ctx)
    : ctx_(ctx) {}

TlsContext::~TlsContext() { SSL_CTX_free(ctx_); }

Expected<std::shared_ptr<TlsContext>> TlsContext::make() {
  SSL_CTX* ctx = SSL_CTX_new_ex(tls_library(), nullptr, TLS_client_method());
  if (ctx == nullptr) return fail(Errc::kUnavailable, "OpenSSL: {}", take_openssl_error());
  std::shared_ptr<TlsContext> out{new TlsContext{ctx}};
  SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
  SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                            SSL_MODE_RELEASE_BUFFERS);
  static constexpr unsigned char kAlpn[] = "\x08http/1.1";
  SSL_CTX_set_alpn_protos(ctx, kAlpn, sizeof kAlpn - 1);
  // The callback records what is wrong and goes on: the certificate's facts are wanted even then.
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, &TlsStream::on_verify);
  return out;
}

Expected<std::shared_ptr<TlsContext>> TlsContext::from_file(const std::string& ca_path) {
  TRY_ASSIGN(auto out, make());
  if (SSL_CTX_load_verify_locations(out->ctx_, ca_path.c_str(), nullptr) != 1) {
    return fail(Errc::kIo, "load certificates from {}: {}", ca_path, take_openssl_error());
  }
  return out;
}

Expected<std::shared_ptr<TlsContext>> TlsContext::from_pem(const std::string& ca_pem) {
  TRY_ASSIGN(auto out, make());
  BIO* bio = BIO_new_mem_buf(ca_pem.data(), static_cast<int>(ca_pem.size()));
  if (bio == nullptr) return fail(Errc::kUnavailable, "OpenSSL: {}", take_openssl_error());
  const Defer free_bio{[&] { BIO_free(bio); }};
  X509_STORE* store = SSL_CTX_get_cert_store(out->ctx_);
  int count = 0;
  for (;;) {
    X509* certificate = X509_new_ex(tls_library(), nullptr);
    if (certificate == nullptr)
      return fail(Errc::kUnavailable, "OpenSSL: {}", take_openssl_error());
    const Defer free_certificate{[&] { X509_free(certificate); }};
    if (PEM_read_bio_X509(bio, &certificate, nullptr, nullptr) == nullptr) break;
    if (X509_STORE_add_cert(store, certificate) != 1) {
      return fail(Errc::kInvalid, "ca: {}", take_openssl_error());
    }
    ++count;
  }
  const std::string why = take_openssl_error();  // The end of the text is an error as well.
  if (count == 0) return fail(Errc::kInvalid, "ca: expected a PEM certificate: {}", why);
  return out;
}

namespace {

int select_http11(SSL* /*ssl*/, const unsigned char** out, unsigned char* out_size,
                  const unsigned char* offered, unsigned offered_size, void* /*context*/) {
  static constexpr unsigned char kAlpn[] = "\x08http/1.1";
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, kAlpn, sizeof kAlpn - 1, offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

Expected<std::shared_ptr<TlsContext>> TlsContext::server(const std::string& certificate_path,
                                                         const std::string& key_path) {
  SSL_CTX* ctx = SSL_CTX_new(TLS_server_method());
  if (ctx == nullptr) return fail(Errc::kUnavailable, "OpenSSL: {}", take_openssl_error());
  std::shared_ptr<TlsContext> out{new TlsContext{ctx}};
  SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
  if (SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1) {
    return fail(Errc::kUnavailable, "OpenSSL: {}", take_openssl_error());
  }
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                               SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_num_tickets(ctx, 0);
  SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                            SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_alpn_select_cb(ctx, &select_http11, nullptr);
  if (SSL_CTX_use_certificate_chain_file(ctx, certificate_path.c_str()) != 1) {
    return fail(Errc::kIo, "load the certificate from {}: {}", certificate_path,
                take_openssl_error());
  }
  if (SSL_CTX_use_PrivateKey_file(ctx, key_path.c_str(), SSL_FILETYPE_PEM) != 1) {
    return fail(Errc::kIo, "load the private key from {}: {}", key_path, take_openssl_error());
  }
  if (SSL_CTX_check_private_key(ctx) != 1) {
    return fail(Errc::kInvalid, "the key in {} is not the one of the certificate in {}: {}",
                key_path, certificate_path, take_openssl_error());
  }
  return out;
}

}  // namespace tocsin::io
