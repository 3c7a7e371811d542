#include "collector/core/checkpoint.h"

#include "common/base/hash.h"

#include <algorithm>

namespace tocsin::collector {

namespace {

constexpr std::uint32_t kMagic = 0x31504b43;  // "CKP1"

void put_text(ByteWriter& out, std::string_view text) {
  out.u32(static_cast<std::uint32_t>(text.size()));
  out.bytes(as_bytes(text));
}

std::string get_text(ByteReader& in) {
  const std::uint32_t size = in.u32();
  return std::string{as_view(in.take(size))};
}

void put_time(ByteWriter& out, WallTime t) { out.u64(static_cast<std::uint64_t>(t.us)); }

WallTime get_time(ByteReader& in) { return {static_cast<std::int64_t>(in.u64())}; }

void put_ms(ByteWriter& out, std::int64_t ms) { out.u64(static_cast<std::uint64_t>(ms)); }

std::int64_t get_ms(ByteReader& in) { return static_cast<std::int64_t>(in.u64()); }

RegionTable* find_region(State& state, const std::string& key) {
  const auto it = state.region_by_key.find(key);
  return it == state.region_by_key.end() ? nullptr : &state.regions[it->second];
}

void put_texts(ByteWriter& out, const std::vector<std::string>& texts) {
  out.u8(static_cast<std::uint8_t>(texts.size()));
  for (const std::string& text : texts) put_text(out, text);
}

/// More than `most` is damage: the reader is left failed.
std::vector<std::string> get_texts(ByteReader& in, std::size_t most) {
  std::vector<std::string> out;
  const std::uint8_t count = in.u8();
  if (count > most) in.take(in.rest().size() + 1);
  for (std::uint8_t i = 0; i < count && in.ok(); ++i) out.push_back(get_text(in));
  return out;
}

void put_phases(ByteWriter& out, const Phases& p) {
  for (const std::uint32_t us :
       {p.dns_us, p.connect_us, p.tls_us, p.send_us, p.wait_us, p.receive_us, p.total_us}) {
    out.u32(us);
  }
}

Phases get_phases(ByteReader& in) {
  Phases p;
  for (std::uint32_t* us :
       {&p.dns_us, &p.connect_us, &p.tls_us, &p.send_us, &p.wait_us, &p.receive_us, &p.total_us}) {
    *us = in.u32();
  }
  return p;
}

constexpr unsigned kHasTls = 1;
constexpr unsigned kHasHops = 2;
constexpr unsigned kConnectionShift = 2;
constexpr unsigned kConnectionMask = 3;
constexpr unsigned kHasTcp = 16;
constexpr unsigned kHasOcsp = 32;  ///< Beside kHasTls.

void put_tcp(ByteWriter& out, const TcpFacts& tcp) {
  out.u8(static_cast<std::uint8_t>(tcp.state));
  for (const std::uint32_t n : {tcp.rtt_us, tcp.rtt_variation_us, tcp.retransmissions,
                                tcp.unacknowledged, tcp.mss, tcp.path_mtu}) {
    out.u32(n);
  }
  out.u64(tcp.bytes_acknowledged);
  out.u64(tcp.bytes_received);
}

TcpFacts get_tcp(ByteReader& in) {
  TcpFacts tcp;
  tcp.state = static_cast<TcpState>(in.u8());
  for (std::uint32_t* n : {&tcp.rtt_us, &tcp.rtt_variation_us, &tcp.retransmissions,
                           &tcp.unacknowledged, &tcp.mss, &tcp.path_mtu}) {
    *n = in.u32();
  }
  tcp.bytes_acknowledged = in.u64();
  tcp.bytes_received = in.u64();
  return tcp;
}

void put_hops(ByteWriter& out, const std::vector<HttpHop>& hops) {
  const std::size_t count = std::min(hops.size(), HttpHop::kHopsMax);
  out.u8(static_cast<std::uint8_t>(count));
  for (std::size_t i = 0; i < count; ++i) {
    put_text(out, hops[i].url);
    put_text(out, hops[i].remote);
    out.u16(static_cast<std::uint16_t>(hops[i].status));
    put_phases(out, hops[i].phases);
  }
}

/// More than there can be is damage: the reader is left failed.
std::vector<HttpHop> get_hops(ByteReader& in) {
  std::vector<HttpHop> out;
  const std::uint8_t count = in.u8();
  if (count > HttpHop::kHopsMax) in.take(in.rest().size() + 1);
  for (std::uint8_t i = 0; i < count && in.ok(); ++i) {
    HttpHop hop;
    hop.url = get_text(in);
    hop.remote = get_text(in);
    hop.status = in.u16();
    hop.phases = get_phases(in);
    out.push_back(std::move(hop));
  }
  return out;
}

void put_tls(ByteWriter& out, const TlsFacts& tls) {
  for (const std::string* text :
       {&tls.version, &tls.cipher, &tls.alpn, &tls.group, &tls.server_name, &tls.subject,
        &tls.issuer, &tls.alert_received, &tls.alert_sent}) {
    put_text(out, *text);
  }
  put_time(out, tls.not_before);
  put_time(out, tls.not_after);
  put_time(out, tls.chain_not_after);
  out.u8(tls.verified ? 1 : 0);
  out.u32(tls.chain_size);
  out.u8(static_cast<std::uint8_t>(tls.chain.size()));
  for (const CertificateFacts& c : tls.chain) {
    for (const std::string* text :
         {&c.subject, &c.issuer, &c.serial, &c.key, &c.signature, &c.sha256}) {
      put_text(out, *text);
    }
    put_texts(out, c.names);
    out.u32(c.name_count);
    put_time(out, c.not_before);
    put_time(out, c.not_after);
  }
  out.u8(static_cast<std::uint8_t>(tls.problems.size()));
  for (const TlsProblem& p : tls.problems) {
    out.u16(static_cast<std::uint16_t>(p.reason));
    out.u32(p.depth);
    put_text(out, p.text);
  }
}

void put_ocsp(ByteWriter& out, const OcspFacts& ocsp) {
  out.u8(static_cast<std::uint8_t>(ocsp.status));
  put_time(out, ocsp.this_update);
  put_time(out, ocsp.next_update);
}

OcspFacts get_ocsp(ByteReader& in) {
  OcspFacts ocsp;
  ocsp.status = static_cast<OcspStatus>(in.u8());
  ocsp.this_update = get_time(in);
  ocsp.next_update = get_time(in);
  return ocsp;
}

TlsFacts get_tls(ByteReader& in) {
  TlsFacts tls;
  for (std::string* text : {&tls.version, &tls.cipher, &tls.alpn, &tls.group, &tls.server_name,
                            &tls.subject, &tls.issuer, &tls.alert_received, &tls.alert_sent}) {
    *text = get_text(in);
  }
  tls.not_before = get_time(in);
  tls.not_after = get_time(in);
  tls.chain_not_after = get_time(in);
  tls.verified = in.u8() != 0;
  tls.chain_size = in.u32();
  const std::uint8_t certificates = in.u8();
  for (std::uint8_t i = 0; i < certificates && in.ok(); ++i) {
    CertificateFacts c;
    for (std::string* text : {&c.subject, &c.issuer, &c.serial, &c.key, &c.signature, &c.sha256}) {
      *text = get_text(in);
    }
    c.names = get_texts(in, CertificateFacts::kNamesMax);
    c.name_count = in.u32();
    c.not_before = get_time(in);
    c.not_after = get_time(in);
    tls.chain.push_back(std::move(c));
  }
  const std::uint8_t problems = in.u8();
  for (std::uint8_t i = 0; i < problems && in.ok(); ++i) {
    TlsProblem p;
    p.reason = static_cast<Reason>(in.u16());
    p.depth = in.u32();
    p.text = get_text(in);
    tls.problems.push_back(std::move(p));
  }
  return tls;
}

}  // namespace

void encode_result(ByteWriter& out, const CheckResult& r) {
  out.u32(static_cast<std::uint32_t>(r.series));
  out.u8(static_cast<std::uint8_t>(r.kind));
  out.u32(r.tick);
  out.u32(r.tick_last);
  out.u32(r.spec_rev);
  out.u64(r.config_version);
  put_time(out, r.slot);
  out.u32(r.queue_us);
  out.u32(r.duration_us);
  out.u8(static_cast<std::uint8_t>(r.outcome));
  out.u16(static_cast<std::uint16_t>(r.reason));
  out.u8(static_cast<std::uint8_t>(r.missed));
  out.bytes(r.request);
  out.u32(static_cast<std::uint32_t>(r.clock.offset_ms));
  out.u32(r.clock.error_ms);
  out.u8(static_cast<std::uint8_t>(std::min(r.attempts.size(), CheckResult::kMaxAttempts)));
  for (std::size_t i = 0; i < std::min(r.attempts.size(), CheckResult::kMaxAttempts); ++i) {
    const Attempt& a = r.attempts[i];
    out.u32(a.start_offset_us);
    out.u8(static_cast<std::uint8_t>(a.finding.outcome));
    out.u16(static_cast<std::uint16_t>(a.finding.reason));
    put_text(out, a.finding.detail);
    put_phases(out, a.phases);
    put_text(out, a.remote);
    out.u32(a.http_status);
    put_ms(out, a.cert_not_after_ms);
    put_text(out, a.excerpt);
    put_texts(out, a.tried);
    // One byte, which was 0 or 1 before there were hops: what follows of TLS, hops, TCP and OCSP,
    // and how the connection came about.
    const bool ocsp = a.tls && a.tls->ocsp.status != OcspStatus::kNotAsked;
    out.u8(static_cast<std::uint8_t>((a.tls ? kHasTls : 0) | (a.hops.empty() ? 0 : kHasHops) |
                                     (a.tcp ? kHasTcp : 0) | (ocsp ? kHasOcsp : 0) |
                                     static_cast<unsigned>(a.connection) << kConnectionShift));
    if (a.tls) put_tls(out, *a.tls);
    if (!a.hops.empty()) put_hops(out, a.hops);
    if (a.tcp) put_tcp(out, *a.tcp);
    if (ocsp) put_ocsp(out, a.tls->ocsp);
  }
}

CheckResult decode_result(ByteReader& in) {
  CheckResult r;
  r.series = static_cast<SeriesId>(in.u32());
  r.kind = static_cast<ResultKind>(in.u8());
  r.tick = in.u32();
  r.tick_last = in.u32();
  r.spec_rev = in.u32();
  r.config_version = in.u64();
  r.slot = get_time(in);
  r.queue_us = in.u32();
  r.duration_us = in.u32();
  r.outcome = static_cast<Outcome>(in.u8());
  r.reason = static_cast<Reason>(in.u16());
  r.missed = static_cast<MissedCause>(in.u8());
  r.request = in.array<16>();
  r.clock.offset_ms = static_cast<std::int32_t>(in.u32());
  r.clock.error_ms = in.u32();
  const std::uint8_t attempts = in.u8();
  for (std::uint8_t i = 0; i < attempts && in.ok(); ++i) {
    Attempt a;
    a.start_offset_us = in.u32();
    a.finding.outcome = static_cast<Outcome>(in.u8());
    a.finding.reason = static_cast<Reason>(in.u16());
    a.finding.detail = get_text(in);
    a.phases = get_phases(in);
    a.remote = get_text(in);
    a.http_status = in.u32();
    a.cert_not_after_ms = get_ms(in);
    a.excerpt = get_text(in);
    a.tried = get_texts(in, Attempt::kTriedMax);
    const std::uint8_t has = in.u8();
    if ((has & kHasTls) != 0) a.tls = get_tls(in);
    if ((has & kHasHops) != 0) a.hops = get_hops(in);
    if ((has & kHasTcp) != 0) a.tcp = get_tcp(in);
    if ((has & kHasOcsp) != 0 && a.tls) a.tls->ocsp = get_ocsp(in);
    a.connection = static_cast<ConnectionUse>((has >> kConnectionShift) & kConnectionMask);
    r.attempts.push_back(std::move(a));
  }
  return r;
}

Bytes encode_change(const StateChange& change) {
  Bytes bytes;
  ByteWriter out{bytes};
  out.u8(static_cast<std::uint8_t>(change.index() + 1));
  if (const auto* series = std::get_if<SeriesChange>(&change)) {
    out.u32(static_cast<std::uint32_t>(series->series));
    out.u32(series->spec_rev);
    out.u8(static_cast<std::uint8_t>((series->voting ? 1 : 0) | (series->clear ? 2 : 0)));
  } else if (const auto* region = std::get_if<RegionChange>(&change)) {
    out.u8(region->blind ? 1 : 0);
    put_ms(out, region->at_ms);
    put_text(out, region->region);
  } else {
    const auto& rules = std::get<RulesChange>(change);
    out.bytes(rules.monitor.bytes);
    put_time(out, rules.since);
    out.u8(rules.afresh ? 1 : 0);
  }
  return bytes;
}

Expected<StateChange> decode_change(ByteSpan bytes) {
  ByteReader in{bytes};
  const std::uint8_t kind = in.u8();
  StateChange change;
  if (kind == 1) {
    SeriesChange series;
    series.series = static_cast<SeriesId>(in.u32());
    series.spec_rev = in.u32();
    const std::uint8_t flags = in.u8();
    series.voting = (flags & 1) != 0;
    series.clear = (flags & 2) != 0;
    change = series;
  } else if (kind == 2) {
    RegionChange region;
    region.blind = in.u8() != 0;
    region.at_ms = get_ms(in);
    region.region = get_text(in);
    change = region;
  } else if (kind == 3) {
    RulesChange rules;
    rules.monitor.bytes = in.array<16>();
    rules.since = get_time(in);
    rules.afresh = in.u8() != 0;
    change = rules;
  } else {
    return fail(Errc::kCorrupt, "journal: state change of unknown kind {}", kind);
  }
  if (!in.ok() || !in.rest().empty()) {
    return fail(Errc::kCorrupt, "journal: state change of {} bytes is malformed", bytes.size());
  }
  return change;
}

void apply(State& state, const StateChange& change) {
  if (const auto* series = std::get_if<SeriesChange>(&change)) {
    SeriesState* s = state.find_series(series->series);
    if (s == nullptr) return;
    s->spec_rev = series->spec_rev;
    s->voting = series->voting;
    if (series->clear) {
      s->log.clear();
      s->failing.reset();
      s->counted = Ballot::kNone;
      s->heard = s->distrusted = s->old_spec = false;
    }
  } else if (const auto* region = std::get_if<RegionChange>(&change)) {
    RegionTable* r = find_region(state, region->region);
    if (r == nullptr) return;
    if (region->blind) {
      r->blind.push_back({region->at_ms, INT64_MAX});
      if (r->blind.size() > RegionTable::kBlindMax) r->blind.erase(r->blind.begin());
    } else if (!r->blind.empty()) {
      r->blind.back().to_ms = region->at_ms;
    }
  } else {
    const auto& rules = std::get<RulesChange>(change);
    const auto it = state.monitor_by_id.find(rules.monitor);
    if (it == state.monitor_by_id.end()) return;
    MonitorTable& monitor = state.monitors[it->second];
    monitor.rules_since = rules.since;
    if (rules.afresh) monitor.afresh_since = rules.since;
  }
}

Bytes encode_checkpoint(const State& state) {
  Bytes bytes;
  bytes.reserve(64 + state.series.size() * 96);
  ByteWriter out{bytes};
  out.u32(kMagic);
  out.u32(static_cast<std::uint32_t>(state.series.size()));
  for (std::size_t i = 1; i < state.series.size(); ++i) {
    const SeriesState& s = state.series[i];
    out.u32(s.spec_rev);
    out.u8(static_cast<std::uint8_t>((s.voting ? 1 : 0) | (s.distrusted ? 2 : 0) |
                                     (s.old_spec ? 4 : 0) | (s.failing ? 8 : 0)));
    out.u32(s.window.last);
    out.u64(s.window.bits);
    out.u32(s.missed_through);
    put_time(out, s.last_result);
    s.log.encode(out);
    if (s.failing) encode_result(out, *s.failing);
  }
  std::map<MonitorId, std::pair<WallTime, WallTime>> rules;  // One order, whatever the indexes are.
  for (const MonitorTable& monitor : state.monitors) {
    if (monitor.entry != nullptr) rules[monitor.id] = {monitor.rules_since, monitor.afresh_since};
  }
  out.u32(static_cast<std::uint32_t>(rules.size()));
  for (const auto& [id, since] : rules) {
    out.bytes(id.bytes);
    put_time(out, since.first);
    put_time(out, since.second);
  }
  out.u32(static_cast<std::uint32_t>(state.region_by_key.size()));
  for (const auto& [key, index] : state.region_by_key) {
    const RegionTable& region = state.regions[index];
    put_text(out, key);
    out.u16(static_cast<std::uint16_t>(region.blind.size()));
    for (const BlindSpan& blind : region.blind) {
      put_ms(out, blind.from_ms);
      put_ms(out, blind.to_ms);
    }
  }
  out.u32(static_cast<std::uint32_t>(state.one_offs.size()));
  for (const std::uint64_t key : state.one_offs) out.u64(key);
  out.u32(crc32c(as_bytes(bytes)));
  return bytes;
}

Expected<void> decode_checkpoint(ByteSpan bytes, State& state) {
  if (bytes.size() < 12) return fail(Errc::kCorrupt, "checkpoint: {} bytes", bytes.size());
  ByteReader tail{bytes.subspan(bytes.size() - 4)};
  const ByteSpan body = bytes.first(bytes.size() - 4);
  ByteReader in{body};
  if (in.u32() != kMagic || tail.u32() != crc32c(body)) {
    return fail(Errc::kCorrupt, "checkpoint: magic or CRC does not match");
  }
  const std::uint32_t series = in.u32();
  for (std::uint32_t i = 1; i < series && in.ok(); ++i) {
    SeriesState unknown;
    SeriesState& s = i < state.series.size() ? state.series[i] : unknown;
    s.spec_rev = in.u32();
    const std::uint8_t flags = in.u8();
    s.voting = (flags & 1) != 0;
    s.distrusted = (flags & 2) != 0;
    s.old_spec = (flags & 4) != 0;
    s.window.last = in.u32();
    s.window.bits = in.u64();
    s.missed_through = in.u32();
    s.last_result = get_time(in);
    RunRule rule{1, 2, std::max<std::int64_t>(1, s.row.grid.interval_ms)};
    if (s.monitor != kNoIndex) {
      rule = state.monitors[s.monitor].rule;
      rule.interval_ms = s.row.grid.interval_ms;
    }
    s.log = SampleLog::decode(in, rule);
    s.failing.reset();
    if ((flags & 8) != 0) s.failing = std::make_unique<CheckResult>(decode_result(in));
  }
  const std::uint32_t monitors = in.u32();
  for (std::uint32_t i = 0; i < monitors && in.ok(); ++i) {
    RulesChange rules;
    rules.monitor.bytes = in.array<16>();
    const WallTime since = get_time(in);
    rules.since = get_time(in);
    rules.afresh = true;
    apply(state, rules);
    rules.since = since;
    rules.afresh = false;
    apply(state, rules);
  }
  const std::uint32_t regions = in.u32();
  for (std::uint32_t i = 0; i < regions && in.ok(); ++i) {
    const std::string key = get_text(in);
    std::vector<BlindSpan> blind;
    const std::uint16_t spans = in.u16();
    for (std::uint16_t j = 0; j < spans && in.ok(); ++j) {
      const std::int64_t from = get_ms(in);
      blind.push_back({from, get_ms(in)});
    }
    if (RegionTable* region = find_region(state, key)) region->blind = std::move(blind);
  }
  const std::uint32_t one_offs = in.u32();
  for (std::uint32_t i = 0; i < one_offs && in.ok(); ++i) {
    const std::uint64_t key = in.u64();
    if (state.one_off_set.insert(key).second) state.one_offs.push_back(key);
  }
  if (!in.ok()) return fail(Errc::kCorrupt, "checkpoint: shorter than it says");
  return {};
}

std::uint64_t digest_of(const State& state) {
  Bytes bytes = encode_checkpoint(state);
  ByteWriter out{bytes};
  out.u64(state.catalog.version);
  for (const auto& [key, entry] : state.catalog.monitors) {
    put_text(out, key);
    out.u32(entry.spec_rev);
    const auto it = state.monitor_by_id.find(entry.spec.id);
    if (it == state.monitor_by_id.end()) continue;
    const MonitorStateRow& row = state.monitors[it->second].state;
    out.bytes(row.monitor.bytes);
    out.u8(static_cast<std::uint8_t>(row.status));
    put_time(out, row.since);
    put_text(out, row.because);
    out.u64(row.verdict_seq);
    out.bytes(row.incident.value_or(IncidentId{}).bytes);
  }
  for (const auto& [key, index] : state.region_by_key) {
    const RegionTable& region = state.regions[index];
    if (!region.defined) continue;
    put_text(out, key);
    out.u8(region.row.blind ? 1 : 0);
    put_time(out, region.row.since);
    out.bytes(region.row.incident.value_or(IncidentId{}).bytes);
  }
  for (const auto& [id, index] : state.agent_by_id) {
    const AgentTable& agent = state.agents[index];
    out.bytes(id.bytes);
    put_text(out, agent.row.host);
    put_time(out, agent.row.revoked_at.value_or(WallTime{}));
    for (const std::uint64_t n :
         {agent.row.results_stored, agent.row.results_gapped, agent.row.refused_too_old,
          agent.row.refused_future, agent.row.refused_unassigned, agent.row.refused_duplicate,
          agent.row.refused_quarantined, std::uint64_t{agent.row.forks}, agent.epoch,
          std::uint64_t{agent.row.cloned ? 1U : 0U}}) {
      out.u64(n);
    }
    for (const SeriesId series : agent.assigned) out.u32(static_cast<std::uint32_t>(series));
  }
  for (const auto& [id, stream] : state.streams) {
    out.bytes(id.agent.bytes);
    out.u32(id.epoch);
    out.bytes(id.nonce);
    out.u64(stream.high_water);
    out.bytes(stream.digest);
  }
  for (const auto& [id, incident] : state.incidents) {
    out.bytes(id.bytes);
    out.u64(incident.row.number);
    out.u8(static_cast<std::uint8_t>(incident.row.state));
    put_time(out, incident.row.started_at);
    put_time(out, incident.row.opened_at);
    out.u32(incident.row.timeline_seq);
    out.u32(static_cast<std::uint32_t>(incident.row.notified.size()));
    out.u32(static_cast<std::uint32_t>(incident.escalation.step));
    out.u32(static_cast<std::uint32_t>(incident.escalation.repeat));
    put_time(out, incident.escalation.due_at);
    out.u8(incident.escalation.done ? 1 : 0);
    out.u8(incident.escalation.ack_expiry ? 1 : 0);
  }
  for (const auto& [id, enrolment] : state.enrolments) {
    out.bytes(id.bytes);
    out.u8(enrolment.used_at ? 1 : 0);
  }
  out.u64(state.next_incident);
  out.u64(state.event_seq);
  return fnv1a64(as_bytes(bytes));
}

}  // namespace tocsin::collector
