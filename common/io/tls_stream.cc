#include "common/io/tls_stream.h"

#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/base/time.h"
#include "common/io/certificate.h"
#include "common/io/openssl_error.h"
#include "common/io/staple.h"
#include "common/io/tls_alert.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace tocsin::io {

namespace {

constexpr std::size_t kProblemTextMax = 250;  // printable() adds an ellipsis; 256 are promised.

Reason verify_reason(int error, int depth) {
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return depth == 0 ? Reason::kTlsVerifyExpired : Reason::kTlsVerifyIssuerExpired;
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
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
    case X509_V_ERR_CA_MD_TOO_WEAK:
      return Reason::kTlsVerifyWeak;
    case X509_V_ERR_INVALID_PURPOSE:
    case X509_V_ERR_INVALID_CA:
    case X509_V_ERR_INVALID_NON_CA:
    case X509_V_ERR_CERT_REJECTED:
    case X509_V_ERR_KEYUSAGE_NO_CERTSIGN:
    case X509_V_ERR_KEYUSAGE_NO_DIGITAL_SIGNATURE:
      return Reason::kTlsVerifyPurpose;
    case X509_V_ERR_PATH_LENGTH_EXCEEDED:
    case X509_V_ERR_CERT_CHAIN_TOO_LONG:
      return Reason::kTlsVerifyPathLength;
    case X509_V_ERR_PERMITTED_VIOLATION:
    case X509_V_ERR_EXCLUDED_VIOLATION:
    case X509_V_ERR_SUBTREE_MINMAX:
    case X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE:
    case X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX:
    case X509_V_ERR_UNSUPPORTED_NAME_SYNTAX:
      return Reason::kTlsVerifyNameConstraints;
    case X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION:
      return Reason::kTlsVerifyCriticalExtension;
    case X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD:
    case X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD:
    case X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE:
    case X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY:
    case X509_V_ERR_INVALID_EXTENSION:
    case X509_V_ERR_EC_KEY_EXPLICIT_PARAMS:
    case X509_V_ERR_SIGNATURE_ALGORITHM_MISMATCH:
    case X509_V_ERR_SIGNATURE_ALGORITHM_INCONSISTENCY:
      return Reason::kTlsVerifyMalformed;
    default:
      return Reason::kTlsVerifyOther;
  }
}

/// What happened before the peer was understood to speak TLS at all.
bool means_not_tls(int reason) {
  return reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
         reason == SSL_R_HTTPS_PROXY_REQUEST || reason == SSL_R_PACKET_LENGTH_TOO_LONG ||
         reason == SSL_R_UNKNOWN_PROTOCOL || reason == SSL_R_BAD_PACKET_LENGTH ||
         reason == SSL_R_RECORD_LENGTH_MISMATCH;
}

/// Of an error that OpenSSL found on our side of the handshake.
Reason local_reason(int reason) {
  if (means_not_tls(reason)) return Reason::kTlsNotTls;
  switch (reason) {
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_WRONG_SSL_VERSION:
    case SSL_R_NO_PROTOCOLS_AVAILABLE:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_VERSION_TOO_HIGH:
    case SSL_R_INAPPROPRIATE_FALLBACK:
      return Reason::kTlsVersion;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_CIPHERS_AVAILABLE:
    case SSL_R_WRONG_CIPHER_RETURNED:
    case SSL_R_UNKNOWN_CIPHER_RETURNED:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SUITABLE_GROUPS:
    case SSL_R_WRONG_CURVE:
    case SSL_R_WRONG_SIGNATURE_TYPE:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_DH_KEY_TOO_SMALL:
    case SSL_R_UNSAFE_LEGACY_RENEGOTIATION_DISABLED:
      return Reason::kTlsHandshake;
    case SSL_R_EE_KEY_TOO_SMALL:
    case SSL_R_CA_KEY_TOO_SMALL:
    case SSL_R_CA_MD_TOO_WEAK:
      return Reason::kTlsVerifyWeak;
    default:
      return Reason::kTlsProtocol;
  }
}

