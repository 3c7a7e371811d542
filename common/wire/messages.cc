#include "common/wire/messages.h"

#include "common/base/strings.h"
#include "common/wire/convert.h"

namespace tocsin::wire {

namespace {

constexpr std::size_t kTextMax = 512;
/// An assignment is sent in pieces below this by the engine; more is refused as malformed.
constexpr int kSeriesMax = 100'000;

std::uint64_t wall_bits(WallTime t) { return static_cast<std::uint64_t>(t.us); }

WallTime wall_from(std::uint64_t bits) { return {static_cast<std::int64_t>(bits)}; }

Expected<std::string> text(std::string_view field, const std::string& in) {
  if (in.size() > kTextMax)
    return fail(Errc::kCorrupt, "{}: longer than {} bytes", field, kTextMax);
  return printable(in, kTextMax);
}

Expected<Digest16> digest(std::string_view field, const std::string& in) {
  if (in.empty()) return Digest16{};
  return fixed_bytes<16>(field, in);
}

std::uint32_t error_bits(std::uint32_t error_ms) { return error_ms + 1; }

void write(const StreamAck& in, v1::StreamAck& out) {
  to_proto(in.stream, *out.mutable_stream());
  out.set_high_water(in.high_water);
  out.set_digest(byte_string(in.digest));
  out.set_credit(in.credit);
}

Expected<StreamAck> read(const v1::StreamAck& in) {
  StreamAck out;
  TRY_ASSIGN(out.stream, from_proto(in.stream()));
  TRY_ASSIGN(out.digest, digest("ack.digest", in.digest()));
  out.high_water = in.high_water();
  out.credit = in.credit();
  return out;
}

// --- agent to collector ---

void write(const Hello& in, v1::AgentEnvelope& envelope) {
  v1::Hello& out = *envelope.mutable_hello();
  out.set_protocol(in.protocol);
  out.set_capabilities(in.capabilities);
  out.set_version(in.version);
  out.set_host(in.host);
  out.set_boot(byte_string(in.boot));
  for (const StreamOffer& offer : in.streams) {
    v1::StreamOffer& o = *out.add_streams();
    to_proto(offer.stream, *o.mutable_stream());
    o.set_first(offer.first);
    o.set_last(offer.last);
    o.set_last_digest(byte_string(offer.last_digest));
  }
  out.set_assignment_epoch(in.assignment_epoch);
  out.set_wall_us(wall_bits(in.wall));
}

Expected<AgentMessage> read(const v1::Hello& in) {
  Hello out;
  out.protocol = in.protocol();
  out.capabilities = in.capabilities();
  TRY_ASSIGN(out.version, text("hello.version", in.version()));
  TRY_ASSIGN(out.host, text("hello.host", in.host()));
  TRY_ASSIGN(out.boot, fixed_bytes<16>("hello.boot", in.boot()));
  if (static_cast<std::size_t>(in.streams_size()) > Hello::kMaxStreams) {
    return fail(Errc::kCorrupt, "hello.streams: expected at most {}", Hello::kMaxStreams);
  }
  for (const v1::StreamOffer& o : in.streams()) {
    StreamOffer offer;
    TRY_ASSIGN(offer.stream, from_proto(o.stream()));
    TRY_ASSIGN(offer.last_digest, digest("hello.last_digest", o.last_digest()));
    offer.first = o.first();
    offer.last = o.last();
    out.streams.push_back(offer);
  }
  out.assignment_epoch = in.assignment_epoch();
  out.wall = wall_from(in.wall_us());
  return out;
}

void write(const Heartbeat& in, v1::AgentEnvelope& envelope) {
  v1::Heartbeat& out = *envelope.mutable_heartbeat();
  out.set_number(in.number);
  out.set_wall_us(wall_bits(in.wall));
  out.set_health(static_cast<std::uint32_t>(in.health));
  out.set_self_fault(static_cast<std::uint32_t>(in.self_fault));
  out.set_monitors(in.monitors);
  out.set_in_flight(in.in_flight);
  out.set_generated(in.generated);
  out.set_in_spool(in.in_spool);
  out.set_gapped(in.gapped);
  out.set_spool_bytes(in.spool_bytes);
  out.set_spool_bytes_max(in.spool_bytes_max);
  out.set_lateness_p99_ms(in.lateness_p99_ms);
  out.set_clock_offset_ms(in.clock.offset_ms);
  out.set_clock_error_ms(error_bits(in.clock.error_ms));
}

Expected<AgentMessage> read(const v1::Heartbeat& in) {
  if (in.health() < 1 || in.health() > 3) {
    return fail(Errc::kCorrupt, "heartbeat.health: {} is unknown", in.health());
  }
  Heartbeat out;
  out.number = in.number();
  out.wall = wall_from(in.wall_us());
  out.health = static_cast<AgentHealth>(in.health());
  out.self_fault = reason_from_int(in.self_fault()).value_or(Reason::kSelfInternal);
  out.monitors = in.monitors();
  out.in_flight = in.in_flight();
  out.generated = in.generated();
  out.in_spool = in.in_spool();
  out.gapped = in.gapped();
  out.spool_bytes = in.spool_bytes();
  out.spool_bytes_max = in.spool_bytes_max();
  out.lateness_p99_ms = in.lateness_p99_ms();
  out.clock = {in.clock_offset_ms(), in.clock_error_ms() - 1};
  return out;
}

void write(const ConfigApplied& in, v1::AgentEnvelope& envelope) {
  envelope.mutable_config_applied()->set_epoch(in.epoch);
}

void write(const Suspicion& in, v1::AgentEnvelope& envelope) {
  v1::Suspicion& out = *envelope.mutable_suspicion();
  out.set_series(static_cast<std::uint32_t>(in.series));
  out.set_tick(in.tick);
  out.set_spec_rev(in.spec_rev);
  out.set_reason(static_cast<std::uint32_t>(in.reason));
}

void write(const AssignmentWanted& in, v1::AgentEnvelope& envelope) {
  envelope.mutable_assignment_wanted()->set_have(in.have);
}

void write(const Goodbye& in, v1::AgentEnvelope& envelope) {
  envelope.mutable_goodbye()->set_why(in.why);
}

void write(const Enrol& in, v1::AgentEnvelope& envelope) {
  v1::Enrol& out = *envelope.mutable_enrol();
  out.set_public_key(in.public_key);
  out.set_version(in.version);
  out.set_host(in.host);
}

Expected<AgentMessage> read(const v1::Enrol& in) {
  Enrol out;
  if (in.public_key().size() != 40) {
    return fail(Errc::kCorrupt, "enrol.public_key: expected 40 characters of Z85");
  }
  out.public_key = in.public_key();
  TRY_ASSIGN(out.version, text("enrol.version", in.version()));
  TRY_ASSIGN(out.host, text("enrol.host", in.host()));
  return out;
}

// --- collector to agent ---

void write(const Welcome& in, v1::CollectorEnvelope& envelope) {
  v1::Welcome& out = *envelope.mutable_welcome();
  out.set_protocol(in.protocol);
  out.set_region(in.region);
  for (const StreamAck& ack : in.streams) write(ack, *out.add_streams());
  out.set_wall_us(wall_bits(in.wall));
  out.set_heartbeat_ms(static_cast<std::uint32_t>(in.heartbeat.count() / 1000));
}

Expected<CollectorMessage> read(const v1::Welcome& in) {
  Welcome out;
  out.protocol = in.protocol();
  TRY_ASSIGN(out.region, text("welcome.region", in.region()));
  for (const v1::StreamAck& a : in.streams()) {
    TRY_ASSIGN(StreamAck ack, read(a));
    out.streams.push_back(ack);
  }
  out.wall = wall_from(in.wall_us());
  if (in.heartbeat_ms() < 100 || in.heartbeat_ms() > 60'000) {
    return fail(Errc::kCorrupt, "welcome.heartbeat: {} ms is out of range", in.heartbeat_ms());
  }
  out.heartbeat = std::chrono::milliseconds{in.heartbeat_ms()};
  return out;
}

void write(const Ack& in, v1::CollectorEnvelope& envelope) {
  write(in.stream, *envelope.mutable_ack()->mutable_stream());
}

void write(const Nack& in, v1::CollectorEnvelope& envelope) {
  v1::Nack& out = *envelope.mutable_nack();
  write(in.stream, *out.mutable_stream());
  out.set_code(static_cast<std::uint32_t>(in.code));
  out.set_retry_after_ms(static_cast<std::uint32_t>(in.retry_after.count() / 1000));
}

Expected<CollectorMessage> read(const v1::Nack& in) {
  Nack out;
  TRY_ASSIGN(out.stream, read(in.stream()));
  if (in.code() < 1 || in.code() > 4) return fail(Errc::kCorrupt, "nack.code: {}", in.code());
  out.code = static_cast<NackCode>(in.code());
  out.retry_after = std::chrono::milliseconds{std::min(in.retry_after_ms(), 600'000U)};
  return out;
}

void write(const Assignment& in, v1::CollectorEnvelope& envelope) {
  v1::Assignment& out = *envelope.mutable_assignment();
  out.set_base(in.base);
  out.set_epoch(in.epoch);
  out.set_config_version(in.config_version);
  for (const AssignedSeries& s : in.put) {
    v1::AssignedSeries& o = *out.add_put();
    o.set_series(static_cast<std::uint32_t>(s.series));
    o.set_monitor(byte_string(s.monitor.bytes));
    o.set_key(s.key);
    o.set_spec_rev(s.spec_rev);
    o.set_shard(s.shard);
    o.set_interval_ms(static_cast<std::uint64_t>(s.grid.interval_ms));
    o.set_phase_ms(static_cast<std::uint64_t>(s.grid.phase_ms));
    o.set_confirm(s.confirm);
    if (s.unreadable.empty()) to_proto(s.spec, *o.mutable_spec());
  }
  for (const SeriesId series : in.drop) out.add_drop(static_cast<std::uint32_t>(series));
  out.set_more(in.more);
  for (const AssignedSecret& secret : in.secrets) {
    v1::AssignedSecret& o = *out.add_secrets();
    o.set_name(secret.name);
    o.set_value(secret.value);
  }
}

Expected<AssignedSeries> read(const v1::AssignedSeries& in) {
  AssignedSeries out;
  if (in.series() == 0 || in.shard() > 65535) {
    return fail(Errc::kCorrupt, "assignment: series or shard out of range");
  }
  out.series = SeriesId{in.series()};
  TRY_ASSIGN(out.monitor.bytes, fixed_bytes<16>("assignment.monitor", in.monitor()));
  TRY_ASSIGN(out.key, text("assignment.key", in.key()));
  out.spec_rev = in.spec_rev();
  out.shard = static_cast<std::uint16_t>(in.shard());
  if (in.interval_ms() < 1000 || in.interval_ms() > 86'400'000 ||
      in.phase_ms() >= in.interval_ms()) {
    return fail(Errc::kCorrupt, "assignment.grid: {} + {} ms is out of range", in.interval_ms(),
                in.phase_ms());
  }
  out.grid = {static_cast<std::int64_t>(in.interval_ms()),
              static_cast<std::int64_t>(in.phase_ms())};
  out.confirm = in.confirm();
  auto spec = from_proto(in.spec());
  if (spec) {
    out.spec = *std::move(spec);
  } else if (spec.error().code == Errc::kUnsupported) {
    out.unreadable = spec.error().text;  // Of a newer collector; what else is assigned can run.
  } else {
    return Unexpected{std::move(spec).error()};
  }
  return out;
}

Expected<CollectorMessage> read(const v1::Assignment& in) {
  if (in.put_size() > kSeriesMax || in.drop_size() > kSeriesMax || in.secrets_size() > kSeriesMax) {
    return fail(Errc::kCorrupt, "assignment: more than {} series", kSeriesMax);
  }
  Assignment out;
  out.base = in.base();
  out.epoch = in.epoch();
  out.config_version = in.config_version();
  for (const v1::AssignedSeries& s : in.put()) {
    TRY_ASSIGN(AssignedSeries series, read(s));
    out.put.push_back(std::move(series));
  }
  for (const std::uint32_t series : in.drop()) out.drop.push_back(SeriesId{series});
  out.more = in.more();
  for (const v1::AssignedSecret& secret : in.secrets()) {
    if (!is_key(secret.name())) {
      return fail(Errc::kCorrupt, "assignment.secrets: expected a name of [a-z0-9-]");
    }
    out.secrets.push_back({secret.name(), secret.value()});
  }
  return out;
}

void write(const RunRequest& in, v1::CollectorEnvelope& envelope) {
  v1::RunRequest& out = *envelope.mutable_run_request();
  out.set_request(byte_string(in.request));
  out.set_series(static_cast<std::uint32_t>(in.series));
  out.set_spec_rev(in.spec_rev);
  out.set_kind(static_cast<std::uint32_t>(in.kind));
}

Expected<CollectorMessage> read(const v1::RunRequest& in) {
  RunRequest out;
  TRY_ASSIGN(out.request, fixed_bytes<16>("run_request.request", in.request()));
  out.series = SeriesId{in.series()};
  out.spec_rev = in.spec_rev();
  if (in.kind() != 2 && in.kind() != 3)
    return fail(Errc::kCorrupt, "run_request.kind: {}", in.kind());
  out.kind = static_cast<ResultKind>(in.kind());
  return out;
}

void write(const HeartbeatReply& in, v1::CollectorEnvelope& envelope) {
  v1::HeartbeatReply& out = *envelope.mutable_heartbeat_reply();
  out.set_number(in.number);
  out.set_t1_us(wall_bits(in.t1));
  out.set_t2_us(wall_bits(in.t2));
  out.set_t3_us(wall_bits(in.t3));
}

void write(const Refused& in, v1::CollectorEnvelope& envelope) {
  envelope.mutable_refused()->set_code(static_cast<std::uint32_t>(in.code));
  envelope.mutable_refused()->set_text(in.text);
}

Expected<CollectorMessage> read(const v1::Refused& in) {
  if (in.code() < 1 || in.code() > 5)
    return fail(Errc::kUnsupported, "refused.code: {}", in.code());
  TRY_ASSIGN(std::string why, text("refused.text", in.text()));
  return Refused{static_cast<RefusalCode>(in.code()), std::move(why)};
}

void write(const Enrolled& in, v1::CollectorEnvelope& envelope) {
  envelope.mutable_enrolled()->set_agent(byte_string(in.agent.bytes));
  envelope.mutable_enrolled()->set_region(in.region);
}

Expected<CollectorMessage> read(const v1::Enrolled& in) {
  Enrolled out;
  TRY_ASSIGN(out.agent.bytes, fixed_bytes<16>("enrolled.agent", in.agent()));
  TRY_ASSIGN(out.region, text("enrolled.region", in.region()));
  return out;
}

}  // namespace

Bytes encode_head(PartKind kind) {
  return {static_cast<char>(kind), static_cast<char>(kProtocolVersion)};
}

Expected<Head> decode_head(ByteSpan bytes) {
  if (bytes.size() != 2 || bytes[0] < 1 || bytes[0] > 3) {
    return fail(Errc::kCorrupt, "message head: expected 2 bytes with kind 1, 2 or 3");
  }
  return Head{static_cast<PartKind>(bytes[0]), bytes[1]};
}

Bytes encode(const AgentMessage& message) {
  v1::AgentEnvelope envelope;
  std::visit([&](const auto& m) { write(m, envelope); }, message);
  return envelope.SerializeAsString();
}

Bytes encode(const CollectorMessage& message) {
  v1::CollectorEnvelope envelope;
  std::visit([&](const auto& m) { write(m, envelope); }, message);
  return envelope.SerializeAsString();
}

std::vector<Bytes> encode_in_pieces(const CollectorMessage& message) {
  std::vector<Bytes> out;
  const auto* whole = std::get_if<Assignment>(&message);
  Bytes all = encode(message);
  if (whole == nullptr || all.size() <= kPieceSizeMax) {
    out.push_back(std::move(all));
    return out;
  }
  Assignment piece{whole->base, whole->epoch, whole->config_version, {}, whole->drop, true};
  std::size_t size = whole->drop.size() * 5;
  /// Room for what `alone` is besides its head; the piece before goes out when there is none.
  const auto make_room = [&](const Assignment& alone) {
    const std::size_t adds = encode(CollectorMessage{alone}).size();
    if (size + adds > kPieceSizeMax && size > 0) {
      out.push_back(encode(CollectorMessage{piece}));
      piece.put.clear();
      piece.drop.clear();
      piece.secrets.clear();
      size = 0;
    }
    size += adds;
  };
  for (const AssignedSecret& secret : whole->secrets) {
    make_room({0, 0, 0, {}, {}, false, {secret}});
    piece.secrets.push_back(secret);
  }
  for (const AssignedSeries& series : whole->put) {
    make_room({0, 0, 0, {series}, {}, false});
    piece.put.push_back(series);
  }
  piece.more = false;
  out.push_back(encode(CollectorMessage{piece}));
  return out;
}

Expected<AgentMessage> decode_agent_message(ByteSpan bytes) {
  v1::AgentEnvelope in;
  if (!in.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return fail(Errc::kCorrupt, "these {} bytes are not an agent's message", bytes.size());
  }
  switch (in.message_case()) {
    case v1::AgentEnvelope::kHello:
      return read(in.hello());
    case v1::AgentEnvelope::kHeartbeat:
      return read(in.heartbeat());
    case v1::AgentEnvelope::kConfigApplied:
      return ConfigApplied{in.config_applied().epoch()};
    case v1::AgentEnvelope::kSuspicion:
      return Suspicion{SeriesId{in.suspicion().series()}, in.suspicion().tick(),
                       in.suspicion().spec_rev(),
                       reason_from_int(in.suspicion().reason()).value_or(Reason::kAssertOther)};
    case v1::AgentEnvelope::kAssignmentWanted:
      return AssignmentWanted{in.assignment_wanted().have()};
    case v1::AgentEnvelope::kGoodbye: {
      TRY_ASSIGN(std::string why, text("goodbye.why", in.goodbye().why()));
      return Goodbye{std::move(why)};
    }
    case v1::AgentEnvelope::kEnrol:
      return read(in.enrol());
    case v1::AgentEnvelope::MESSAGE_NOT_SET:
      break;
  }
  return fail(Errc::kUnsupported, "an agent's message of a kind unknown to this version");
}

Expected<CollectorMessage> decode_collector_message(ByteSpan bytes) {
  v1::CollectorEnvelope in;
  if (!in.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return fail(Errc::kCorrupt, "these {} bytes are not a collector's message", bytes.size());
  }
  switch (in.message_case()) {
    case v1::CollectorEnvelope::kWelcome:
      return read(in.welcome());
    case v1::CollectorEnvelope::kAck: {
      TRY_ASSIGN(StreamAck ack, read(in.ack().stream()));
      return Ack{ack};
    }
    case v1::CollectorEnvelope::kNack:
      return read(in.nack());
    case v1::CollectorEnvelope::kAssignment:
      return read(in.assignment());
    case v1::CollectorEnvelope::kRunRequest:
      return read(in.run_request());
    case v1::CollectorEnvelope::kHeartbeatReply:
      return HeartbeatReply{in.heartbeat_reply().number(), wall_from(in.heartbeat_reply().t1_us()),
                            wall_from(in.heartbeat_reply().t2_us()),
                            wall_from(in.heartbeat_reply().t3_us())};
    case v1::CollectorEnvelope::kRefused:
      return read(in.refused());
    case v1::CollectorEnvelope::kEnrolled:
      return read(in.enrolled());
    case v1::CollectorEnvelope::MESSAGE_NOT_SET:
      break;
  }
  return fail(Errc::kUnsupported, "a collector's message of a kind unknown to this version");
}

}  // namespace tocsin::wire
