#pragma once
// Question answered here: what does one full row of every table look like?
//
// Values for the store's tests: every field differs from its default, so that a forgotten column
// shows. `n` makes rows with different keys.

#include "collector/ports/store.h"
#include "common/assert/parser.h"
#include "common/base/bytes.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace tocsin::collector::sample {

inline constexpr WallTime kStart{1'800'000'000'000'001};

template <class T>
T id(std::uint8_t n) {
  T out;
  out.bytes = {0x01, 0x9a, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0xfe, 0, 0xff, 0, n};
  return out;
}

inline Group group(std::uint64_t commit_seq) {
  const auto later = std::chrono::seconds{static_cast<std::int64_t>(commit_seq)};
  return {.shard = 0,
          .commit_seq = commit_seq,
          .now = {.mono = MonoTime{5'000'000} + later, .wall = kStart + later}};
}

inline CommitGroup commit(std::uint64_t commit_seq, std::vector<Row> rows = {}) {
  return {.group = group(commit_seq), .rows = std::move(rows), .journal = {}, .checkpoint = {}};
}

inline JournalEntry entry(JournalEntry::Kind kind, Bytes bytes) {
  return {kind, std::make_shared<const Bytes>(std::move(bytes))};
}

inline CheckResult result(std::uint32_t series, std::uint32_t tick) {
  CheckResult r;
  r.series = SeriesId{series};
  r.tick = r.tick_last = tick;
  r.spec_rev = 3;
  r.config_version = 17;
  r.slot = kStart + std::chrono::seconds{10} * tick;
  r.queue_us = 120;
  r.duration_us = 35'001;
  r.outcome = Outcome::kUp;
  Attempt attempt;
  attempt.phases = {1, 2, 3, 4, 5, 6, 21};
  attempt.remote = "127.0.0.1:7480";
  attempt.http_status = 200;
  r.attempts = {attempt};
  r.clock = {-12, 3};
  return r;
}

inline CheckResult failed_result(std::uint32_t series, std::uint32_t tick) {
  CheckResult r = result(series, tick);
  r.outcome = Outcome::kDown;
  r.reason = Reason::kConnectRefused;
  r.attempts[0].finding = {Outcome::kDown, Reason::kConnectRefused, "connect to 127.0.0.1:7480"};
  r.attempts[0].http_status = 0;
  r.attempts.push_back(r.attempts[0]);
  r.attempts[1].start_offset_us = 1'000'123;
  r.attempts[1].excerpt = "HTTP/1.1 503\r\n\r\n\xc3\xa4";
  return r;
}

inline CheckResult missed_run(std::uint32_t series, std::uint32_t first, std::uint32_t last) {
  CheckResult r;
  r.series = SeriesId{series};
  r.kind = ResultKind::kMissed;
  r.tick = first;
  r.tick_last = last;
  r.slot = kStart + std::chrono::seconds{10} * first;
  r.outcome = Outcome::kMissed;
  r.missed = MissedCause::kBlackout;
  return r;
}

inline CheckResult one_off(std::uint32_t series, std::uint8_t n,
                           ResultKind kind = ResultKind::kConfirm) {
  CheckResult r = failed_result(series, 0);
  r.kind = kind;
  r.request = id<NotificationId>(n).bytes;
  r.slot = kStart + std::chrono::milliseconds{1} * n;
  return r;
}

inline ResultRow row(CheckResult r, bool late = false) {
  const WallTime received = r.slot + std::chrono::seconds{2};
  return {.result = std::move(r), .agent = id<AgentId>(7), .received = received, .late = late};
}

inline ChannelSpec channel(const std::string& key = "ops-hook") {
  return {.id = id<ChannelId>(40),
          .key = key,
          .type = ChannelType::kWebhook,
          .url = "https://hooks.example.com/x",
          .secret_file = "ops-hook",
          .rate = {30, std::chrono::minutes{1}}};
}

inline PolicySpec policy() {
  return {.id = id<PolicyId>(41),
          .key = "web",
          .repeat = 2,
          .fallback = NotifyTarget{"ops-hook"},
          .steps = {{std::chrono::seconds{0}, {{"ops-hook"}}},
                    {std::chrono::minutes{15}, {{"ops-hook"}, {"second"}}}}};
}

inline MonitorSpec monitor(const std::string& key = "shop", std::uint8_t n = 1) {
  MonitorSpec m;
  m.id = id<MonitorId>(n);
  m.key = key;
  m.name = "Shop \xc3\xa4 \"checkout\"";
  HttpTarget http;
  http.url = "https://shop.example.com/health";
  http.method = "POST";
  http.headers = {{"Accept", "text/html"}, {"X-Number", "7"}};
  http.body = "a\nb";
  http.redirects_max = 2;
  http.verify = false;
  http.ca_pem = "-----BEGIN CERTIFICATE-----\n";
  m.probe.target = http;
  m.probe.interval = std::chrono::seconds{30};
  m.probe.timeout = std::chrono::milliseconds{9'500};
  m.probe.retry = {
      .retries = 2, .delay = std::chrono::milliseconds{250}, .retry_assertions = false};
  m.probe.family = IpFamily::kV6;
  m.regions = {"eu-west", "us-east"};
  m.quorum = {QuorumKind::kNumber, 2};
  m.open_after = 3;
  m.close_after = 4;
  m.confirm = false;
  m.page_on_degraded = true;
  m.paused = true;
  m.service = "shop";
  m.tags = {{"team", "payments"}, {"tier", "1"}};
  m.depends_on = {"shop-lb"};
  return m;
}

inline Vote vote(const std::string& region) {
  return {.region = region,
          .series = SeriesId{12},
          .tick = 4'000'000'001,
          .outcome = Outcome::kDown,
          .reason = Reason::kTlsVerifyExpired,
          .detail = "expired \"yesterday\"",
          .slot = kStart};
}

inline IncidentRow incident(std::uint8_t n = 1) {
  IncidentRow i;
  i.id = id<IncidentId>(n);
  i.number = n;
  i.kind = IncidentKind::kMonitor;
  i.state = IncidentState::kAcknowledged;
  i.monitor = id<MonitorId>(1);
  i.monitor_key = "shop";
  i.region = "eu-west";
  i.channel = "ops-hook";
  i.service = "shop";
  i.urgency = Urgency::kLow;
  i.assignee = "ann";
  i.watchers = {"bob", "cleo"};
  i.title = "Shop is down";
  i.because = "2 of 2 regions down";
  i.started_at = kStart;
  i.opened_at = kStart + std::chrono::seconds{n};
  i.acknowledged_at = kStart + std::chrono::seconds{60};
  i.acknowledged_by = "ann";
  i.resolved_at = kStart + std::chrono::seconds{90};
  i.resolved_because = "by hand";
  i.votes = {vote("eu-west"), vote("us-east")};
  i.evidence = {failed_result(12, 5), failed_result(13, 6)};
  i.timeline_seq = 9;
  i.policy = policy();
  i.used_links = {id<NotificationId>(7)};
  i.notified = {channel(), channel("second"), channel("ann/mail")};
  return i;
}

inline OutboxRow outbox(std::uint8_t n, NotificationKind kind = NotificationKind::kTrigger) {
  OutboxRow o;
  o.id = id<NotificationId>(n);
  o.incident = id<IncidentId>(1);
  o.cause_seq = n;
  o.step = 1;
  o.repeat = 2;
  o.kind = kind;
  o.channel = "ops-hook";
  o.user = "ann";
  o.more_contacts = true;
  o.destination = channel("ann/mail");  // Of a contact method.
  o.content = {.incident_number = 42,
               .incident_kind = IncidentKind::kImpaired,
               .title = "Shop is down",
               .because = "2 of 2 regions",
               .service = "shop",
               .monitor_key = "shop",
               .monitor_name = "Shop",
               .target = "https://shop.example.com/",
               .region = "eu-west",
               .started_at = kStart,
               .opened_at = kStart + std::chrono::seconds{1},
               .resolved_at = kStart + std::chrono::seconds{2},
               .votes = {vote("eu-west")},
               .evidence = {failed_result(12, 5)},
               .step_because = "step 1"};
  o.content.urgency = Urgency::kLow;
  o.created = o.due = kStart + std::chrono::seconds{n};
  return o;
}

inline VerdictRow verdict(std::uint64_t seq, WallTime at, bool replaced = false,
                          std::uint8_t monitor_id = 1) {
  return {.monitor = id<MonitorId>(monitor_id),
          .seq = seq,
          .at = at,
          .status = MonitorStatus::kDown,
          .n = 3,
          .k = 2,
          .down = 2,
          .up = 1,
          .degraded = 1,
          .because = "2 of 3 regions down",
          .votes = {vote("eu-west"), vote("us-east")},
          .late = true,
          .replaced = replaced};
}

inline MonitorEntry monitor_entry(const std::string& key = "shop", std::uint8_t n = 1) {
  return {.spec = monitor(key, n), .spec_rev = 5};
}

inline UserSpec user() {
  UserSpec u;
  u.id = id<UserId>(40);
  u.key = "ann";
  u.name = "Ann";
  u.email = "ann@example.com";
  u.role = Role::kResponder;
  u.time_zone = "Europe/Berlin";
  u.disabled = true;
  u.contacts = {{id<ContactMethodId>(43), "mail", ChannelType::kEmail, "ann@example.com", "", ""},
                {id<ContactMethodId>(44), "hook", ChannelType::kWebhook, "", "https://a.example/",
                 "ann-hook"}};
  u.rules = {{id<NotificationRuleId>(45), "mail", std::chrono::seconds{0}, std::nullopt},
             {id<NotificationRuleId>(46), "hook", std::chrono::minutes{5}, Urgency::kHigh}};
  return u;
}

/// One of each kind that `load` returns, in the order in which it returns them.
inline std::vector<Row> loaded_rows() {
  const StreamId stream{.agent = id<AgentId>(7),
                        .epoch = 3,
                        .nonce = id<AgentId>(99).bytes,
                        .shard = 1,
                        .cls = StreamClass::kAlert};
  AgentRow agent;
  agent.agent = id<AgentId>(7);
  agent.region = "eu-west";
  agent.public_key = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
  agent.host = "probe-1";
  agent.version = "0.1.0";
  agent.enrolled_at = kStart;
  agent.last_seen = kStart + std::chrono::seconds{5};
  agent.revoked_at = kStart + std::chrono::seconds{6};
  agent.results_stored = UINT64_MAX;  // Wraps in SQL, and back.
  agent.results_gapped = 2;
  agent.refused_too_old = 3;
  agent.refused_future = 4;
  agent.refused_unassigned = 5;
  agent.refused_duplicate = 6;
  agent.refused_quarantined = 7;
  agent.forks = 8;
  agent.cloned = true;
  return {
      MetaRow{"config_version", 17},
      CatalogRow{RegionSpec{"eu-west", "Europe West"}},
      CatalogRow{monitor_entry()},
      CatalogRow{ServiceSpec{id<ServiceId>(30), "shop", "The shop", "web", "Sells", Urgency::kLow}},
      CatalogRow{policy()},
      CatalogRow{channel()},
      CatalogRow{
          StatusPageSpec{.id = id<StatusPageId>(31),
                         .slug = "shop",
                         .title = "Shop",
                         .description = "All of it",
                         .homepage = "https://shop.example.com/",
                         .contact = "help@example.com",
                         .noindex = true,
                         .groups = {{"Site", {{"shop", "The shop", "Buy"}, {"", "Printer", ""}}}}}},
      CatalogRow{user()},
      ObjectRow{.kind = ObjectKind::kUser,
                .key = "ann",
                .meta = {Origin::kApply, 17, kStart, kStart + std::chrono::seconds{1}}},
      CredentialRow{.user = id<UserId>(40), .password_hash = "$argon2id$x", .changed_at = kStart},
      TokenRow{.id = id<TokenId>(41),
               .name = "ci",
               .prefix = "tcs_abcd",
               .digest = "00ff",
               .owner = "ann",
               .role = Role::kEditor,
               .scopes = {"monitors:write", "incidents:read"},
               .created = kStart,
               .created_by = "user:ann",
               .expires = kStart + std::chrono::hours{1},
               .last_used = kStart + std::chrono::seconds{1},
               .revoked_at = kStart + std::chrono::seconds{2}},
      SessionRow{.digest = "aa",
                 .user = id<UserId>(40),
                 .created = kStart,
                 .expires = kStart + std::chrono::hours{1},
                 .client = "curl"},
      IdempotencyRow{.key = "user:ann k", .digest = "bb", .subject = "shop", .at = kStart},
      ReportRow{.id = id<ReportId>(42),
                .page = "shop",
                .kind = ReportKind::kMaintenance,
                .title = "New disks",
                .impact = Impact::kMajor,
                .components = {"shop", "printer"},
                .updates = {{kStart, ReportState::kScheduled, "Soon"},
                            {kStart + std::chrono::seconds{1}, ReportState::kInProgress, "Now"}},
                .scheduled_from = kStart,
                .scheduled_to = kStart + std::chrono::hours{1},
                .created = kStart,
                .created_by = "user:ann",
                .rev = 2},
      SecretRow{.name = "shop-token",
                .sealed = "v1.AAAA",
                .rev = 3,
                .changed = kStart,
                .changed_by = "user:ann"},
      SeriesRow{.series = SeriesId{12},
                .monitor = id<MonitorId>(1),
                .monitor_key = "shop",
                .region = "eu-west",
                .generation = 2,
                .grid = {10'000, 1'234},
                .from = kStart,
                .to = kStart + std::chrono::hours{1}},
      SeriesRow{.series = SeriesId{4'000'000'000},
                .monitor = id<MonitorId>(2),
                .monitor_key = "other",
                .region = "us-east",
                .generation = 1,
                .grid = {60'000, 0},
                .from = kStart,
                .to = WallTime::never()},
      agent,
      EnrolmentRow{.id = id<EnrolmentId>(1),
                   .region = "eu-west",
                   .public_key = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID",
                   .expires_at = kStart,
                   .used_at = kStart + std::chrono::seconds{1},
                   .agent = id<AgentId>(7),
                   .name = "rack 4"},
      StreamRow{
          .stream = stream, .high_water = 77, .digest = {1, 2, 3, 0, 255}, .last_seen = kStart},
      AssignmentRow{
          .series = SeriesId{12}, .agent = id<AgentId>(7), .from = kStart, .to = WallTime::never()},
      verdict(1, kStart),
      MonitorStateRow{.monitor = id<MonitorId>(1),
                      .status = MonitorStatus::kDown,
                      .since = kStart,
                      .because = "2 of 3",
                      .verdict_seq = 1,
                      .incident = id<IncidentId>(1)},
      RegionStateRow{
          .region = "eu-west", .blind = true, .since = kStart, .incident = id<IncidentId>(2)},
      incident(),
      TimelineRow{.incident = id<IncidentId>(1),
                  .seq = 1,
                  .at = kStart,
                  .type = TimelineType::kFallback,
                  .actor = "engine",
                  .text = "told ops-hook"},
      EscalationRow{.incident = id<IncidentId>(1),
                    .step = 1,
                    .repeat = 2,
                    .due_at = kStart + std::chrono::minutes{15},
                    .done = true,
                    .ack_expiry = true},
  };
}

}  // namespace tocsin::collector::sample
