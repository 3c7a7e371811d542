#include "common/io/certificate.h"

#include "common/base/check.h"
#include "common/base/defer.h"
#include "common/base/strings.h"
#include "common/io/openssl_error.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>
#include <memory>

namespace tocsin::io {

namespace {

constexpr std::size_t kTextMax = 250;  // printable() adds an ellipsis; the facts promise 256.
/// RFC 5280 section 4.1.2.2 allows 20 bytes; more is shown as far as this goes.
constexpr int kSerialBytesMax = 32;

std::string hex(const unsigned char* data, std::size_t size) {
  std::string out;
  for (std::size_t i = 0; i < size; ++i) out += fmt::format("{:02x}", data[i]);
  return out;
}

std::string serial_text(const ASN1_INTEGER* serial) {
  if (serial == nullptr || serial->length <= 0) return {};
  std::string out =
      hex(serial->data, static_cast<std::size_t>(std::min(serial->length, kSerialBytesMax)));
  out.erase(0, std::min(out.find_first_not_of('0'), out.size() - 1));
  if (serial->length > kSerialBytesMax) out += "…";
  return (serial->type & V_ASN1_NEG) != 0 ? "-" + out : out;
}

std::string key_text(const EVP_PKEY* key) {
  if (key == nullptr) return "unreadable";
  const int type = EVP_PKEY_get_base_id(key);
  if (type == EVP_PKEY_EC) {
    char group[64] = {};
    std::size_t size = 0;
    EVP_PKEY_get_group_name(key, group, sizeof group, &size);
    const char* curve = EC_curve_nid2nist(OBJ_txt2nid(group));
    return fmt::format("EC {}", curve != nullptr ? curve : printable({group, size}, 40));
  }
  if (type == EVP_PKEY_RSA || type == EVP_PKEY_RSA_PSS || type == EVP_PKEY_DSA) {
    return fmt::format("{} {}", type == EVP_PKEY_DSA ? "DSA" : "RSA", EVP_PKEY_get_bits(key));
  }
  const char* name = OBJ_nid2sn(type);
  return name == nullptr ? "unknown" : name;
}

std::string name_of(const GENERAL_NAME& name) {
  int type = 0;
  const auto* value = static_cast<const ASN1_STRING*>(GENERAL_NAME_get0_value(&name, &type));
  if (type != GEN_DNS && type != GEN_IPADD && type != GEN_EMAIL && type != GEN_URI) return {};
  const unsigned char* data = ASN1_STRING_get0_data(value);
  const auto size = static_cast<std::size_t>(std::max(ASN1_STRING_length(value), 0));
  if (type != GEN_IPADD) return printable({reinterpret_cast<const char*>(data), size}, kTextMax);
  if (size == 4) return fmt::format("{}.{}.{}.{}", data[0], data[1], data[2], data[3]);
  std::string out;
  for (std::size_t i = 0; i + 1 < std::min<std::size_t>(size, 16); i += 2) {
    out += fmt::format("{}{:x}", i == 0 ? "" : ":", data[i] << 8U | data[i + 1]);
  }
  return out;
}

void read_names(const X509* certificate, CertificateFacts& out) {
  auto* names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  if (names == nullptr) return;
  const Defer free_names{[&] { GENERAL_NAMES_free(names); }};
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    if (out.names.size() < CertificateFacts::kNamesMax) {
      std::string name = name_of(*sk_GENERAL_NAME_value(names, i));
      if (name.empty()) continue;
      out.names.push_back(std::move(name));
    }
    ++out.name_count;
  }
}

}  // namespace

std::string certificate_name(const x509_st* certificate, bool subject) {
  const X509_NAME* name =
      subject ? X509_get_subject_name(certificate) : X509_get_issuer_name(certificate);
  BIO* bio = BIO_new(BIO_s_mem());
  CHECK(bio != nullptr);
  X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string out = printable({data, size > 0 ? static_cast<std::size_t>(size) : 0U}, kTextMax);
  BIO_free(bio);
  return out;
}

WallTime asn1_time(const asn1_string_st* time) {
  std::tm tm{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &tm) != 1 || tm.tm_year < 1 - 1900) {
    return {};
  }
  const std::time_t seconds = timegm(&tm);
  return {static_cast<std::int64_t>(seconds) * 1'000'000};
}

WallTime certificate_not_before(const x509_st* certificate) {
  return asn1_time(X509_get0_notBefore(certificate));
}

WallTime certificate_not_after(const x509_st* certificate) {
  return asn1_time(X509_get0_notAfter(certificate));
}

CertificateFacts certificate_facts(const x509_st* certificate) {
  CertificateFacts out;
  out.subject = certificate_name(certificate, true);
  out.issuer = certificate_name(certificate, false);
  out.serial = serial_text(X509_get0_serialNumber(certificate));
  read_names(certificate, out);
  out.not_before = certificate_not_before(certificate);
  out.not_after = certificate_not_after(certificate);
  out.key = key_text(X509_get0_pubkey(certificate));
  if (const char* name = OBJ_nid2sn(X509_get_signature_nid(certificate))) out.signature = name;
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (X509_digest(certificate, EVP_sha256(), digest, &size) == 1) out.sha256 = hex(digest, size);
  ERR_clear_error();  // What could not be read is left out; nobody else shall find the complaint.
  return out;
}

Expected<CertificateFacts> read_certificate(ByteSpan der) {
  const unsigned char* at = der.data();
  const std::unique_ptr<X509, decltype(&X509_free)> certificate{
      d2i_X509(nullptr, &at, static_cast<long>(der.size())), X509_free};
  if (certificate == nullptr) {
    return fail(Errc::kInvalid, "expected a DER certificate: {}", take_openssl_error());
  }
  if (at != der.data() + der.size()) {
    return fail(Errc::kInvalid, "expected nothing after the certificate, got {} bytes",
                der.data() + der.size() - at);
  }
  return certificate_facts(certificate.get());
}

}  // namespace tocsin::io
