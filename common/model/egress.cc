#include "common/model/egress.h"

#include "common/base/check.h"
#include "common/base/strings.h"

#include <algorithm>

namespace tocsin {

namespace {

struct Special {
  std::string_view block;
  std::string_view what;
};

/// Refused by class public: the IANA special-purpose registries (RFC 6890 and what was added
/// since), multicast, and the one address by which Azure's machines reach their host.
constexpr Special kSpecial[] = {
    {"0.0.0.0/8", "this network"},
    {"10.0.0.0/8", "private use"},
    {"100.64.0.0/10", "shared by a carrier"},
    {"127.0.0.0/8", "loopback"},
    {"169.254.0.0/16", "link-local"},
    {"172.16.0.0/12", "private use"},
    {"192.0.0.0/24", "protocol assignments"},
    {"192.0.2.0/24", "documentation"},
    {"192.31.196.0/24", "AS112"},
    {"192.52.193.0/24", "AMT"},
    {"192.88.99.0/24", "6to4 relay"},
    {"192.168.0.0/16", "private use"},
    {"192.175.48.0/24", "AS112"},
    {"198.18.0.0/15", "benchmarking"},
    {"198.51.100.0/24", "documentation"},
    {"203.0.113.0/24", "documentation"},
    {"224.0.0.0/4", "multicast"},
    {"240.0.0.0/4", "reserved"},
    {"168.63.129.16/32", "a cloud's host"},
    {"::/96", "unspecified, loopback or IPv4-compatible"},
    {"::ffff:0:0/96", "IPv4-mapped"},
    {"64:ff9b::/96", "NAT64"},
    {"64:ff9b:1::/48", "local NAT64"},
    {"100::/64", "discard only"},
    {"2001::/23", "protocol assignments"},
    {"2001:db8::/32", "documentation"},
    {"2002::/16", "6to4"},
    {"3fff::/20", "documentation"},
    {"5f00::/16", "segment routing"},
    {"fc00::/7", "unique local"},
    {"fe80::/10", "link-local"},
    {"fec0::/10", "site-local"},
    {"ff00::/8", "multicast"},
};

/// Where clouds tell a machine its credentials. A wider block in `allow` must not open them by
/// accident.
constexpr std::string_view kMetadata[] = {
    "169.254.169.254",  // AWS, Azure, Google, OpenStack, DigitalOcean
    "169.254.170.2",    // AWS ECS task credentials
    "169.254.170.23",   // AWS EKS pod identity
    "169.254.169.123",  // AWS time, same family of link-local services
    "168.63.129.16",    // Azure wire server
    "100.100.100.200",  // Alibaba
    "192.0.0.192",      // Oracle, older address
    "fd00:ec2::254",    // AWS over IPv6
    "fd00:ec2::23",     // AWS EKS over IPv6
    "fd20:ce::254",     // Google over IPv6
    "fe80::a9fe:a9fe",  // OpenStack over IPv6
};

struct SpecialBlock {
  IpBlock block;
  std::string_view what;
};

const std::vector<SpecialBlock>& special_blocks() {
  static const std::vector<SpecialBlock> blocks = [] {
    std::vector<SpecialBlock> out;
    for (const Special& row : kSpecial) {
      const auto block = IpBlock::parse(row.block);
      CHECK(block.has_value());
      out.push_back({*block, row.what});
    }
    return out;
  }();
  return blocks;
}

bool is_metadata(const IpAddress& address) {
  static const std::vector<IpAddress> addresses = [] {
    std::vector<IpAddress> out;
    for (const std::string_view text : kMetadata) {
      const auto parsed = IpAddress::parse(text);
      CHECK(parsed.has_value());
      out.push_back(*parsed);
    }
    return out;
  }();
  return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
}

Expected<std::vector<IpBlock>> parse_blocks(std::string_view what,
                                            const std::vector<std::string>& texts) {
  if (texts.size() > EgressPolicy::kBlocksMax) {
    return fail(Errc::kLimit, "{}: expected at most {} blocks, not {}", what,
                EgressPolicy::kBlocksMax, texts.size());
  }
  std::vector<IpBlock> out;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    auto block = IpBlock::parse(texts[i]);
    if (!block) return fail(Errc::kInvalid, "{}[{}]: {}", what, i, block.error().text);
    out.push_back(*block);
  }
  return out;
}

bool any_contains(const std::vector<IpBlock>& blocks, const IpAddress& address) {
  return std::any_of(blocks.begin(), blocks.end(),
                     [&](const IpBlock& block) { return block.contains(address); });
}

}  // namespace

const char* to_string(EgressClass cls) {
  switch (cls) {
    case EgressClass::kPublic:
      return "public";
    case EgressClass::kPrivate:
      return "private";
  }
  return "?";
}

Expected<EgressPolicy> EgressPolicy::parse(std::string_view cls,
                                           const std::vector<std::string>& allow,
                                           const std::vector<std::string>& deny) {
  EgressPolicy out;
  if (cls == "private") {
    out.class_ = EgressClass::kPrivate;
  } else if (cls != "public") {
    return fail(Errc::kInvalid, "class: expected public or private, not '{}'", printable(cls, 40));
  }
  TRY_ASSIGN(out.allow_, parse_blocks("allow", allow));
  TRY_ASSIGN(out.deny_, parse_blocks("deny", deny));
  return out;
}

Expected<void> EgressPolicy::allows(const IpAddress& raw) const {
  const IpAddress address = raw.unmapped();
  if (any_contains(deny_, address)) {
    return fail(Errc::kDenied, "{} is in the deny list of this agent", address.str());
  }
  if (is_metadata(address)) {
    const bool named = std::any_of(allow_.begin(), allow_.end(), [&](const IpBlock& block) {
      return block.is_single() && block.base == address;
    });
    if (named) return {};
    return fail(Errc::kDenied, "{} is a cloud's metadata address: it must be allowed by itself",
                address.str());
  }
  if (any_contains(allow_, address)) return {};
  if (class_ == EgressClass::kPrivate) {
    return fail(Errc::kDenied, "{} is not in the allow list of this private agent", address.str());
  }
  for (const SpecialBlock& special : special_blocks()) {
    if (special.block.contains(address)) {
      return fail(Errc::kDenied, "{} is not public: {} ({})", address.str(), special.block.str(),
                  special.what);
    }
  }
  return {};
}

}  // namespace tocsin
