#include "common/base/ip_address.h"

#include "common/base/check.h"
#include "common/base/strings.h"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>

namespace tocsin {

namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

}  // namespace

IpAddress IpAddress::v4(std::array<std::uint8_t, 4> bytes) {
  IpAddress out;
  std::copy(bytes.begin(), bytes.end(), out.bytes_.begin());
  return out;
}

IpAddress IpAddress::v6(std::array<std::uint8_t, 16> bytes) {
  IpAddress out;
  out.bytes_ = bytes;
  out.v4_ = false;
  return out;
}

Expected<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string copy{text};
  // inet_pton stops at a NUL, so one inside the text must not get that far.
  if (copy.size() < INET6_ADDRSTRLEN && copy.find('\0') == std::string::npos) {
    std::array<std::uint8_t, 4> four{};
    if (inet_pton(AF_INET, copy.c_str(), four.data()) == 1) return v4(four);
    std::array<std::uint8_t, 16> sixteen{};
    if (inet_pton(AF_INET6, copy.c_str(), sixteen.data()) == 1) return v6(sixteen);
  }
  return fail(Errc::kInvalid, "'{}' is not an IP address", printable(text, 60));
}

std::string_view IpAddress::bytes() const {
  return {reinterpret_cast<const char*>(bytes_.data()), v4_ ? std::size_t{4} : std::size_t{16}};
}

IpAddress IpAddress::unmapped() const {
  if (v4_ || !std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), bytes_.begin())) return *this;
  return v4({bytes_[12], bytes_[13], bytes_[14], bytes_[15]});
}

std::string IpAddress::str() const {
  char text[INET6_ADDRSTRLEN];
  const char* ok = inet_ntop(v4_ ? AF_INET : AF_INET6, bytes_.data(), text, sizeof text);
  CHECK(ok != nullptr);
  return text;
}

std::string IpAddress::with_port(std::uint16_t port) const {
  return v4_ ? fmt::format("{}:{}", str(), port) : fmt::format("[{}]:{}", str(), port);
}

Expected<IpBlock> IpBlock::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  TRY_ASSIGN(const IpAddress base, IpAddress::parse(text.substr(0, slash)));
  const int bits = base.is_v4() ? 32 : 128;
  IpBlock out{base, bits};
  if (slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), out.prefix);
    const bool canonical = !digits.empty() && digits.size() <= 3 &&
                           (digits.size() == 1 || digits.front() != '0') && digits.front() != '-';
    if (!canonical || error != std::errc{} || end != digits.data() + digits.size() ||
        out.prefix > bits) {
      return fail(Errc::kInvalid, "'{}': expected a prefix length of 0 to {} after the slash",
                  printable(text, 60), bits);
    }
  }
  const std::string_view bytes = out.base.bytes();
  for (int bit = out.prefix; bit < bits; ++bit) {
    const auto byte = static_cast<std::uint8_t>(bytes[static_cast<std::size_t>(bit / 8)]);
    if ((byte & (0x80U >> (bit % 8))) != 0) {
      return fail(Errc::kInvalid,
                  "'{}' has bits set after its prefix: write the block's first "
                  "address or /{}",
                  printable(text, 60), bits);
    }
  }
  return out;
}

bool IpBlock::contains(const IpAddress& address) const {
  if (address.is_v4() != base.is_v4()) return false;
  const std::string_view a = address.bytes();
  const std::string_view b = base.bytes();
  const auto whole = static_cast<std::size_t>(prefix / 8);
  if (a.substr(0, whole) != b.substr(0, whole)) return false;
  const int rest = prefix % 8;
  if (rest == 0) return true;
  const unsigned mask = 0xff00U >> rest;
  return ((static_cast<unsigned>(a[whole]) ^ static_cast<unsigned>(b[whole])) & mask & 0xffU) == 0;
}

std::string IpBlock::str() const { return fmt::format("{}/{}", base.str(), prefix); }

}  // namespace tocsin
