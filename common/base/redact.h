#pragma once
// Question answered here: how does a text leave without the secrets that are in it?

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin {

/// `text` with "***" for each occurrence of a secret, cut at `bytes_max`; of two secrets that begin
/// at the same place the longer one counts. Empty secrets are none. A secret that the cut would
/// split is still seen whole, so no part of one is left.
std::string redacted(std::string_view text, const std::vector<std::string>& secrets,
                     std::size_t bytes_max);

}  // namespace tocsin
