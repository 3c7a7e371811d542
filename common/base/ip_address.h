#pragma once
// Question answered here: what is an IP address, a block of them, and how are both written?

#include "common/base/expected.h"

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace tocsin {

/// IPv4 or IPv6, without a port or zone. An IPv4-mapped IPv6 address stays IPv6: see `unmapped`.
class IpAddress {
 public:
  static IpAddress v4(std::array<std::uint8_t, 4> bytes);
  static IpAddress v6(std::array<std::uint8_t, 16> bytes);

  /// Four decimal numbers without leading zeros, or IPv6 as in RFC 4291 without brackets or zone.
  static Expected<IpAddress> parse(std::string_view text);

  bool is_v4() const { return v4_; }

  /// 4 or 16 bytes, network order; valid as long as the address.
  std::string_view bytes() const;

  /// The IPv4 address inside ::ffff:a.b.c.d; any other address is itself.
  IpAddress unmapped() const;

  /// RFC 5952; no brackets.
  std::string str() const;

  /// "192.0.2.1:80", "[2001:db8::1]:80".
  std::string with_port(std::uint16_t port) const;

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
  bool v4_ = true;
};

/// "10.0.0.0/8"; an address without a prefix length is a block of one. Bits after the prefix must
/// be zero.
struct IpBlock {
  IpAddress base = IpAddress::v4({});
  int prefix = 32;

  static Expected<IpBlock> parse(std::string_view text);

  /// Never across families.
  bool contains(const IpAddress& address) const;

  /// Exactly one address.
  bool is_single() const { return prefix == (base.is_v4() ? 32 : 128); }

  std::string str() const;

  friend bool operator==(const IpBlock&, const IpBlock&) = default;
};

}  // namespace tocsin
