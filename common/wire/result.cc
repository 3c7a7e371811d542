#include "common/wire/result.h"

#include "common/base/strings.h"
#include "common/wire/convert.h"

namespace tocsin::wire {

namespace {

constexpr std::size_t kDetailMax = 512;
constexpr std::size_t kRemoteMax = 128;
constexpr std::size_t kExcerptMax = 4096 + 64;
constexpr std::uint32_t kStatusMax = 999;

/// Texts of the evidence of TLS.
constexpr std::size_t kTextMax = 256;

void to_proto(const CertificateFacts& c, v1::Certificate& out) {
  out.set_subject(c.subject);
  out.set_issuer(c.issuer);
  out.set_serial(c.serial);
  for (const std::string& name : c.names) out.add_names(name);
  out.set_name_count(c.name_count);
  out.set_not_before_us(c.not_before.us);
  out.set_not_after_us(c.not_after.us);
  out.set_key(c.key);
  out.set_signature(c.signature);
  out.set_sha256(c.sha256);
}

void to_proto(const TlsFacts& tls, v1::TlsFacts& out) {
  out.set_version(tls.version);
  out.set_cipher(tls.cipher);
  out.set_alpn(tls.alpn);
  out.set_group(tls.group);
  out.set_server_name(tls.server_name);
  out.set_not_before_us(tls.not_before.us);
  out.set_not_after_us(tls.not_after.us);
  out.set_subject(tls.subject);
  out.set_issuer(tls.issuer);
  out.set_verified(tls.verified);
  out.set_chain_not_after_us(tls.chain_not_after.us);
  out.set_sent(tls.chain_size);
  for (const CertificateFacts& c : tls.chain) to_proto(c, *out.add_chain());
  for (const TlsProblem& p : tls.problems) {
    v1::TlsProblem& problem = *out.add_problems();
    problem.set_reason(static_cast<std::uint32_t>(p.reason));
    problem.set_depth(p.depth);
    problem.set_text(p.text);
  }
  out.set_alert_received(tls.alert_received);
  out.set_alert_sent(tls.alert_sent);
  out.set_ocsp(static_cast<std::uint32_t>(tls.ocsp.status));
  out.set_ocsp_this_update_us(tls.ocsp.this_update.us);
  out.set_ocsp_next_update_us(tls.ocsp.next_update.us);
}

void to_proto(const TcpFacts& in, v1::TcpFacts& out) {
  out.set_state(static_cast<std::uint32_t>(in.state));
  out.set_rtt_us(in.rtt_us);
  out.set_rtt_variation_us(in.rtt_variation_us);
  out.set_retransmissions(in.retransmissions);
  out.set_unacknowledged(in.unacknowledged);
  out.set_bytes_acknowledged(in.bytes_acknowledged);
  out.set_bytes_received(in.bytes_received);
  out.set_mss(in.mss);
  out.set_path_mtu(in.path_mtu);
}

TcpFacts from_proto(const v1::TcpFacts& in) {
  TcpFacts out;
  out.state = static_cast<TcpState>(std::min<std::uint32_t>(in.state(), UINT8_MAX));
  out.rtt_us = in.rtt_us();
  out.rtt_variation_us = in.rtt_variation_us();
  out.retransmissions = in.retransmissions();
  out.unacknowledged = in.unacknowledged();
  out.bytes_acknowledged = in.bytes_acknowledged();
  out.bytes_received = in.bytes_received();
  out.mss = in.mss();
  out.path_mtu = in.path_mtu();
  return out;
}

void to_proto(const Phases& in, v1::Phases& out) {
  out.set_dns_us(in.dns_us);
  out.set_connect_us(in.connect_us);
  out.set_tls_us(in.tls_us);
  out.set_send_us(in.send_us);
  out.set_wait_us(in.wait_us);
  out.set_receive_us(in.receive_us);
  out.set_total_us(in.total_us);
}

Phases from_proto(const v1::Phases& in) {
  return {in.dns_us(),  in.connect_us(), in.tls_us(),  in.send_us(),
          in.wait_us(), in.receive_us(), in.total_us()};
}

void to_proto(const Attempt& attempt, v1::Attempt& out) {
  out.set_start_offset_us(attempt.start_offset_us);
  if (attempt.finding.outcome != Outcome::kUp) {
    out.set_outcome(static_cast<std::uint32_t>(attempt.finding.outcome));
  }
  out.set_reason(static_cast<std::uint32_t>(attempt.finding.reason));
  out.set_detail(attempt.finding.detail);
  to_proto(attempt.phases, *out.mutable_phases());
  out.set_remote(attempt.remote);
  out.set_http_status(attempt.http_status);
  out.set_cert_not_after_ms(attempt.cert_not_after_ms);
  out.set_excerpt(attempt.excerpt);
  for (const std::string& tried : attempt.tried) out.add_tried(tried);
  if (attempt.tls) to_proto(*attempt.tls, *out.mutable_tls());
  out.set_connection(static_cast<std::uint32_t>(attempt.connection));
  for (const HttpHop& hop : attempt.hops) {
    v1::HttpHop& one = *out.add_hops();
    one.set_url(hop.url);
    one.set_remote(hop.remote);
    one.set_status(static_cast<std::uint32_t>(hop.status));
    to_proto(hop.phases, *one.mutable_phases());
  }
  if (attempt.tcp) to_proto(*attempt.tcp, *out.mutable_tcp());
}

Expected<Outcome> read_outcome(std::uint32_t value) {
  if (value == 0) return Outcome::kUp;
  const auto outcome = outcome_from_int(value);
  if (!outcome) return fail(Errc::kCorrupt, "result.outcome: {} is unknown", value);
  return *outcome;
}

/// A reason of a newer peer is kept as its layer's meaning would be lost; it becomes self.internal
/// for no_data and assert.other otherwise, so that the outcome still counts.
Reason read_reason(std::uint32_t value, Outcome outcome) {
  const auto reason = reason_from_int(value);
  if (reason) return *reason;
  return outcome == Outcome::kNoData ? Reason::kSelfInternal : Reason::kAssertOther;
}

Expected<std::string> bounded_text(const std::string& text) {
  if (text.size() > kTextMax) return fail(Errc::kCorrupt, "attempt: a text is too long");
  return printable(text, kTextMax);
}

/// What certificates can say: years 0001 to 9999. Nothing else can be shown.
Expected<WallTime> certificate_time(std::int64_t us) {
  constexpr std::int64_t kFirst = -62'135'596'800'000'000;
  constexpr std::int64_t kLast = 253'402'300'799'000'000;
  if (us < kFirst || us > kLast) return fail(Errc::kCorrupt, "attempt.tls: a time is out of range");
  return WallTime{us};
}

Expected<CertificateFacts> from_proto(const v1::Certificate& in) {
  if (static_cast<std::size_t>(in.names_size()) > CertificateFacts::kNamesMax) {
    return fail(Errc::kCorrupt, "attempt.tls.names: expected at most {}",
                CertificateFacts::kNamesMax);
  }
  CertificateFacts out;
  TRY_ASSIGN(out.subject, bounded_text(in.subject()));
  TRY_ASSIGN(out.issuer, bounded_text(in.issuer()));
  TRY_ASSIGN(out.serial, bounded_text(in.serial()));
  for (const std::string& name : in.names()) {
    TRY_ASSIGN(std::string one, bounded_text(name));
    out.names.push_back(std::move(one));
  }
  out.name_count = in.name_count();
  TRY_ASSIGN(out.not_before, certificate_time(in.not_before_us()));
  TRY_ASSIGN(out.not_after, certificate_time(in.not_after_us()));
  TRY_ASSIGN(out.key, bounded_text(in.key()));
  TRY_ASSIGN(out.signature, bounded_text(in.signature()));
  TRY_ASSIGN(out.sha256, bounded_text(in.sha256()));
  return out;
}

Expected<TlsFacts> from_proto(const v1::TlsFacts& in) {
  if (static_cast<std::size_t>(in.chain_size()) > TlsFacts::kChainMax ||
      static_cast<std::size_t>(in.problems_size()) > TlsFacts::kProblemsMax) {
    return fail(Errc::kCorrupt, "attempt.tls: expected at most {} certificates and {} problems",
                TlsFacts::kChainMax, TlsFacts::kProblemsMax);
  }
  TlsFacts out;
  TRY_ASSIGN(out.version, bounded_text(in.version()));
  TRY_ASSIGN(out.cipher, bounded_text(in.cipher()));
  TRY_ASSIGN(out.alpn, bounded_text(in.alpn()));
  TRY_ASSIGN(out.group, bounded_text(in.group()));
  TRY_ASSIGN(out.server_name, bounded_text(in.server_name()));
  TRY_ASSIGN(out.not_before, certificate_time(in.not_before_us()));
  TRY_ASSIGN(out.not_after, certificate_time(in.not_after_us()));
  TRY_ASSIGN(out.subject, bounded_text(in.subject()));
  TRY_ASSIGN(out.issuer, bounded_text(in.issuer()));
  out.verified = in.verified();
  TRY_ASSIGN(out.chain_not_after, certificate_time(in.chain_not_after_us()));
  out.chain_size = in.sent();
  for (const v1::Certificate& c : in.chain()) {
    TRY_ASSIGN(CertificateFacts facts, from_proto(c));
    out.chain.push_back(std::move(facts));
  }
  for (const v1::TlsProblem& p : in.problems()) {
    TlsProblem problem;
    problem.reason = reason_from_int(p.reason()).value_or(Reason::kTlsVerifyOther);
    problem.depth = p.depth();
    TRY_ASSIGN(problem.text, bounded_text(p.text()));
    out.problems.push_back(std::move(problem));
  }
  TRY_ASSIGN(out.alert_received, bounded_text(in.alert_received()));
  TRY_ASSIGN(out.alert_sent, bounded_text(in.alert_sent()));
  // A status that only a newer agent knows is not told; the result counts all the same.
  if (in.ocsp() <= static_cast<std::uint32_t>(OcspStatus::kUnusable)) {
    out.ocsp.status = static_cast<OcspStatus>(in.ocsp());
  }
  TRY_ASSIGN(out.ocsp.this_update, certificate_time(in.ocsp_this_update_us()));
  TRY_ASSIGN(out.ocsp.next_update, certificate_time(in.ocsp_next_update_us()));
  return out;
}

Expected<Attempt> from_proto(const v1::Attempt& in) {
  if (in.detail().size() > kDetailMax || in.remote().size() > kRemoteMax ||
      in.excerpt().size() > kExcerptMax) {
    return fail(Errc::kCorrupt, "attempt: a text is longer than its bound");
  }
  Attempt out;
  TRY_ASSIGN(out.finding.outcome, read_outcome(in.outcome()));
  out.start_offset_us = in.start_offset_us();
  out.finding.reason = read_reason(in.reason(), out.finding.outcome);
  out.finding.detail = printable(in.detail(), kDetailMax);
  out.phases = from_proto(in.phases());
  out.remote = printable(in.remote(), kRemoteMax);
  out.http_status = in.http_status();
  out.cert_not_after_ms = in.cert_not_after_ms();
  out.excerpt = in.excerpt();
  if (static_cast<std::size_t>(in.tried_size()) > Attempt::kTriedMax) {
    return fail(Errc::kCorrupt, "attempt.tried: expected at most {}", Attempt::kTriedMax);
  }
  for (const std::string& tried : in.tried()) {
    TRY_ASSIGN(std::string one, bounded_text(tried));
    out.tried.push_back(std::move(one));
  }
  if (in.has_tls()) {
    TRY_ASSIGN(TlsFacts tls, from_proto(in.tls()));
    out.tls = std::move(tls);
  }
  // A use that only a newer agent knows stays at cold; the result counts all the same.
  if (in.connection() <= static_cast<std::uint32_t>(ConnectionUse::kReused)) {
    out.connection = static_cast<ConnectionUse>(in.connection());
  }
  if (static_cast<std::size_t>(in.hops_size()) > HttpHop::kHopsMax) {
    return fail(Errc::kCorrupt, "attempt.hops: expected at most {}", HttpHop::kHopsMax);
  }
  for (const v1::HttpHop& hop : in.hops()) {
    TRY_ASSIGN(std::string url, bounded_text(hop.url()));
    out.hops.push_back({std::move(url), printable(hop.remote(), kRemoteMax),
                        static_cast<int>(std::min<std::uint32_t>(hop.status(), kStatusMax)),
                        from_proto(hop.phases())});
  }
  if (in.has_tcp()) out.tcp = from_proto(in.tcp());
  return out;
}

}  // namespace

void to_proto(const CheckResult& result, v1::Result& out) {
  out.set_series(static_cast<std::uint32_t>(result.series));
  out.set_kind(static_cast<std::uint32_t>(result.kind));
  out.set_tick(result.tick);
  if (result.kind == ResultKind::kMissed) out.set_tick_last(result.tick_last);
  out.set_spec_rev(result.spec_rev);
  out.set_config_version(result.config_version);
  out.set_slot_us(static_cast<std::uint64_t>(result.slot.us));
  out.set_queue_us(result.queue_us);
  out.set_duration_us(result.duration_us);
  if (result.outcome != Outcome::kUp) out.set_outcome(static_cast<std::uint32_t>(result.outcome));
  out.set_reason(static_cast<std::uint32_t>(result.reason));
  out.set_missed(static_cast<std::uint32_t>(result.missed));
  if (result.request != Uuid{}) out.set_request(byte_string(result.request));
  for (const Attempt& attempt : result.attempts) to_proto(attempt, *out.add_attempts());
  out.set_clock_offset_ms(result.clock.offset_ms);
  out.set_clock_error_ms(result.clock.error_ms + 1);  // UINT32_MAX, never measured, wraps to 0.
}

Expected<CheckResult> from_proto(const v1::Result& in) {
  CheckResult out;
  if (in.series() == 0) return fail(Errc::kCorrupt, "result.series: expected a series, got 0");
  if (in.kind() > static_cast<std::uint32_t>(ResultKind::kRunNow)) {
    return fail(Errc::kCorrupt, "result.kind: {} is unknown", in.kind());
  }
  if (static_cast<std::size_t>(in.attempts_size()) > CheckResult::kMaxAttempts) {
    return fail(Errc::kCorrupt, "result.attempts: expected at most {}", CheckResult::kMaxAttempts);
  }
  out.series = SeriesId{in.series()};
  out.kind = static_cast<ResultKind>(in.kind());
  out.tick = in.tick();
  out.spec_rev = in.spec_rev();
  out.config_version = in.config_version();
  out.slot = WallTime{static_cast<std::int64_t>(in.slot_us())};
  if (out.slot.us < 0) return fail(Errc::kCorrupt, "result.slot_us: out of range");
  out.queue_us = in.queue_us();
  out.duration_us = in.duration_us();
  TRY_ASSIGN(out.outcome, read_outcome(in.outcome()));
  out.reason = read_reason(in.reason(), out.outcome);
  const auto missed = missed_cause_from_int(in.missed());
  if (!missed) return fail(Errc::kCorrupt, "result.missed: {} is unknown", in.missed());
  out.missed = *missed;
  if (!in.request().empty()) {
    TRY_ASSIGN(out.request, fixed_bytes<16>("result.request", in.request()));
  }
  const bool one_off = out.kind == ResultKind::kConfirm || out.kind == ResultKind::kRunNow;
  const bool is_missed = out.kind == ResultKind::kMissed;
  if (one_off != (out.request != Uuid{})) {
    return fail(Errc::kCorrupt, "result.request: expected exactly with confirm and run-now");
  }
  if (is_missed != (out.outcome == Outcome::kMissed) ||
      is_missed != (out.missed != MissedCause::kNone)) {
    return fail(Errc::kCorrupt, "result.missed: kind, outcome and cause contradict each other");
  }
  if (is_missed) {
    out.tick_last = in.tick_last();
    if (out.tick_last < out.tick) return fail(Errc::kCorrupt, "result.tick_last: before tick");
  } else {
    out.tick_last = out.tick;
  }
  out.attempts.reserve(static_cast<std::size_t>(in.attempts_size()));
  for (const v1::Attempt& attempt : in.attempts()) {
    TRY_ASSIGN(Attempt got, from_proto(attempt));
    out.attempts.push_back(std::move(got));
  }
  out.clock.offset_ms = in.clock_offset_ms();
  out.clock.error_ms = in.clock_error_ms() - 1;
  return out;
}

Bytes encode_result(const CheckResult& result) {
  v1::Result message;
  to_proto(result, message);
  return message.SerializeAsString();
}

Expected<CheckResult> decode_result(ByteSpan bytes) {
  v1::Result message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return fail(Errc::kCorrupt, "these {} bytes are not a result", bytes.size());
  }
  return from_proto(message);
}

}  // namespace tocsin::wire
