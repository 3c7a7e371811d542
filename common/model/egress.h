#pragma once
// Question answered here: may this agent talk to that address?
//
// The agent's own file decides; the collector cannot widen it (DEC-12). Asked with the resolved
// address that will be connected to: of targets, resolvers and every redirect.
//
// Specification, in order:
//  1. An IPv4-mapped address is judged as its IPv4 address.
//  2. `deny` wins over everything.
//  3. Cloud metadata addresses need an `allow` of exactly that address (/32 or /128).
//  4. `allow` admits, in either class.
//  5. Class public admits what is globally routable unicast; the blocks it refuses are in egress.cc
//     with where each comes from.
//  6. Class private admits nothing but `allow`.
// Rationale: a private agent stands inside somebody's network. A seized collector must not turn it
// into a scanner, so its owner lists what it is for.

#include "common/base/expected.h"
#include "common/base/ip_address.h"

#include <string>
#include <string_view>
#include <vector>

namespace tocsin {

enum class EgressClass : std::uint8_t { kPublic, kPrivate };

const char* to_string(EgressClass cls);

class EgressPolicy {
 public:
  static constexpr std::size_t kBlocksMax = 256;

  /// Class public, nothing allowed or denied beyond it.
  EgressPolicy() = default;

  /// From the agent's file: "public" or "private", and lists of CIDR blocks, at most kBlocksMax
  /// each.
  static Expected<EgressPolicy> parse(std::string_view cls, const std::vector<std::string>& allow,
                                      const std::vector<std::string>& deny);

  /// kDenied with the address and why in the text.
  Expected<void> allows(const IpAddress& address) const;

  friend bool operator==(const EgressPolicy&, const EgressPolicy&) = default;

 private:
  EgressClass class_ = EgressClass::kPublic;
  std::vector<IpBlock> allow_;
  std::vector<IpBlock> deny_;
};

}  // namespace tocsin
