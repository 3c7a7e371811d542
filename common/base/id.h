#pragma once
// Question answered here: how is a thing named so that a MonitorId can never be an AgentId?
//
// 16 bytes, shown as an RFC 9562 UUID in lower case. Ids are values; an all-zero id means "none".

#include "common/base/expected.h"

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>

namespace tocsin {

using Uuid = std::array<std::uint8_t, 16>;

std::string format_uuid(const Uuid& bytes);

/// Accepts 8-4-4-4-12 hexadecimal digits in either case and nothing else.
Expected<Uuid> parse_uuid(std::string_view text);

/// A UUIDv7: 48 bits of Unix milliseconds, then version, variant and the given randomness.
Uuid make_uuid_v7(std::int64_t unix_ms, const std::array<std::uint8_t, 10>& random);

template <class Tag>
struct Id {
  Uuid bytes{};

  friend auto operator<=>(const Id&, const Id&) = default;

  bool empty() const { return *this == Id{}; }

  std::string str() const { return format_uuid(bytes); }

  static Expected<Id> parse(std::string_view text) {
    TRY_ASSIGN(const Uuid bytes, parse_uuid(text));
    return Id{bytes};
  }
};

struct MonitorTag;
struct AgentTag;
struct IncidentTag;
struct ServiceTag;
struct PolicyTag;
struct ChannelTag;
struct NotificationTag;
struct EnrolmentTag;
struct StatusPageTag;
struct UserTag;
struct ContactMethodTag;
struct NotificationRuleTag;
struct TokenTag;
struct ReportTag;
using MonitorId = Id<MonitorTag>;
using AgentId = Id<AgentTag>;
using IncidentId = Id<IncidentTag>;
using ServiceId = Id<ServiceTag>;
using PolicyId = Id<PolicyTag>;
using ChannelId = Id<ChannelTag>;
using NotificationId = Id<NotificationTag>;
using EnrolmentId = Id<EnrolmentTag>;
using StatusPageId = Id<StatusPageTag>;
using UserId = Id<UserTag>;
using ContactMethodId = Id<ContactMethodTag>;
using NotificationRuleId = Id<NotificationRuleTag>;
using TokenId = Id<TokenTag>;
using ReportId = Id<ReportTag>;

/// One (monitor, region, schedule generation); minted by the collector, never reused, 0 means none.
enum class SeriesId : std::uint32_t {};

}  // namespace tocsin

template <class Tag>
struct std::hash<tocsin::Id<Tag>> {
  std::size_t operator()(const tocsin::Id<Tag>& id) const noexcept {
    std::size_t h = 0;
    std::memcpy(&h, id.bytes.data() + 8, sizeof h);  // The random half of a UUIDv7.
    return h;
  }
};
