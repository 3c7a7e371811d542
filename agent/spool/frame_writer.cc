#include "agent/spool/frame_writer.h"

#include "common/base/check.h"
#include "common/base/crash_point.h"
#include "common/wire/frame.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <deque>
#include <map>
#include <set>

namespace tocsin::agent {

namespace {

constexpr Duration kRetryEvery = std::chrono::seconds{5};
constexpr const char* kEpochFile = "epoch";

enum class SegmentClass : std::uint8_t { kAlert = 0, kRoutine = 1, kGap = 2 };
constexpr std::array<const char*, 3> kClassNames{"alert", "routine", "gap"};

SegmentClass segment_class(const FrameRef& ref) {
  if (ref.kind == FrameKind::kGap) return SegmentClass::kGap;
  return ref.stream.cls == StreamClass::kAlert ? SegmentClass::kAlert : SegmentClass::kRoutine;
}

struct SegmentName {
  SegmentClass cls = SegmentClass::kRoutine;
  std::uint64_t number = 0;
  std::uint64_t count = 0;
};

std::string format_name(const SegmentName& n) {
  return fmt::format("{}-{:010}-{:016x}.seg", kClassNames[static_cast<std::size_t>(n.cls)],
                     n.number, n.count);
}

std::optional<SegmentName> parse_name(std::string_view name) {
  if (!name.ends_with(".seg")) return std::nullopt;
  name.remove_suffix(4);
  for (std::size_t c = 0; c < kClassNames.size(); ++c) {
    const std::string_view cls = kClassNames[c];
    if (!name.starts_with(cls) || name.size() != cls.size() + 1 + 10 + 1 + 16) continue;
    const std::string_view number = name.substr(cls.size() + 1, 10);
    const std::string_view count = name.substr(cls.size() + 12, 16);
    SegmentName out{static_cast<SegmentClass>(c), 0, 0};
    const auto a = std::from_chars(number.begin(), number.end(), out.number);
    const auto b = std::from_chars(count.begin(), count.end(), out.count, 16);
    if (a.ptr != number.end() || b.ptr != count.end()) return std::nullopt;
    return out;
  }
  return std::nullopt;
}

struct Segment {
  std::string name;
  SegmentClass cls = SegmentClass::kRoutine;
  std::uint64_t number = 0;
  std::uint64_t size = 0;
  std::uint32_t unacked = 0;         ///< Frames in it that are neither acknowledged nor replaced.
  bool damaged = false;              ///< Kept for a person to look at instead of unlinked.
  std::uint64_t results_before = 0;  ///< Recovery only: what its name says,
  std::uint64_t results = 0;         ///< and what is in it and in no later segment.
};

struct Frame {
  FrameRef ref;
  Digest16 previous{};
  Segment* segment = nullptr;  ///< nullptr: only in memory.
  std::uint64_t offset = 0;
  Bytes bytes;                    ///< Kept until synced.
  std::vector<GapEntry> entries;  ///< Gaps only.
  bool synced = false;
  bool acked = false;
  bool gone = false;  ///< Its segment is unlinked, or a Gap or a restream took its place.
};

/// Shared by the order of its stream, the content of its segment and the queue of what is not
/// synced; none of the three alone lives as long as the others need it.
using FramePtr = std::shared_ptr<Frame>;

struct Stream {
  StreamId id;
  std::deque<FramePtr> frames;  ///< In order, without holes except while recovering.
  std::uint64_t next_seq = 1;
  Digest16 last_digest{};  ///< What the next frame chains to.
  std::uint64_t acked = 0;
  std::uint64_t synced = 0;  ///< Last synced seq.
  Digest16 synced_digest{};
};

struct OpenFrame {
  wire::FrameBody body;
  MonoTime opened;
};

using OpenKey = std::pair<StreamClass, std::uint16_t>;

}  // namespace

struct FrameWriter::Impl {
  Impl(Disk& d, Options o)
      : disk(d),
        options(std::move(o)) {}

  // --- recovery ---
  Expected<void> recover();
  void read_segment(const SegmentName& name, const std::string& file, std::uint64_t size);
  void link_streams();
  Expected<void> start_epoch();

  // --- writing ---
  void close(const OpenKey& key, OpenFrame& open);
  Stream& current(const OpenKey& key);
  void enqueue(Stream& stream, const FramePtr& frame);
  bool append(const FramePtr& frame);
  void abandon_segments();
  void append_all();
  Segment& segment_for(SegmentClass cls);
  void start_sync();
  void finish_sync(std::size_t count, const Expected<void>& done);
  void failed(const std::string& why);
  void shrink_memory();

