#include "common/io/secret_box.h"

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/base/digest.h"
#include "common/base/strings.h"
#include "common/io/openssl_error.h"
#include "common/io/random.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <utility>

namespace tocsin::io {

namespace {

constexpr std::string_view kVersion = "v1.";
constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kTagBytes = 16;

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};

using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

const unsigned char* raw(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

unsigned char* raw(std::string& bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

}  // namespace

SecretBox::SecretBox(Secret key)
    : key_(std::move(key)) {
  CHECK(key_.reveal().size() == kKeyBytes);
}

SecretBox SecretBox::derived(const Secret& from, std::string_view purpose) {
  const Sha256 key = hmac_sha256(as_bytes(from.reveal()), as_bytes(purpose));
  return SecretBox{Secret{std::string{as_view(key)}}};
}

std::string SecretBox::seal(std::string_view name, const Secret& secret) const {
  const std::string& clear = secret.reveal();
  std::array<std::uint8_t, kNonceBytes> nonce{};
  fill_random(nonce);
  std::string out(kNonceBytes + clear.size() + kTagBytes, '\0');
  std::copy(nonce.begin(), nonce.end(), out.begin());
  const Context context{EVP_CIPHER_CTX_new()};
  int length = 0;
  unsigned char* at = raw(out) + kNonceBytes;
  const bool done =
      context != nullptr &&
      EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, raw(key_.reveal()),
                         nonce.data()) == 1 &&
      EVP_EncryptUpdate(context.get(), nullptr, &length, raw(name),
                        static_cast<int>(name.size())) == 1 &&
      EVP_EncryptUpdate(context.get(), at, &length, raw(clear), static_cast<int>(clear.size())) ==
          1 &&
      EVP_EncryptFinal_ex(context.get(), at + length, &length) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, at + clear.size()) == 1;
  CHECK(done);  // Nothing of it depends on what is sealed.
  return std::string{kVersion} + to_base64(as_bytes(out));
}

Expected<Secret> SecretBox::open(std::string_view name, std::string_view box) const {
  const auto unusable = [&] {
    (void)take_openssl_error();
    return fail(Errc::kCorrupt, "secret {}: it was sealed with another key, or is damaged",
                printable(name, 100));
  };
  Bytes sealed;
  if (!box.starts_with(kVersion) || !from_base64(box.substr(kVersion.size()), sealed) ||
      sealed.size() < kNonceBytes + kTagBytes) {
    return unusable();
  }
  const std::size_t size = sealed.size() - kNonceBytes - kTagBytes;
  std::string clear(size, '\0');
  const Context context{EVP_CIPHER_CTX_new()};
  int length = 0;
  const bool opened = context != nullptr &&
                      EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr,
                                         raw(key_.reveal()), raw(sealed)) == 1 &&
                      EVP_DecryptUpdate(context.get(), nullptr, &length, raw(name),
                                        static_cast<int>(name.size())) == 1 &&
                      EVP_DecryptUpdate(context.get(), raw(clear), &length,
                                        raw(sealed) + kNonceBytes, static_cast<int>(size)) == 1 &&
                      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes,
                                          raw(sealed) + kNonceBytes + size) == 1 &&
                      EVP_DecryptFinal_ex(context.get(), raw(clear) + length, &length) == 1;
  Secret secret{std::move(clear)};
  if (!opened) return unusable();
  return secret;
}

}  // namespace tocsin::io
