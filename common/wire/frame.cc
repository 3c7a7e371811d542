#include "common/wire/frame.h"

#include "common/base/check.h"
#include "common/wire/convert.h"

#include <google/protobuf/arena.h>

#include <algorithm>
#include <numeric>

namespace tocsin::wire {

namespace {

constexpr std::uint32_t kMagic = 0x31464354;  // "TCF1"
constexpr std::size_t kCrcStart = 12;

void write_stream(ByteWriter& w, const StreamId& stream) {
  w.u32(stream.epoch);
  w.bytes(stream.agent.bytes);
  w.bytes(stream.nonce);
}

Bytes assemble(const FrameRef& ref, const Digest16& previous, const std::string& body) {
  Bytes out;
  out.reserve(kFrameHeaderSize + body.size());
  ByteWriter w{out};
  w.u32(kMagic);
  w.u32(static_cast<std::uint32_t>(kFrameHeaderSize + body.size()));
  w.u32(0);  // The CRC, of what follows it.
  w.u8(static_cast<std::uint8_t>(ref.kind));
  w.u8(static_cast<std::uint8_t>(ref.stream.cls));
  w.u16(ref.stream.shard);
  write_stream(w, ref.stream);
  w.u64(ref.first);
  w.u64(ref.last);
  w.bytes(previous);
  w.u32(ref.results);
  out += body;
  Bytes crc;
  ByteWriter{crc}.u32(crc32c(as_bytes(out).subspan(kCrcStart)));
  out.replace(kCrcStart - crc.size(), crc.size(), crc);
  return out;
}

Expected<Gap> gap_from(const v1::Gap& in, const FrameHeader& header) {
  Gap gap;
  gap.first = header.ref.first;
  if (in.cause() < 1 || in.cause() > 3) {
    return fail(Errc::kCorrupt, "gap.cause: {} is unknown", in.cause());
  }
  gap.cause = static_cast<GapCause>(in.cause());
  const std::size_t n = in.digests().size() / 16;
  const std::uint64_t span = header.ref.last - header.ref.first + 1;
  if (in.digests().size() % 16 != 0 || n != span || n > Gap::kMaxEntries ||
      static_cast<std::size_t>(in.results_size()) != n) {
    return fail(Errc::kCorrupt, "gap: expected {} digests and counts", span);
  }
  gap.frames.resize(n);
  ByteReader reader{as_bytes(in.digests())};
  for (std::size_t i = 0; i < n; ++i) {
    gap.frames[i] = {reader.array<16>(), in.results(static_cast<int>(i))};
  }
  return gap;
}

}  // namespace

Digest16 genesis(const StreamId& stream) {
  Bytes bytes = "tocsin-stream";
  ByteWriter w{bytes};
  w.bytes(stream.agent.bytes);
  w.u32(stream.epoch);
  w.bytes(stream.nonce);
  w.u16(stream.shard);
  w.u8(static_cast<std::uint8_t>(stream.cls));
  return digest16(as_bytes(bytes));
}

Expected<FrameHeader> read_frame_header(ByteSpan bytes) {
  ByteReader r{bytes};
  const std::uint32_t magic = r.u32();
  const std::uint32_t size = r.u32();
  const std::uint32_t crc = r.u32();
  if (bytes.size() < kFrameHeaderSize || magic != kMagic) {
    return fail(Errc::kCorrupt, "not a frame: expected 'TCF1' and at least {} bytes, got {}",
                kFrameHeaderSize, bytes.size());
  }
  if (size != bytes.size() || size > kFrameWireSizeMax) {
    return fail(Errc::kCorrupt, "frame size {} does not fit the {} bytes received", size,
                bytes.size());
  }
  if (crc32c(bytes.subspan(kCrcStart)) != crc) {
    return fail(Errc::kCorrupt, "the frame's checksum does not match its bytes");
  }
  FrameHeader out;
  const std::uint8_t kind = r.u8();
  const std::uint8_t cls = r.u8();
  out.ref.stream.shard = r.u16();
  out.ref.stream.epoch = r.u32();
  out.ref.stream.agent.bytes = r.array<16>();
  out.ref.stream.nonce = r.array<16>();
  out.ref.first = r.u64();
  out.ref.last = r.u64();
  out.previous = r.array<16>();
  out.ref.results = r.u32();
  out.ref.size = size;
  if ((kind != 1 && kind != 2) || (cls != 1 && cls != 2)) {
    return fail(Errc::kCorrupt, "frame kind {} or class {} is unknown", kind, cls);
  }
  out.ref.kind = static_cast<FrameKind>(kind);
  out.ref.stream.cls = static_cast<StreamClass>(cls);
  const bool range_ok = out.ref.first >= 1 && out.ref.last >= out.ref.first &&
                        out.ref.last - out.ref.first < Gap::kMaxEntries &&
                        (out.ref.kind == FrameKind::kGap || out.ref.first == out.ref.last);
  if (!range_ok) {
    return fail(Errc::kCorrupt, "frame range {}..{} is not allowed", out.ref.first, out.ref.last);
  }
  if (out.ref.kind == FrameKind::kResults) out.ref.digest = digest16(bytes);
  return out;
}

Expected<DecodedFrame> decode_frame(ByteSpan bytes) {
  DecodedFrame out;
  TRY_ASSIGN(out.header, read_frame_header(bytes));
  const ByteSpan body = bytes.subspan(kFrameHeaderSize);
  google::protobuf::Arena arena;
  if (out.header.ref.kind == FrameKind::kGap) {
    auto& message = *google::protobuf::Arena::CreateMessage<v1::Gap>(&arena);
    if (!message.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
      return fail(Errc::kCorrupt, "the frame's body is not a gap");
    }
    TRY_ASSIGN(out.gap, gap_from(message, out.header));
    out.header.ref.digest = out.gap.frames.back().digest;
    std::uint64_t results = 0;
    for (const GapEntry& entry : out.gap.frames) results += entry.results;
    if (results != out.header.ref.results) {
      return fail(Errc::kCorrupt, "the gap counts {} results, its header {}", results,
                  out.header.ref.results);
    }
    return out;
  }
  auto& batch = *google::protobuf::Arena::CreateMessage<v1::ResultBatch>(&arena);
  if (!batch.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return fail(Errc::kCorrupt, "the frame's body is not a batch of results");
  }
  if (batch.results_size() < 1 ||
      static_cast<std::size_t>(batch.results_size()) > kFrameResultsMax) {
    return fail(Errc::kCorrupt, "the frame has {} results, expected 1 to {}", batch.results_size(),
                kFrameResultsMax);
  }
  out.results.reserve(static_cast<std::size_t>(batch.results_size()));
  std::uint64_t weight = 0;
  for (const v1::Result& message : batch.results()) {
    auto result = from_proto(message);
    if (!result) continue;
    weight += result->weight();
    out.results.push_back(*std::move(result));
  }
  // What could not be read is what the header counts beyond what could.
  if (weight > out.header.ref.results) {
    return fail(Errc::kCorrupt, "the frame has {} results, its header counts {}", weight,
                out.header.ref.results);
  }
  out.unreadable = static_cast<std::uint32_t>(out.header.ref.results - weight);
  return out;
}

void FrameBody::add(ByteSpan entry, std::uint32_t entry_weight) {
  bytes += as_view(entry);
  ++results;
  weight += entry_weight;
}

void FrameBody::clear() {
  bytes.clear();
  results = 0;
  weight = 0;
}

Bytes encode_results_frame(const StreamId& stream, std::uint64_t seq, const Digest16& previous,
                           const std::vector<CheckResult>& results) {
  CHECK(!results.empty() && results.size() <= kFrameResultsMax);
  FrameBody body;
  for (const CheckResult& result : results) {
    body.add(encode_entry(result), result.weight());
  }
  return encode_results_frame(stream, seq, previous, body);
}

Bytes encode_results_frame(const StreamId& stream, std::uint64_t seq, const Digest16& previous,
                           const FrameBody& body) {
  CHECK(body.results >= 1 && body.results <= kFrameResultsMax);
  FrameRef ref;
  ref.stream = stream;
  ref.first = ref.last = seq;
  ref.results = body.weight;
  return assemble(ref, previous, body.bytes);
}

Bytes encode_gap_frame(const StreamId& stream, const Gap& gap, const Digest16& previous) {
  CHECK(!gap.frames.empty() && gap.frames.size() <= Gap::kMaxEntries);
  v1::Gap message;
  FrameRef ref;
  ref.kind = FrameKind::kGap;
  ref.stream = stream;
  ref.first = gap.first;
  ref.last = gap.last();
  message.set_cause(static_cast<std::uint32_t>(gap.cause));
  for (const GapEntry& entry : gap.frames) {
    message.mutable_digests()->append(byte_string(entry.digest));
    message.add_results(entry.results);
    ref.results += entry.results;
  }
  return assemble(ref, previous, message.SerializeAsString());
}

ByteSpan encode_entry(const CheckResult& result) {
  // Both keep their memory from one result to the next.
  thread_local v1::Result message;
  thread_local Bytes entry;
  message.Clear();
  to_proto(result, message);
  const std::size_t size = message.ByteSizeLong();
  entry.clear();
  // As protobuf writes an element of ResultBatch.results: tag, size, message.
  entry.push_back(static_cast<char>(v1::ResultBatch::kResultsFieldNumber << 3 | 2));
  for (std::size_t left = size;; left >>= 7) {
    const bool more = left >= 0x80;
    entry.push_back(static_cast<char>((left & 0x7f) | (more ? 0x80 : 0)));
    if (!more) break;
  }
  const std::size_t head = entry.size();
  entry.resize(head + size);
  message.SerializeWithCachedSizesToArray(reinterpret_cast<std::uint8_t*>(entry.data() + head));
  return as_bytes(entry);
}

}  // namespace tocsin::wire
