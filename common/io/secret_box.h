#pragma once
// Question answered here: how does a secret lie on disk without being readable there?
//
// AES-256-GCM (NIST SP 800-38D) with a fresh random nonce of 96 bits for each seal, far below the
// 2^32 seals of one key that it allows. What a secret is for, its name, is sealed with it: a box
// opens under no other name. A box is one line of text, "v1." and the base64 of nonce, ciphertext
// and tag.

#include "common/base/expected.h"
#include "common/io/secret.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace tocsin::io {

/// Any thread; a value.
class SecretBox {
 public:
  static constexpr std::size_t kKeyBytes = 32;

  /// `key` has kKeyBytes.
  explicit SecretBox(Secret key);

  /// One whose key follows from a longer-lived secret; another `purpose` gives another key
  /// (HMAC-SHA-256 as in RFC 5869 section 2.3, one block).
  static SecretBox derived(const Secret& from, std::string_view purpose);

  std::string seal(std::string_view name, const Secret& secret) const;

  /// kCorrupt: no box of this key and name, or damaged. The error never quotes the box.
  Expected<Secret> open(std::string_view name, std::string_view box) const;

 private:
  Secret key_;
};

}  // namespace tocsin::io
