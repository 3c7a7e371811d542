#pragma once
// One notification with everything in it: the example of docs/webhooks.md.

#include "collector/core/rows.h"

#include <cstdint>
#include <string>

namespace tocsin::collector {

template <class Tag>
Id<Tag> numbered_id(std::uint8_t n) {
  Id<Tag> id;
  id.bytes = {0x01, 0x9a, 0xa4, 0x10, 0x00, 0x00, 0x70, 0x00,
              0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, n};
  return id;
}

/// 2026-11-21T03:00:00Z.
inline constexpr WallTime kThree{1'795'230'000'000'000};

inline OutboxRow sample_row(std::uint8_t n = 1) {
  OutboxRow row;
  row.id = numbered_id<NotificationTag>(n);
  row.incident = numbered_id<IncidentTag>(7);
  row.cause_seq = 1;
  row.kind = NotificationKind::kTrigger;
  row.channel = "ops-hook";
  row.destination.key = "ops-hook";
  row.destination.url = "http://127.0.0.1:9/hook";
  row.created = kThree;
  NotificationContent& c = row.content;
  c.incident_number = 42;
  c.title = "Shop checkout is down";
  c.because = "2 of 2 regions: connect.refused (nothing listens on that port)";
  c.service = "shop";
  c.monitor_key = "shop-checkout";
  c.monitor_name = "Shop checkout";
  c.target = "https://shop.example.com/health";
  c.started_at = kThree - 10s;
  c.opened_at = kThree;
  c.step_because = "step 1";
  std::uint32_t series = 0;
  for (const std::string region : {"eu-west", "us-east"}) {
    ++series;
    Vote vote;
    vote.region = region;
    vote.series = SeriesId{series};
    vote.tick = 100;
    vote.outcome = Outcome::kDown;
    vote.reason = Reason::kConnectRefused;
    vote.detail = "connect to 192.0.2.7:443: connection refused";
    vote.slot = kThree - 10s;
    c.votes.push_back(vote);
    CheckResult result;
    result.series = vote.series;
    result.tick = 100;
    result.slot = vote.slot;
    result.duration_us = 1'001'450;
    result.outcome = vote.outcome;
    result.reason = vote.reason;
    for (std::uint32_t i = 0; i < 2; ++i) {
      Attempt attempt;
      attempt.start_offset_us = i * 1'000'800;
      attempt.finding = {vote.outcome, vote.reason, vote.detail};
      attempt.phases.dns_us = 420;
      attempt.phases.connect_us = 230;
      attempt.phases.total_us = 650;
      attempt.remote = "192.0.2.7:443";
      result.attempts.push_back(attempt);
    }
    c.evidence.push_back(result);
  }
  return row;
}

}  // namespace tocsin::collector
