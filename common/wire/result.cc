#include "common/wire/result.h"

#include "common/base/strings.h"
#include "common/wire/convert.h"

namespace tocsin::wire {

namespace {

constexpr std::size_t kDetailMax = 512;
constexpr std::size_t kRemoteMax = 128;
constexpr std::size_t kExcerptMax = 4096 + 64;

void to_proto(const Attempt& attempt, v1::Attempt& out) {
  out.set_start_offset_us(attempt.start_offset_us);
  if (attempt.finding.outcome != Outcome::kUp) {
    out.set_outcome(static_cast<std::uint32_t>(attempt.finding.outcome));
  }
  out.set_reason(static_cast<std::uint32_t>(attempt.finding.reason));
  out.set_detail(attempt.finding.detail);
  v1::Phases& phases = *out.mutable_phases();
  phases.set_dns_us(attempt.phases.dns_us);
  phases.set_connect_us(attempt.phases.connect_us);
  phases.set_tls_us(attempt.phases.tls_us);
  phases.set_send_us(attempt.phases.send_us);
  phases.set_wait_us(attempt.phases.wait_us);
  phases.set_receive_us(attempt.phases.receive_us);
  phases.set_total_us(attempt.phases.total_us);
  out.set_remote(attempt.remote);
  out.set_http_status(attempt.http_status);
  out.set_cert_not_after_ms(attempt.cert_not_after_ms);
  out.set_excerpt(attempt.excerpt);
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
  out.phases = {in.phases().dns_us(),  in.phases().connect_us(), in.phases().tls_us(),
                in.phases().send_us(), in.phases().wait_us(),    in.phases().receive_us(),
                in.phases().total_us()};
  out.remote = printable(in.remote(), kRemoteMax);
  out.http_status = in.http_status();
  out.cert_not_after_ms = in.cert_not_after_ms();
  out.excerpt = in.excerpt();
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
