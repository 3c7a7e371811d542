#include "common/io/tls_stream.h"

#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/io/openssl_error.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace tocsin::io {

namespace {

constexpr std::size_t kVerifyErrorsMax = 8;

Reason verify_reason(int error) {
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return Reason::kTlsVerifyExpired;
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return Reason::kTlsVerifyNotYetValid;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return Reason::kTlsVerifyHostname;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_UNTRUSTED:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:  // An issuer of that name, but with another key.
      return Reason::kTlsVerifyUnknownIssuer;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return Reason::kTlsVerifySelfSigned;
    case X509_V_ERR_CERT_REVOKED:
      return Reason::kTlsVerifyRevoked;
    default:
      return Reason::kTlsVerifyOther;
  }
}

bool means_not_tls(int reason) {
  return reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
         reason == SSL_R_HTTPS_PROXY_REQUEST || reason == SSL_R_PACKET_LENGTH_TOO_LONG ||
         reason == SSL_R_UNKNOWN_PROTOCOL || reason == SSL_R_BAD_PACKET_LENGTH ||
         reason == SSL_R_RECORD_LENGTH_MISMATCH;
}

WallTime to_wall(const ASN1_TIME* time) {
  std::tm tm{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &tm) != 1) return {};
  const std::time_t seconds = timegm(&tm);
  return {static_cast<std::int64_t>(seconds) * 1'000'000};
}

std::string name_text(const X509_NAME* name) {
  BIO* bio = BIO_new(BIO_s_mem());
  CHECK(bio != nullptr);
  X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string out = printable({data, size > 0 ? static_cast<std::size_t>(size) : 0U}, 250);
  BIO_free(bio);
  return out;
}

}  // namespace

TlsStream::TlsStream(std::shared_ptr<const TlsContext> context, ssl_st* ssl)
    : context_(std::move(context)),
      ssl_(ssl) {
  SSL_set_app_data(ssl_, this);
}

TlsStream::~TlsStream() { SSL_free(ssl_); }

Expected<std::unique_ptr<TlsStream>> TlsStream::open(std::shared_ptr<const TlsContext> context,
                                                     int fd, const std::string& host,
                                                     bool host_is_address) {
  SSL* ssl = SSL_new(context->native());
  if (ssl == nullptr) return fail(Errc::kUnavailable, "OpenSSL: {}", take_openssl_error());
  std::unique_ptr<TlsStream> out{new TlsStream{std::move(context), ssl}};
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const bool named = host_is_address
                         ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1
                         : SSL_set1_host(ssl, host.c_str()) == 1 &&
                               SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
  if (!named || SSL_set_fd(ssl, fd) != 1) {
    return fail(Errc::kInvalid, "TLS to {}: {}", printable(host, 100), take_openssl_error());
  }
  SSL_set_connect_state(ssl);
  return out;
}

Expected<std::unique_ptr<TlsStream>> TlsStream::accept(std::shared_ptr<const TlsContext> context,
                                                       int fd) {
  SSL* ssl = SSL_new(context->native());
  if (ssl == nullptr) return fail(Errc::kUnavailable, "OpenSSL: {}", take_openssl_error());
  std::unique_ptr<TlsStream> out{new TlsStream{std::move(context), ssl}};
  if (SSL_set_fd(ssl, fd) != 1) {
    return fail(Errc::kUnavailable, "OpenSSL: {}", take_openssl_error());
  }
  SSL_set_accept_state(ssl);
  return out;
}

TlsSession::~TlsSession() { SSL_SESSION_free(session_); }

void TlsStream::offer_alpn(std::string_view protocols) {
  SSL_set_alpn_protos(ssl_, reinterpret_cast<const unsigned char*>(protocols.data()),
                      static_cast<unsigned>(protocols.size()));
}

Expected<void> TlsStream::use_identity(const TlsIdentity& identity) {
  if (SSL_use_cert_and_key(ssl_, identity.certificate_, identity.key_, identity.chain_, 1) == 1) {
    return {};
  }
  return fail(Errc::kInvalid, "client certificate: {}", take_openssl_error());
}

void TlsStream::allow_resumption(const TlsSession* session) {
  SSL_clear_options(ssl_, SSL_OP_NO_TICKET);
  if (session != nullptr) SSL_set_session(ssl_, session->session_);
}

std::string_view TlsStream::alpn() const {
  const unsigned char* alpn = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_, &alpn, &size);
  return {reinterpret_cast<const char*>(alpn), size};
}

bool TlsStream::resumed() const { return SSL_session_reused(ssl_) == 1; }