std::string day(WallTime t) { return format_rfc3339(t).substr(0, 10); }

/// What is wrong, in words that name the certificate.
std::string problem_text(Reason reason, int error, const X509* certificate,
                         const std::string& wanted) {
  const char* plain = X509_verify_cert_error_string(error);
  if (certificate == nullptr) return plain;
  const std::string subject = certificate_name(certificate, true);
  if (error == X509_V_ERR_CERT_HAS_EXPIRED) {
    return fmt::format("{} ended on {}", subject, day(certificate_not_after(certificate)));
  }
  if (error == X509_V_ERR_CERT_NOT_YET_VALID) {
    return fmt::format("{} begins on {}", subject, day(certificate_not_before(certificate)));
  }
  if (reason == Reason::kTlsVerifyHostname) {
    const std::vector<std::string> names = certificate_facts(certificate).names;
    return fmt::format("it is for {}, not for {}", names.empty() ? subject : join(names, ", "),
                       wanted);
  }
  if (reason == Reason::kTlsVerifyUnknownIssuer) {
    return fmt::format("{} is issued by {}, which is not among the roots", subject,
                       certificate_name(certificate, false));
  }
  if (reason == Reason::kTlsVerifySelfSigned) {
    return fmt::format("{} is signed by itself and not among the roots", subject);
  }
  return fmt::format("{}: {}", subject, plain);
}

}  // namespace

TlsStream::TlsStream(std::shared_ptr<const TlsContext> context, ssl_st* ssl)
    : context_(std::move(context)),
      ssl_(ssl) {
  SSL_set_app_data(ssl_, this);
  SSL_set_info_callback(ssl_, &TlsStream::on_info);
}

TlsStream::~TlsStream() { SSL_free(ssl_); }

namespace {

/// RFC 7301 section 3.1: each name behind its length. Nothing when one does not fit.
std::string encode_alpn(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) {
    if (name.empty() || name.size() > 255) return {};
    out += static_cast<char>(name.size());
    out += name;
  }
  return out;
}

bool apply_wishes(SSL* ssl, const TlsWishes& wishes) {
  if (wishes.tls13_only && SSL_set_min_proto_version(ssl, TLS1_3_VERSION) != 1) return false;
  if (wishes.ocsp != OcspMode::kOff &&
      SSL_set_tlsext_status_type(ssl, TLSEXT_STATUSTYPE_ocsp) != 1) {
    return false;
  }
  if (wishes.no_alpn) return SSL_set_alpn_protos(ssl, nullptr, 0) == 0;
  if (wishes.alpn.empty()) return true;
  const std::string alpn = encode_alpn(wishes.alpn);
  return !alpn.empty() &&
         SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(alpn.data()),
                             static_cast<unsigned>(alpn.size())) == 0;
}

}  // namespace

Expected<std::unique_ptr<TlsStream>> TlsStream::open(std::shared_ptr<const TlsContext> context,
                                                     int fd, const std::string& host,
                                                     bool host_is_address, TlsWishes wishes) {
  SSL* ssl = SSL_new(context->native());
  if (ssl == nullptr) return fail(Errc::kUnavailable, "OpenSSL: {}", take_openssl_error());
  std::unique_ptr<TlsStream> out{new TlsStream{std::move(context), ssl}};
  out->name_ = host;
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const bool named = host_is_address
                         ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1
                         : SSL_set1_host(ssl, host.c_str()) == 1 &&
                               SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
  if (!named || !apply_wishes(ssl, wishes) || SSL_set_fd(ssl, fd) != 1) {
    return fail(Errc::kInvalid, "TLS to {}: {}", printable(host, 100), take_openssl_error());
  }
  SSL_set_cert_cb(ssl, &TlsStream::on_certificate_wanted, out.get());
  out->wishes_ = std::move(wishes);
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
  if (!problems_.empty()) return nullptr;
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
  if (ok != 1 && error != X509_V_OK) self->add_problem(error, store);
  return 1;
}

