// Addresses and blocks read back equal, and a block contains what a comparison bit by bit says it
// does. The input is a block, a blank, and an address; whatever is public is not loopback.

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/model/egress.h"

namespace {

bool bit(const tocsin::IpAddress& address, int n) {
  const auto byte = static_cast<std::uint8_t>(address.bytes()[static_cast<std::size_t>(n / 8)]);
  return (byte & (0x80 >> (n % 8))) != 0;
}

bool contains_slowly(const tocsin::IpBlock& block, const tocsin::IpAddress& address) {
  if (block.base.is_v4() != address.is_v4()) return false;
  for (int n = 0; n < block.prefix; ++n) {
    if (bit(block.base, n) != bit(address, n)) return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = tocsin::as_view({data, size});
  const std::size_t blank = std::min(input.find(' '), input.size());
  const auto block = tocsin::IpBlock::parse(input.substr(0, blank));
  const auto address = tocsin::IpAddress::parse(input.substr(std::min(blank + 1, input.size())));
  if (block) CHECK(tocsin::IpBlock::parse(block->str()) == block);
  if (!address) return 0;
  CHECK(tocsin::IpAddress::parse(address->str()) == address);
  if (block) CHECK(block->contains(*address) == contains_slowly(*block, *address));
  if (tocsin::EgressPolicy{}.allows(*address)) {
    const tocsin::IpAddress reached = address->unmapped();
    CHECK(reached.is_v4() ? reached.bytes()[0] != 127 : reached.str() != "::1");
  }
  return 0;
}
