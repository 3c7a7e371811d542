#include "collector/status/public_id.h"

#include "common/base/digest.h"

#include <algorithm>

namespace tocsin::collector::status {

namespace {

Sha256 digest_of(const StatusPageId& page, std::string_view kind, std::string_view what) {
  std::string bytes{page.str()};
  bytes.append(1, '\0').append(kind).append(1, '\0').append(what);
  return sha256(as_bytes(bytes));
}

}  // namespace

std::string public_id(const StatusPageId& page, std::string_view kind, std::string_view what) {
  constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuvwxyz";
  const Sha256 digest = digest_of(page, kind, what);
  std::uint64_t n = 0;  // 36^12 fits into 63 bits.
  for (std::size_t i = 0; i < 8; ++i) n = n << 8 | digest.at(i);
  std::string out(12, '0');
  for (char& c : out) {
    c = kDigits[n % 36];
    n /= 36;
  }
  return out;
}

std::string public_urn(const StatusPageId& page, std::string_view kind, std::string_view what) {
  const Sha256 digest = digest_of(page, kind, what);
  Uuid uuid{};
  std::copy_n(digest.begin(), uuid.size(), uuid.begin());
  // RFC 9562 5.8: version 8, made by a rule of our own.
  uuid[6] = static_cast<std::uint8_t>((uuid[6] & 0x0fU) | 0x80U);
  uuid[8] = static_cast<std::uint8_t>((uuid[8] & 0x3fU) | 0x80U);
  return "urn:uuid:" + format_uuid(uuid);
}

}  // namespace tocsin::collector::status