std::shared_ptr<const TlsSession> TlsStream::session() const {
  if (!verify_errors_.empty()) return nullptr;
  const SSL_SESSION* current = SSL_get0_session(ssl_);
  if (current == nullptr) return nullptr;
  // A copy: SSL_free marks the session of a connection that was not shut down as not resumable.
  SSL_SESSION* session = SSL_SESSION_dup(current);
  if (session == nullptr) return nullptr;
  std::shared_ptr<const TlsSession> out{new TlsSession{session}};
  return SSL_SESSION_is_resumable(session) == 1 ? out : nullptr;
}

void TlsStream::say_goodbye() {
  if (SSL_is_init_finished(ssl_) == 1) SSL_shutdown(ssl_);
  ERR_clear_error();
}

int TlsStream::on_verify(int ok, x509_store_ctx_st* store) {
  const auto* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* self = static_cast<TlsStream*>(SSL_get_app_data(ssl));
  const int error = X509_STORE_CTX_get_error(store);
  if (ok == 1 || error == X509_V_OK) return 1;
  std::vector<int>& seen = self->verify_errors_;
  if (seen.size() < kVerifyErrorsMax && std::find(seen.begin(), seen.end(), error) == seen.end()) {
    seen.push_back(error);
  }
  return 1;
}

TlsStep TlsStream::step_of(int result) {
  const int saved_errno = errno;
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
      return TlsStep::kWantRead;
    case SSL_ERROR_WANT_WRITE:
      return TlsStep::kWantWrite;
    case SSL_ERROR_ZERO_RETURN:
      failure_ = {Reason::kTlsReset, "the server closed the TLS connection"};
      return TlsStep::kClosed;
    case SSL_ERROR_SYSCALL:
      ERR_clear_error();
      if (saved_errno == ECONNRESET || saved_errno == EPIPE) {
        failure_ = {Reason::kTlsReset, std::strerror(saved_errno)};
        return TlsStep::kReset;
      }
      failure_ = {saved_errno == ETIMEDOUT ? Reason::kTlsTimeout : Reason::kTlsReset,
                  saved_errno == 0 ? "the connection ended" : std::strerror(saved_errno)};
      return saved_errno == 0 ? TlsStep::kCut : TlsStep::kFailed;
    default:
      break;
  }
  const unsigned long code = ERR_peek_error();
  const int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
  const std::string text = take_openssl_error();
  if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
    failure_ = {Reason::kTlsReset, "the connection ended without a TLS close"};
    return TlsStep::kCut;
  }
  failure_ = {means_not_tls(reason) ? Reason::kTlsNotTls : Reason::kTlsHandshake, text};
  return TlsStep::kFailed;
}

TlsStep TlsStream::handshake() {
  ERR_clear_error();  // Old errors of this thread would be taken for new ones.
  errno = 0;
  const int result = SSL_do_handshake(ssl_);
  return result == 1 ? TlsStep::kDone : step_of(result);
}

TlsResult TlsStream::read(std::span<char> into) {
  ERR_clear_error();
  errno = 0;
  std::size_t bytes = 0;
  const int result = SSL_read_ex(ssl_, into.data(), into.size(), &bytes);
  return {result == 1 ? TlsStep::kDone : step_of(result), bytes};
}

TlsResult TlsStream::write(std::string_view bytes) {
  ERR_clear_error();
  errno = 0;
  std::size_t written = 0;
  const int result = SSL_write_ex(ssl_, bytes.data(), bytes.size(), &written);
  return {result == 1 ? TlsStep::kDone : step_of(result), written};
}

std::optional<Failure> TlsStream::verify_failure() const {
  if (verify_errors_.empty()) return std::nullopt;
  std::vector<std::string> texts;
  for (const int error : verify_errors_) texts.emplace_back(X509_verify_cert_error_string(error));
  return Failure{verify_reason(verify_errors_.front()), join(texts, "; ")};
}

TlsFacts TlsStream::facts() const {
  TlsFacts out;
  out.version = SSL_get_version(ssl_);
  if (const char* cipher = SSL_get_cipher_name(ssl_)) out.cipher = cipher;
  out.alpn = printable(alpn(), 40);
  const X509* leaf = SSL_get0_peer_certificate(ssl_);
  if (leaf == nullptr) return out;
  out.not_before = to_wall(X509_get0_notBefore(leaf));
  out.not_after = to_wall(X509_get0_notAfter(leaf));
  out.subject = name_text(X509_get_subject_name(leaf));
  out.issuer = name_text(X509_get_issuer_name(leaf));
  out.verified = verify_errors_.empty();
  return out;
}

}  // namespace tocsin::io
