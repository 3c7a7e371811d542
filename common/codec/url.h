#pragma once
// Question answered here: what does this URL name, if it is one we are willing to request?
//
// Strict on purpose: one parser decides what is connected to, so nothing may be read two ways.
//
// Specification
//  - absolute http or https, at most 2048 bytes; RFC 3986 with the limits below
//  - no userinfo, no backslash, no blank, no control or non-ASCII byte anywhere; a percent sign is
//    followed by two hexadecimal digits
//  - host: a name of letter-digit-hyphen labels (underscores are let through, a trailing dot is
//    dropped), four decimal numbers 0..255 without leading zeros, or IPv6 in brackets without zone.
//    A name whose last label is numeric ("1.2.3", "0x7f.1", "2130706433") is refused: resolvers
//    read those as addresses
//  - port 1..65535; the fragment is dropped; an empty path is "/"; dot segments are removed

#include "common/base/expected.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace tocsin {

struct Url {
  static constexpr std::size_t kSizeMax = 2048;

  bool https = false;
  std::string host;  ///< Lower case; IPv6 without brackets, in RFC 5952 form.
  bool host_is_address = false;
  std::uint16_t port = 80;
  std::string path;  ///< Path and query as sent: starts with '/'.

  friend bool operator==(const Url&, const Url&) = default;

  /// The Host header and the authority part: no port when it is the scheme's own.
  std::string authority() const;

  /// Always with the port, IPv6 in brackets.
  std::string host_and_port() const;

  std::string str() const;

  /// Scheme, host and port are the same.
  bool same_origin(const Url& other) const;
};

Expected<Url> parse_url(std::string_view text);

/// The target of a Location header seen at `base` (RFC 3986 section 5.2), under the same rules.
Expected<Url> resolve_url(const Url& base, std::string_view reference);

/// A host name or literal address by the rules above, for monitors that are not URLs: lower case,
/// IPv6 with or without brackets.
Expected<std::string> parse_host(std::string_view text);

}  // namespace tocsin