void TlsStream::add_problem(int error, x509_store_ctx_st* store) {
  const int depth = std::max(X509_STORE_CTX_get_error_depth(store), 0);
  const Reason reason = verify_reason(error, depth);
  const auto same = [&](const TlsProblem& p) {
    return p.reason == reason && p.depth == static_cast<std::uint32_t>(depth);
  };
  if (problems_.size() == TlsFacts::kProblemsMax ||
      std::any_of(problems_.begin(), problems_.end(), same)) {
    return;
  }
  const std::string text =
      problem_text(reason, error, X509_STORE_CTX_get_current_cert(store), name_);
  problems_.push_back(
      {reason, static_cast<std::uint32_t>(depth), printable(text, kProblemTextMax)});
}

void TlsStream::on_info(const ssl_st* ssl, int where, int value) {
  if ((where & SSL_CB_ALERT) == 0) return;
  auto* self = static_cast<TlsStream*>(SSL_get_app_data(ssl));
  const int description = value & 0xff;
  if (description == SSL3_AD_CLOSE_NOTIFY) return;
  ((where & SSL_CB_READ) != 0 ? self->alert_received_ : self->alert_sent_) = description;
}

int TlsStream::on_certificate_wanted(ssl_st* /*ssl*/, void* self) {
  static_cast<TlsStream*>(self)->certificate_wanted_ = true;
  return 1;
}

Reason TlsStream::alert_reason() const {
  switch (alert_received_) {
    case SSL3_AD_HANDSHAKE_FAILURE:
      // TLS 1.2 has no alert of its own for a certificate that was wanted and not given.
      return certificate_wanted_ && SSL_get_certificate(ssl_) == nullptr
                 ? Reason::kTlsClientCertificate
                 : Reason::kTlsHandshake;
    case TLS1_AD_INSUFFICIENT_SECURITY:
      return Reason::kTlsHandshake;
    case TLS1_AD_PROTOCOL_VERSION:
    case TLS1_AD_INAPPROPRIATE_FALLBACK:
      return Reason::kTlsVersion;
    case TLS1_AD_UNRECOGNIZED_NAME:
      return Reason::kTlsUnrecognizedName;
    case TLS1_AD_NO_APPLICATION_PROTOCOL:
      return Reason::kTlsAlpn;
    case TLS13_AD_CERTIFICATE_REQUIRED:
    case SSL3_AD_NO_CERTIFICATE:
    case SSL3_AD_BAD_CERTIFICATE:
    case SSL3_AD_UNSUPPORTED_CERTIFICATE:
    case SSL3_AD_CERTIFICATE_REVOKED:
    case SSL3_AD_CERTIFICATE_EXPIRED:
    case SSL3_AD_CERTIFICATE_UNKNOWN:
    case TLS1_AD_UNKNOWN_CA:
    case TLS1_AD_ACCESS_DENIED:
      return Reason::kTlsClientCertificate;
    default:
      return Reason::kTlsAlert;
  }
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
  if (reason >= SSL_AD_REASON_OFFSET && alert_received_ >= 0) {
    failure_ = {alert_reason(),
                fmt::format("the server sent the alert {}",
                            tls_alert_text(static_cast<std::uint8_t>(alert_received_)))};
  } else {
    failure_ = {local_reason(reason), text};
  }
  return TlsStep::kFailed;
}

TlsStep TlsStream::handshake() {
  ERR_clear_error();  // Old errors of this thread would be taken for new ones.
  errno = 0;
  const int result = SSL_do_handshake(ssl_);
  if (result != 1) return step_of(result);
  if (wishes_.alpn_required && !wishes_.alpn.empty()) {
    const unsigned char* alpn = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_, &alpn, &size);
    if (size == 0) {  // A server without ALPN goes on as if nothing had been asked.
      failure_ = {Reason::kTlsAlpn,
                  fmt::format("the server chose none of {}", join(wishes_.alpn, ", "))};
      return TlsStep::kFailed;
    }
  }
  if (wishes_.ocsp != OcspMode::kOff) judge_ocsp();
  return TlsStep::kDone;
}

