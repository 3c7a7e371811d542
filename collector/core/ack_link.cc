#include "collector/core/ack_link.h"

#include <algorithm>

namespace tocsin::collector {

namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kBodyBytes = 1 + 16 + 16 + 4;

}  // namespace

AckLink ack_link_of(const OutboxRow& row) {
  const WallTime until = std::max(row.created, row.due) + kAckLinkValid;
  return {row.incident, row.id, WallTime{until.us - until.us % 1'000'000}};
}

std::string ack_token(const AckLink& link, ByteSpan key) {
  Bytes out;
  ByteWriter writer(out);
  writer.u8(kVersion);
  writer.bytes(link.incident.bytes);
  writer.bytes(link.notification.bytes);
  writer.u32(static_cast<std::uint32_t>(link.expires.us / 1'000'000));
  writer.bytes(hmac_sha256(key, as_bytes(out)));
  return to_base64url(as_bytes(out));
}

std::optional<AckLink> read_ack_token(std::string_view token, ByteSpan key) {
  Bytes bytes;
  if (!from_base64url(token, bytes) || bytes.size() != kBodyBytes + std::tuple_size_v<Sha256>) {
    return std::nullopt;
  }
  const ByteSpan all = as_bytes(bytes);
  if (!equal_constant_time(hmac_sha256(key, all.first(kBodyBytes)), all.subspan(kBodyBytes))) {
    return std::nullopt;
  }
  ByteReader reader(all);
  if (reader.u8() != kVersion) return std::nullopt;
  AckLink out;
  out.incident.bytes = reader.array<16>();
  out.notification.bytes = reader.array<16>();
  out.expires = WallTime{std::int64_t{reader.u32()} * 1'000'000};
  return out;
}

}  // namespace tocsin::collector