  // --- forgetting ---
  void ack_frame(Frame& frame);
  void collect();
  void remove_segment(Segment& segment);
  void enforce_bound();
  bool drop_oldest(SegmentClass cls);
  void replace_by_gap(Stream& stream, std::size_t from, std::size_t to, GapCause cause);
  void trim(Stream& stream);

  void emit(SpoolEvent event) { options.on_event(std::move(event)); }

  Stream* find(const StreamId& id) {
    const auto at = streams.find(id);
    return at == streams.end() ? nullptr : &at->second;
  }

  Disk& disk;
  Options options;
  std::map<StreamId, Stream> streams;
  std::map<OpenKey, OpenFrame> open_frames;
  std::map<std::pair<SegmentClass, std::uint64_t>, std::unique_ptr<Segment>> segments;
  std::map<const Segment*, std::vector<FramePtr>> content;
  std::array<Segment*, 3> current_segment{};
  std::array<std::uint64_t, 3> counted{};  ///< Results per class, for the next segment's name.
  std::uint64_t restreamed = 0;            ///< Of them, those that were framed before.
  std::deque<FramePtr> unsynced;
  std::size_t unsynced_bytes = 0;
  std::vector<Segment*> remove_after_sync;
  std::vector<std::vector<StreamId>> restreams_after_sync;
  bool syncing = false;
  std::uint64_t rewrites = 0;  ///< A sync that began before the last one proves nothing.
  int failures = 0;
  MonoTime retry_at = MonoTime::never();
  std::string degraded;
  std::uint64_t total_bytes = 0;
  std::uint64_t held = 0;
  std::uint32_t epoch = 0;
  Uuid nonce{};
  Now last_now;
  /// A completion that comes after our end must not touch us.
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
};

// --- recovery ---

Expected<void> FrameWriter::Impl::recover() {
  TRY_ASSIGN(const std::vector<Disk::File> files, disk.list());
  for (const Disk::File& file : files) {
    if (const auto name = parse_name(file.name)) read_segment(*name, file.name, file.size);
  }
  link_streams();
  const auto bytes = disk.read(kEpochFile, 0, 64);
  ByteReader r{bytes ? as_bytes(*bytes) : ByteSpan{}};
  const std::uint32_t stored_epoch = r.u32();
  const std::uint64_t stored_restreamed = r.u64();
  const std::uint32_t crc = r.u32();
  if (r.ok() && crc == crc32c(as_bytes(*bytes).first(12))) {
    epoch = stored_epoch;
    restreamed = stored_restreamed;
  }
  for (const auto& [id, stream] : streams) epoch = std::max(epoch, id.epoch);
  return start_epoch();
}

void FrameWriter::Impl::read_segment(const SegmentName& name, const std::string& file,
                                     std::uint64_t size) {
  auto owned = std::make_unique<Segment>();
  Segment& segment = *owned;
  segment.name = file;
  segment.cls = name.cls;
  segment.number = name.number;
  segment.size = size;
  segments[{name.cls, name.number}] = std::move(owned);
  segment.results_before = name.count;
  total_bytes += size;
  const auto bytes = disk.read(file, 0, static_cast<std::size_t>(size));
  if (!bytes) {
    segment.damaged = true;
  } else {
    const ByteSpan all = as_bytes(*bytes);
    std::size_t at = 0;
    std::size_t damage_at = SIZE_MAX;
    while (at + wire::kFrameHeaderSize <= all.size()) {
      ByteReader head{all.subspan(at + 4, 4)};
      const std::size_t frame_size = head.u32();
      const bool fits = frame_size >= wire::kFrameHeaderSize && frame_size <= all.size() - at;
      const auto header = fits ? wire::read_frame_header(all.subspan(at, frame_size))
                               : fail(Errc::kCorrupt, "size");
      if (!header || header->ref.stream.agent != options.agent) {
        // Look for the next frame: a torn tail has none, damage in the middle has one.
        if (damage_at == SIZE_MAX) damage_at = at;
        const std::size_t next = as_view(all).find("TCF1", at + 1);
        if (next == std::string_view::npos) break;
        at = next;
        continue;
      }
      if (damage_at != SIZE_MAX) segment.damaged = true;
      damage_at = SIZE_MAX;
      auto frame = std::make_shared<Frame>();
      frame->ref = header->ref;
      frame->previous = header->previous;
      frame->segment = &segment;
      frame->offset = at;
      frame->synced = true;
      if (frame->ref.kind == FrameKind::kGap) {
        auto decoded = wire::decode_frame(all.subspan(at, frame_size));
        if (!decoded) {
          segment.damaged = true;
          at += frame_size;
          continue;
        }
        frame->ref = decoded->header.ref;
        frame->entries = std::move(decoded->gap.frames);
      }
      segment.results += frame->ref.results;
      ++segment.unacked;
      content[&segment].push_back(frame);
      Stream& stream = streams[frame->ref.stream];
      stream.id = frame->ref.stream;
      stream.frames.push_back(std::move(frame));
      at += frame_size;
    }
  }
}

/// Orders each stream and closes its holes: a Gap wins over the frames it replaces (it may have
/// been sent), a hole between neighbours becomes a Gap(corrupt) when it is one frame wide (both
/// digests are known then), otherwise the stream is written anew.
void FrameWriter::Impl::link_streams() {
  for (auto& [id, stream] : streams) {
    std::stable_sort(stream.frames.begin(), stream.frames.end(),
                     [](const FramePtr& a, const FramePtr& b) {
                       if (a->ref.first != b->ref.first) return a->ref.first < b->ref.first;
                       return a->ref.last > b->ref.last;
                     });
    std::uint64_t covered_by_gap = 0;
    for (const FramePtr& f : stream.frames) {
      if (f->ref.last <= covered_by_gap) {
        f->gone = true;
        --f->segment->unacked;
      } else if (f->ref.kind == FrameKind::kGap) {
        covered_by_gap = f->ref.last;
      }
    }
    // A frame that is written twice (S3 abandons a segment whose bytes may have reached the disk).
    for (std::size_t i = 1; i < stream.frames.size(); ++i) {
      Frame& before = *stream.frames[i - 1];
      Frame& f = *stream.frames[i];
      if (!f.gone && !before.gone && f.ref.first == before.ref.first) {
        before.gone = true;
        --before.segment->unacked;
        before.segment->results -= before.ref.results;
      }
    }
    std::erase_if(stream.frames, [](const FramePtr& f) { return f->gone; });
  }
  std::erase_if(streams, [](const auto& entry) { return entry.second.frames.empty(); });
  for (const auto& [key, segment] : segments) {
    std::uint64_t& all = counted[static_cast<std::size_t>(segment->cls)];
    all = std::max(all, segment->results_before + segment->results);
  }
  for (auto& [id, stream] : streams) {
    for (const FramePtr& f : stream.frames) {
      if (f->ref.kind == FrameKind::kResults) held += f->ref.results;
    }
    const Frame& last = *stream.frames.back();
    stream.next_seq = last.ref.last + 1;
    stream.last_digest = stream.synced_digest = last.ref.digest;
    stream.synced = last.ref.last;
  }
}

Expected<void> FrameWriter::Impl::start_epoch() {
  ++epoch;
  Bytes bytes;
  ByteWriter w{bytes};
  w.u32(epoch);
  w.u64(restreamed);
  w.u32(crc32c(as_bytes(bytes)));
  TRY(disk.replace(kEpochFile, as_bytes(bytes)));
  nonce = options.make_nonce();
  return {};
}

// --- writing ---

Stream& FrameWriter::Impl::current(const OpenKey& key) {
  const StreamId id{options.agent, epoch, nonce, key.second, key.first};
  const auto [at, fresh] = streams.try_emplace(id);
  if (fresh) {
    at->second.id = id;
    at->second.last_digest = at->second.synced_digest = wire::genesis(id);
  }
  return at->second;
}

void FrameWriter::Impl::close(const OpenKey& key, OpenFrame& open) {
  if (open.body.results == 0) return;
  Stream& stream = current(key);
  auto frame = std::make_shared<Frame>();
  frame->previous = stream.last_digest;
  frame->bytes =
      wire::encode_results_frame(stream.id, stream.next_seq, stream.last_digest, open.body);
  const auto header = wire::read_frame_header(as_bytes(frame->bytes));
  CHECK(header.has_value());
  frame->ref = header->ref;
  open.body.clear();
  enqueue(stream, frame);
}

void FrameWriter::Impl::enqueue(Stream& stream, const FramePtr& frame) {
  stream.next_seq = frame->ref.last + 1;
  stream.last_digest = frame->ref.digest;
  stream.frames.push_back(frame);
  unsynced_bytes += frame->bytes.size();
  unsynced.push_back(frame);
  if (degraded.empty()) {
    if (!append(frame)) failed(degraded);
  } else {
    shrink_memory();
  }
}

Segment& FrameWriter::Impl::segment_for(SegmentClass cls) {
  const auto c = static_cast<std::size_t>(cls);
  Segment* segment = current_segment[c];
  if (segment != nullptr && segment->size < options.segment_bytes) return *segment;
  std::uint64_t number = 1;
  for (const auto& [key, existing] : segments) {
    if (key.first == cls) number = std::max(number, key.second + 1);
  }
  auto fresh = std::make_unique<Segment>();
  fresh->cls = cls;
  fresh->number = number;
  fresh->name = format_name({cls, number, counted[c]});
  current_segment[c] = fresh.get();
  return *(segments[{cls, number}] = std::move(fresh));
}

/// False, with `degraded` saying why, when the disk refused.
bool FrameWriter::Impl::append(const FramePtr& frame) {
  const SegmentClass cls = segment_class(frame->ref);
  Segment& segment = segment_for(cls);
  const auto done = disk.append(segment.name, as_bytes(frame->bytes));
  TOCSIN_CRASH_POINT("spool.append.after");
  if (!done) {
    degraded = done.error().text;
    return false;
  }
  frame->segment = &segment;
  frame->offset = segment.size;
  segment.size += frame->bytes.size();
  ++segment.unacked;
  total_bytes += frame->bytes.size();
  counted[static_cast<std::size_t>(cls)] += frame->ref.results;
  content[&segment].push_back(frame);
  return true;
}

/// Takes the un-synced frames out of their segments; what follows goes to new ones.
void FrameWriter::Impl::abandon_segments() {
  ++rewrites;
  for (const FramePtr& frame : unsynced) {
    if (frame->segment == nullptr) continue;
    if (!frame->acked && !frame->gone) --frame->segment->unacked;
    std::erase(content[frame->segment], frame);
    const auto c = static_cast<std::size_t>(frame->segment->cls);
    counted[c] -= std::min<std::uint64_t>(counted[c], frame->ref.results);
    frame->segment = nullptr;
  }
  current_segment = {};
}

void FrameWriter::Impl::append_all() {
  abandon_segments();
  degraded.clear();
  for (const FramePtr& frame : unsynced) {
    if (!append(frame)) return;
  }
}

void FrameWriter::Impl::failed(const std::string& why) {
  ++failures;
  if (failures == 1) {
    append_all();
    if (degraded.empty()) return;
    ++failures;
  }
  degraded = why.empty() ? degraded : why;
  retry_at = last_now.mono + kRetryEvery;
  abandon_segments();
}

void FrameWriter::Impl::start_sync() {
  if (syncing || unsynced.empty() || !degraded.empty()) return;
  std::set<std::string> names;
  for (const FramePtr& frame : unsynced) {
    CHECK(frame->segment != nullptr);
    names.insert(frame->segment->name);
  }
  syncing = true;
  const std::size_t count = unsynced.size();
  TOCSIN_CRASH_POINT("spool.sync.before");
  disk.sync(
      {names.begin(), names.end()},
      [this, count, at = rewrites, weak = std::weak_ptr<bool>(alive)](const Expected<void>& done) {
        if (weak.expired()) return;
        // The frames moved to other files meanwhile: this sync was of the old ones.
        finish_sync(at == rewrites ? count : 0, done);
      });
}

void FrameWriter::Impl::finish_sync(std::size_t count, const Expected<void>& done) {
  syncing = false;
  TOCSIN_CRASH_POINT("spool.sync.after");
  if (!done) {
    failed(done.error().text);
    start_sync();
    return;
  }
  if (count > 0) failures = 0;
  std::vector<SpoolEvent> events;
  for (std::size_t i = 0; i < count && !unsynced.empty(); ++i) {
    const FramePtr frame = unsynced.front();
    unsynced.pop_front();
    unsynced_bytes -= frame->bytes.size();
    frame->bytes = {};
    frame->synced = true;
    if (frame->gone) continue;
    Stream* stream = find(frame->ref.stream);
    CHECK(stream != nullptr);
    if (frame->ref.last > stream->synced) {
      stream->synced = frame->ref.last;
      stream->synced_digest = frame->ref.digest;
    }
    if (frame->ref.kind == FrameKind::kGap) {
      events.emplace_back(FramesReplaced{frame->ref});
    } else {
      events.emplace_back(FrameSynced{frame->ref});
    }
  }
  if (unsynced.empty()) {
    for (Segment* segment : remove_after_sync) remove_segment(*segment);
    remove_after_sync.clear();
    for (const std::vector<StreamId>& old : restreams_after_sync) {
      for (const StreamId& id : old) {
        Stream* stream = find(id);
        if (stream == nullptr) continue;
        for (const FramePtr& frame : stream->frames) {
          if (!frame->acked) ack_frame(*frame);
          frame->gone = true;
        }
        streams.erase(id);
      }
      events.emplace_back(Restreamed{old});
    }
    restreams_after_sync.clear();
    collect();
  }
  start_sync();
  const std::weak_ptr<bool> still = alive;
  for (SpoolEvent& event : events) {
    if (still.expired()) return;
    emit(std::move(event));
  }
}

/// Memory mode at its bound: the oldest un-synced routine frames become a Gap, then alert ones.
void FrameWriter::Impl::shrink_memory() {
  while (unsynced_bytes > kMemoryMax && unsynced.size() > 1) {
    auto at = std::find_if(unsynced.begin(), unsynced.end(), [](const FramePtr& f) {
      return f->ref.kind == FrameKind::kResults && f->ref.stream.cls == StreamClass::kRoutine;
    });
    if (at == unsynced.end()) {
      at = std::find_if(unsynced.begin(), unsynced.end(),
                        [](const FramePtr& f) { return f->ref.kind == FrameKind::kResults; });
    }
    if (at == unsynced.end()) return;
    Stream* stream = find((*at)->ref.stream);
    CHECK(stream != nullptr);
    const auto i = std::find(stream->frames.begin(), stream->frames.end(), *at);
    const auto index = static_cast<std::size_t>(i - stream->frames.begin());
    unsynced_bytes -= (*at)->bytes.size();
    unsynced.erase(at);
    replace_by_gap(*stream, index, index + 1, GapCause::kDiskFull);
  }
}

// --- forgetting ---

void FrameWriter::Impl::ack_frame(Frame& frame) {
  frame.acked = true;
  if (frame.ref.kind == FrameKind::kResults)
    held -= std::min<std::uint64_t>(held, frame.ref.results);
  if (frame.segment != nullptr) --frame.segment->unacked;
}

void FrameWriter::Impl::trim(Stream& stream) {
  while (!stream.frames.empty() && stream.frames.front()->gone) stream.frames.pop_front();
}

void FrameWriter::Impl::remove_segment(Segment& segment) {
  // A failed unlink costs disk, not truth: the frames come back at the next start and are offered
  // again.
  if (segment.damaged) {
    (void)disk.quarantine(segment.name);
  } else {
    (void)disk.unlink(segment.name);
  }
  total_bytes -= std::min(total_bytes, segment.size);
  for (const FramePtr& frame : content[&segment]) {
    frame->gone = true;
    frame->segment = nullptr;
    if (Stream* stream = find(frame->ref.stream)) {
      trim(*stream);
      const bool is_current = stream->id.epoch == epoch && stream->id.nonce == nonce;
      if (stream->frames.empty() && !is_current) streams.erase(frame->ref.stream);
    }
  }
  content.erase(&segment);
  segments.erase({segment.cls, segment.number});
}

/// S7. The newest segment of each class always stays: its name carries the count.
void FrameWriter::Impl::collect() {
  std::uint64_t acked_bytes = 0;
  std::vector<Segment*> done;
  for (const auto& [key, segment] : segments) {
    const auto next = std::next(segments.find(key));
    const bool newest = next == segments.end() || next->first.first != key.first;
    const bool doomed = std::find(remove_after_sync.begin(), remove_after_sync.end(),
                                  segment.get()) != remove_after_sync.end();
    if (segment->unacked > 0 || newest || doomed) continue;
    acked_bytes += segment->size;
    done.push_back(segment.get());
  }
  for (Segment* segment : done) {
    if (acked_bytes <= options.retain_bytes) return;
    acked_bytes -= segment->size;
    remove_segment(*segment);
  }
}

void FrameWriter::Impl::enforce_bound() {
  while (total_bytes > options.bytes_max) {
    if (!drop_oldest(SegmentClass::kRoutine) && !drop_oldest(SegmentClass::kAlert)) return;
  }
}

/// S6. False when the class has only its current segment left, or none.
bool FrameWriter::Impl::drop_oldest(SegmentClass cls) {
  for (const auto& [key, owned] : segments) {
    Segment& segment = *owned;
    if (key.first != cls) continue;
    const bool doomed = std::find(remove_after_sync.begin(), remove_after_sync.end(), &segment) !=
                        remove_after_sync.end();
    const bool newest = &segment == current_segment[static_cast<std::size_t>(cls)];
    const bool pending = std::any_of(content[&segment].begin(), content[&segment].end(),
                                     [](const FramePtr& f) { return !f->synced; });
    if (doomed || newest || pending) continue;
    if (segment.unacked == 0) {
      remove_segment(segment);
      return true;
    }
    std::set<StreamId> touched;
    for (const FramePtr& f : content[&segment]) {
      if (!f->acked && !f->gone) touched.insert(f->ref.stream);
    }
    const std::vector<FramePtr> frames = content[&segment];
    for (const StreamId& id : touched) {
      Stream* stream = find(id);
      CHECK(stream != nullptr);
      for (std::size_t i = 0; i < stream->frames.size(); ++i) {
        const auto doomed_here = [&](std::size_t k) {
          const Frame& f = *stream->frames[k];
          return f.segment == &segment && !f.acked && f.ref.kind == FrameKind::kResults;
        };
        if (!doomed_here(i)) continue;
        std::size_t end = i;
        while (end < stream->frames.size() && end - i < Gap::kMaxEntries && doomed_here(end)) ++end;
        replace_by_gap(*stream, i, end, GapCause::kDiskFull);
      }
    }
    // Counted as gone already, so that one round of the bound does not drop the whole spool.
    total_bytes -= std::min(total_bytes, segment.size);
    segment.size = 0;
    remove_after_sync.push_back(&segment);
    return true;
  }
  return false;
}

/// Frames [from, to) of the stream, results frames all, become one Gap frame that is written like
/// any other.
void FrameWriter::Impl::replace_by_gap(Stream& stream, std::size_t from, std::size_t to,
                                       GapCause cause) {
  Gap gap;
  gap.first = stream.frames[from]->ref.first;
  gap.cause = cause;
  for (std::size_t i = from; i < to; ++i) {
    Frame& frame = *stream.frames[i];
    gap.frames.push_back({frame.ref.digest, frame.ref.results});
    if (!frame.acked) ack_frame(frame);
    frame.gone = true;
  }
  auto frame = std::make_shared<Frame>();
  frame->previous = stream.frames[from]->previous;
  frame->bytes = wire::encode_gap_frame(stream.id, gap, frame->previous);
  const auto decoded = wire::decode_frame(as_bytes(frame->bytes));
  CHECK(decoded.has_value());
  frame->ref = decoded->header.ref;
  frame->entries = std::move(gap.frames);
  const auto begin = stream.frames.begin();
  stream.frames.erase(begin + static_cast<std::ptrdiff_t>(from),
                      begin + static_cast<std::ptrdiff_t>(to));
  stream.frames.insert(stream.frames.begin() + static_cast<std::ptrdiff_t>(from), frame);
  unsynced_bytes += frame->bytes.size();
  unsynced.push_back(frame);
  if (degraded.empty() && !append(frame)) failed(degraded);
}

// --- interface ---

FrameWriter::FrameWriter(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}

FrameWriter::~FrameWriter() = default;

Expected<std::unique_ptr<FrameWriter>> FrameWriter::open(Disk& disk, Options options, Now now) {
  CHECK(options.make_nonce && options.on_event);
  auto impl = std::make_unique<Impl>(disk, std::move(options));
  impl->last_now = now;
  TRY(impl->recover());
  std::unique_ptr<FrameWriter> writer{new FrameWriter{std::move(impl)}};
  // S5 and the bound on streams: what cannot be offered as it stands is written anew.
  std::vector<StreamId> anew;
  auto& streams = writer->impl_->streams;
  for (const auto& [id, stream] : streams) {
    bool broken = anew.size() + FrameWriter::kStreamsMax < streams.size();
    for (std::size_t i = 1; i < stream.frames.size(); ++i) {
      const FrameRef& before = stream.frames[i - 1]->ref;
      broken |= stream.frames[i]->ref.first != before.last + 1 ||
                stream.frames[i]->previous != before.digest;
    }
    if (broken) anew.push_back(id);
  }
  if (!anew.empty()) writer->restream(anew, now);
  return writer;
}

std::vector<StreamOffer> FrameWriter::offers() const {
  std::vector<StreamOffer> out;
  for (const auto& [id, stream] : impl_->streams) {
    StreamOffer offer{id, stream.synced + 1, stream.synced, stream.synced_digest};
    if (!stream.frames.empty() && stream.frames.front()->synced) {
      offer.first = stream.frames.front()->ref.first;
    }
    out.push_back(offer);
  }
  std::sort(out.begin(), out.end(), [](const StreamOffer& a, const StreamOffer& b) {
    return std::pair{a.stream.epoch, a.stream} < std::pair{b.stream.epoch, b.stream};
  });
  return out;
}

std::vector<FrameRef> FrameWriter::frames_after(const StreamId& stream, std::uint64_t seq,
                                                std::size_t limit) const {
  std::vector<FrameRef> out;
  const auto at = impl_->streams.find(stream);
  if (at == impl_->streams.end()) return out;
  const std::deque<FramePtr>& frames = at->second.frames;
  auto i = std::partition_point(frames.begin(), frames.end(),
                                [&](const FramePtr& f) { return f->ref.last <= seq; });
  for (; i != frames.end() && out.size() < limit && (*i)->synced; ++i) out.push_back((*i)->ref);
  return out;
}

std::optional<Digest16> FrameWriter::digest_of(const StreamId& stream, std::uint64_t seq) const {
  if (seq == 0) return wire::genesis(stream);
  const auto at = impl_->streams.find(stream);
  if (at == impl_->streams.end()) return std::nullopt;
  const std::deque<FramePtr>& frames = at->second.frames;
  if (frames.empty()) {
    if (seq == at->second.synced) return at->second.synced_digest;
    return std::nullopt;
  }
  if (seq + 1 == frames.front()->ref.first) return frames.front()->previous;
  const auto i = std::partition_point(frames.begin(), frames.end(),
                                      [&](const FramePtr& f) { return f->ref.last < seq; });
  if (i == frames.end() || (*i)->ref.first > seq) return std::nullopt;
  const Frame& frame = **i;
  if (frame.ref.last == seq) return frame.ref.digest;
  return frame.entries[static_cast<std::size_t>(seq - frame.ref.first)].digest;
}

void FrameWriter::add(StreamClass cls, std::uint16_t shard, const CheckResult& result, bool close,
                      Now now) {
  impl_->last_now = now;
  const OpenKey key{cls, shard};
  OpenFrame& open = impl_->open_frames[key];
  const ByteSpan entry = wire::encode_entry(result);
  wire::FrameBody& body = open.body;
  if (body.results > 0 &&
      wire::kFrameHeaderSize + body.bytes.size() + entry.size() > wire::kFrameSizeMax) {
    impl_->close(key, open);
  }
  if (body.results == 0) open.opened = now.mono;
  body.add(entry, result.weight());
  impl_->held += result.weight();
  if (close || body.results >= wire::kFrameResultsMax) {
    impl_->close(key, open);
    impl_->enforce_bound();
    impl_->start_sync();
  }
}

void FrameWriter::pump(Now now) {
  impl_->last_now = now;
  if (!impl_->degraded.empty() && now.mono >= impl_->retry_at) {
    impl_->retry_at = MonoTime::never();
    impl_->append_all();
    if (!impl_->degraded.empty()) impl_->failed(impl_->degraded);
  }
  for (auto& [key, open] : impl_->open_frames) {
    if (open.body.results > 0 && now.mono >= open.opened + impl_->options.frame_delay) {
      impl_->close(key, open);
    }
  }
  impl_->enforce_bound();
  impl_->start_sync();
}

MonoTime FrameWriter::next_deadline() const {
  MonoTime at = impl_->retry_at;
  for (const auto& [key, open] : impl_->open_frames) {
    if (open.body.results > 0) at = std::min(at, open.opened + impl_->options.frame_delay);
  }
  return at;
}

void FrameWriter::flush(Now now) {
  impl_->last_now = now;
  for (auto& [key, open] : impl_->open_frames) impl_->close(key, open);
  impl_->enforce_bound();
  impl_->start_sync();
}

Expected<Bytes> FrameWriter::read(const FrameRef& ref) {
  Stream* stream = impl_->find(ref.stream);
  if (stream == nullptr) {
    return fail(Errc::kNotFound, "stream {} is not in the spool", to_string(ref.stream));
  }
  const auto i = std::partition_point(stream->frames.begin(), stream->frames.end(),
                                      [&](const FramePtr& f) { return f->ref.last < ref.last; });
  if (i == stream->frames.end() || (*i)->ref != ref) {
    return fail(Errc::kNotFound, "frame {} of stream {} is not in the spool", ref.last,
                to_string(ref.stream));
  }
  Frame& frame = **i;
  if (!frame.bytes.empty()) return frame.bytes;
  CHECK(frame.segment != nullptr);
  const std::string where = frame.segment->name;
  auto bytes = impl_->disk.read(where, frame.offset, ref.size);
  if (bytes) {
    const auto header = wire::read_frame_header(as_bytes(*bytes));
    if (header && header->ref.first == ref.first && header->ref.stream == ref.stream) return bytes;
  }
  frame.segment->damaged = true;
  if (ref.kind == FrameKind::kResults) {
    impl_->replace_by_gap(*stream, static_cast<std::size_t>(i - stream->frames.begin()),
                          static_cast<std::size_t>(i - stream->frames.begin()) + 1,
                          GapCause::kCorrupt);
    impl_->start_sync();
  }
  return fail(Errc::kCorrupt, "frame {} in {} is damaged; {} results become a gap", ref.last, where,
              ref.results);
}

void FrameWriter::release(const StreamId& id, std::uint64_t seq) {
  Stream* stream = impl_->find(id);
  if (stream == nullptr || seq <= stream->acked) return;
  const std::uint64_t before = stream->acked;
  stream->acked = seq;
  auto i = std::partition_point(stream->frames.begin(), stream->frames.end(),
                                [&](const FramePtr& f) { return f->ref.last <= before; });
  for (; i != stream->frames.end() && (*i)->ref.last <= seq; ++i) {
    if (!(*i)->acked) impl_->ack_frame(**i);
  }
  impl_->collect();
}

void FrameWriter::restream(const std::vector<StreamId>& ids, Now now) {
  impl_->last_now = now;
  for (auto& [key, open] : impl_->open_frames) impl_->close(key, open);
  std::vector<CheckResult> results[2];
  std::vector<std::pair<StreamId, Frame>> gaps;
  std::uint64_t again = 0;
  for (const StreamId& id : ids) {
    Stream* stream = impl_->find(id);
    if (stream == nullptr) continue;
    const std::vector<FramePtr> frames(stream->frames.begin(), stream->frames.end());
    for (const FramePtr& frame : frames) {
      if (frame->acked) continue;
      if (frame->ref.kind == FrameKind::kGap) {
        gaps.emplace_back(id, *frame);
        continue;
      }
      Expected<Bytes> bytes =
          frame->bytes.empty() && frame->segment != nullptr
              ? impl_->disk.read(frame->segment->name, frame->offset, frame->ref.size)
              : Expected<Bytes>{frame->bytes};
      const auto decoded = bytes ? wire::decode_frame(as_bytes(*bytes))
                                 : Expected<wire::DecodedFrame>{Unexpected{bytes.error()}};
      if (!decoded) {
        gaps.emplace_back(id, *frame);
        continue;
      }
      for (const CheckResult& r : decoded->results) {
        results[id.cls == StreamClass::kAlert ? 0 : 1].push_back(r);
        again += r.weight();
      }
    }
  }
  impl_->restreamed += again;
  if (const auto done = impl_->start_epoch(); !done) {
    // The old streams stay as they are; the next Welcome finds the fork again.
    impl_->restreamed -= again;
    --impl_->epoch;
    return;
  }
  for (const StreamClass cls : {StreamClass::kAlert, StreamClass::kRoutine}) {
    for (const CheckResult& r : results[cls == StreamClass::kAlert ? 0 : 1]) {
      add(cls, 0, r, false, now);
    }
  }
  for (auto& [key, open] : impl_->open_frames) impl_->close(key, open);
  for (const auto& [id, old] : gaps) {
    Stream& stream = impl_->current({id.cls, id.shard});
    Bytes name = to_string(id);
    ByteWriter{name}.u64(old.ref.first);
    Gap gap{stream.next_seq, GapCause::kCorrupt, {{digest16(as_bytes(name)), old.ref.results}}};
    auto frame = std::make_shared<Frame>();
    frame->previous = stream.last_digest;
    frame->bytes = wire::encode_gap_frame(stream.id, gap, frame->previous);
    const auto decoded = wire::decode_frame(as_bytes(frame->bytes));
    CHECK(decoded.has_value());
    frame->ref = decoded->header.ref;
    frame->entries = gap.frames;
    impl_->enqueue(stream, frame);
  }
  impl_->restreams_after_sync.push_back(ids);
  if (impl_->unsynced.empty()) {
    // Nothing to carry over: an empty sync of the epoch file's directory makes the order the same.
    impl_->syncing = true;
    impl_->disk.sync({}, [impl = impl_.get(),
                          weak = std::weak_ptr<bool>(impl_->alive)](const Expected<void>& done) {
      if (!weak.expired()) impl->finish_sync(0, done);
    });
    return;
  }
  impl_->start_sync();
}

std::uint64_t FrameWriter::bytes() const { return impl_->total_bytes; }

std::uint64_t FrameWriter::results_held() const { return impl_->held; }

std::uint64_t FrameWriter::results_generated() const {
  std::uint64_t open = 0;
  for (const auto& [key, frame] : impl_->open_frames) open += frame.body.weight;
  const std::uint64_t all = impl_->counted[0] + impl_->counted[1] + open;
  return all - std::min(all, impl_->restreamed);
}

std::uint64_t FrameWriter::results_gapped() const { return impl_->counted[2]; }

std::uint32_t FrameWriter::epoch() const { return impl_->epoch; }

const std::string& FrameWriter::degraded() const { return impl_->degraded; }

}  // namespace tocsin::agent