void TlsStream::judge_ocsp() {
  // Whoever resumes shows no certificate: it was judged when the session was made.
  X509* certificate = SSL_get0_peer_certificate(ssl_);
  if (resumed() || certificate == nullptr || ocsp_.status != OcspStatus::kNotAsked) return;
  StapleVerdict verdict;
  const unsigned char* staple = nullptr;
  if (const long size = SSL_get_tlsext_status_ocsp_resp(ssl_, &staple);
      staple != nullptr && size > 0) {
    const STACK_OF(X509)* chain = SSL_get0_verified_chain(ssl_);
    X509* issuer = sk_X509_num(chain) > 1 ? sk_X509_value(chain, 1) : nullptr;
    if (issuer == nullptr && X509_self_signed(certificate, 0) == 1) issuer = certificate;
    verdict = judge_staple({staple, static_cast<std::size_t>(size)}, certificate, issuer);
  } else {
    verdict.facts.status = OcspStatus::kNone;
    if (wishes_.ocsp == OcspMode::kRequire) {
      verdict.failure =
          Failure{Reason::kTlsVerifyStaple, fmt::format("the server stapled no OCSP answer for {}",
                                                        certificate_name(certificate, true))};
    }
  }
  ocsp_ = verdict.facts;
  // A chain that is bad for another reason has its reason; who issued it may not be known then.
  if (!verdict.failure || (!problems_.empty() && ocsp_.status != OcspStatus::kRevoked) ||
      problems_.size() == TlsFacts::kProblemsMax) {
    return;
  }
  problems_.push_back(
      {verdict.failure->reason, 0, printable(verdict.failure->detail, kProblemTextMax)});
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
  if (problems_.empty()) return std::nullopt;
  std::vector<std::string> texts;
  for (const TlsProblem& problem : problems_) texts.push_back(problem.text);
  return Failure{problems_.front().reason, join(texts, "; ")};
}

TlsFacts TlsStream::facts(TlsDetail detail) const {
  TlsFacts out;
  out.version = SSL_get_version(ssl_);
  if (SSL_get_current_cipher(ssl_) != nullptr) out.cipher = SSL_get_cipher_name(ssl_);
  out.alpn = printable(alpn(), 40);
  if (const char* name = SSL_get_servername(ssl_, TLSEXT_NAMETYPE_host_name)) {
    out.server_name = printable(name, 250);
  }
  if (const int group = static_cast<int>(SSL_get_negotiated_group(ssl_)); group != 0) {
    if (const char* name = SSL_group_to_name(ssl_, group)) out.group = name;
  }
  const auto alert = [](int description) {
    return description < 0 ? std::string{} : tls_alert_text(static_cast<std::uint8_t>(description));
  };
  out.alert_received = alert(alert_received_);
  out.alert_sent = alert(alert_sent_);
  out.problems = problems_;
  out.ocsp = ocsp_;
  const X509* leaf = SSL_get0_peer_certificate(ssl_);
  if (leaf == nullptr) return out;
  out.not_before = certificate_not_before(leaf);
  out.not_after = certificate_not_after(leaf);
  out.subject = certificate_name(leaf, true);
  out.issuer = certificate_name(leaf, false);
  out.verified = problems_.empty();
  const STACK_OF(X509)* sent = SSL_get_peer_cert_chain(ssl_);
  const STACK_OF(X509)* verified = SSL_get0_verified_chain(ssl_);
  out.chain_not_after = out.not_after;
  const STACK_OF(X509)* relevant = out.verified && verified != nullptr ? verified : sent;
  for (int i = 0; i < sk_X509_num(relevant); ++i) {
    const WallTime end = certificate_not_after(sk_X509_value(relevant, i));
    out.chain_not_after = std::min(out.chain_not_after, end);
  }
  out.chain_size = static_cast<std::uint32_t>(std::max(sk_X509_num(sent), 0));
  if (detail == TlsDetail::kLeaf && out.verified) return out;
  for (int i = 0; i < sk_X509_num(sent) && out.chain.size() < TlsFacts::kChainMax; ++i) {
    out.chain.push_back(certificate_facts(sk_X509_value(sent, i)));
  }
  return out;
}

}  // namespace tocsin::io
