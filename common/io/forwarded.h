#pragma once
// Question answered here: who asks, when a proxy brings the request?
//
// X-Forwarded-For is a list to which each proxy appends the address that it was asked by. Whatever
// stands left of the first address that is not one of our proxies may have been written by anybody.

#include "common/base/ip_address.h"
#include "common/codec/http_request.h"

#include <cstddef>
#include <vector>

namespace tocsin::io {

/// Addresses of one request that are looked at, from the right; what is left of them is nobody's.
inline constexpr std::size_t kForwardedHopsMax = 16;

bool is_trusted(const std::vector<IpBlock>& proxies, const IpAddress& address);

/// The client of a request that came from `peer`: `peer` itself unless it is one of `proxies`, else
/// the rightmost address of X-Forwarded-For that is not one of them. Something that is no address
/// ends the list: then it is the proxy that told it.
IpAddress client_of(const codec::HttpRequest& request, const IpAddress& peer,
                    const std::vector<IpBlock>& proxies);

}  // namespace tocsin::io
