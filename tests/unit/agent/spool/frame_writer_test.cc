#include "agent/spool/frame_writer.h"

#include "common/wire/frame.h"
#include "tests/support/sim_disk.h"

#include <gtest/gtest.h>

namespace tocsin::agent {
namespace {

using testing::SimDisk;
using testing::SimDiskState;

CheckResult a_result(std::uint32_t tick, std::size_t evidence = 0) {
  CheckResult r;
  r.series = SeriesId{1};
  r.tick = r.tick_last = tick;
  r.attempts.resize(1);
  r.attempts[0].excerpt = std::string(evidence, 'x');
  return r;
}

/// One life of a spool over a disk that may outlive it.
struct Spool {
  explicit Spool(SimDiskState& state, FrameWriter::Options options = {})
      : disk(state) {
    options.agent.bytes[0] = 1;
    options.make_nonce = [] {
      static std::uint8_t count = 0;
      Uuid nonce{};
      nonce[0] = ++count;
      return nonce;
    };
    options.on_event = [this](SpoolEvent e) { events.push_back(std::move(e)); };
    auto opened = FrameWriter::open(disk, options, now);
    EXPECT_TRUE(opened) << opened.error().text;
    writer = std::move(*opened);
  }

  void sync() {
    while (disk.complete_sync()) {
    }
  }

  void add(std::uint32_t tick, bool close = true, StreamClass cls = StreamClass::kRoutine,
           std::size_t evidence = 0) {
    writer->add(cls, 0, a_result(tick, evidence), close, now);
  }

  std::vector<FrameRef> synced() const {
    std::vector<FrameRef> out;
    for (const SpoolEvent& e : events) {
      if (const auto* s = std::get_if<FrameSynced>(&e)) out.push_back(s->frame);
    }
    return out;
  }

  /// Every tick in every frame of every stream, Gaps as counts of zeros.
  std::multiset<std::uint32_t> ticks() {
    std::multiset<std::uint32_t> out;
    for (const StreamOffer& offer : writer->offers()) {
      for (const FrameRef& f : writer->frames_after(offer.stream, 0, 100'000)) {
        const auto bytes = writer->read(f);
        if (!bytes) continue;
        const auto frame = wire::decode_frame(as_bytes(*bytes));
        EXPECT_TRUE(frame);
        for (const CheckResult& r : frame->results) out.insert(r.tick);
        for (std::uint32_t i = 0; frame->header.ref.kind == FrameKind::kGap && i < f.results; ++i) {
          out.insert(0);
        }
      }
    }
    return out;
  }

  Now now{MonoTime{1'000'000}, WallTime{1'790'000'000'000'000}};
  SimDisk disk;
  std::vector<SpoolEvent> events;
  std::unique_ptr<FrameWriter> writer;
};

TEST(FrameWriter, AFrameIsReportedOnlyAfterItsSync) {
  SimDiskState state;
  Spool spool{state};
  spool.add(1);
  EXPECT_TRUE(spool.events.empty());
  spool.disk.complete_sync();
  ASSERT_EQ(spool.synced().size(), 1U);
  EXPECT_EQ(spool.synced()[0].first, 1U);
  EXPECT_EQ(spool.writer->results_held(), 1U);
  EXPECT_EQ(spool.writer->results_generated(), 1U);
}

TEST(FrameWriter, RoutineResultsWaitAHundredMillisecondsForCompany) {
  SimDiskState state;
  Spool spool{state};
  spool.add(1, false);
  spool.now.mono = spool.now.mono + Duration{99'000};
  spool.writer->pump(spool.now);
  spool.add(2, false);
  spool.sync();
  EXPECT_TRUE(spool.synced().empty());
  spool.now.mono = spool.now.mono + Duration{1'000};
  EXPECT_EQ(spool.writer->next_deadline(), spool.now.mono);
  spool.writer->pump(spool.now);
  spool.sync();
  ASSERT_EQ(spool.synced().size(), 1U);
  EXPECT_EQ(spool.synced()[0].results, 2U);
}

TEST(FrameWriter, AFrameNeverPassesItsSize) {
  SimDiskState state;
  Spool spool{state};
  for (std::uint32_t i = 0; i < 40; ++i) spool.add(i, false, StreamClass::kRoutine, 4000);
  spool.writer->flush(spool.now);
  spool.sync();
  EXPECT_GE(spool.synced().size(), 3U);
  for (const FrameRef& f : spool.synced()) EXPECT_LE(f.size, wire::kFrameSizeMax);
}

TEST(FrameWriter, FramesOfAStreamChain) {
  SimDiskState state;
  Spool spool{state};
  for (std::uint32_t i = 1; i <= 3; ++i) spool.add(i);
  spool.sync();
  const auto frames = spool.synced();
  ASSERT_EQ(frames.size(), 3U);
  Digest16 previous = wire::genesis(frames[0].stream);
  for (const FrameRef& f : frames) {
    const auto bytes = spool.writer->read(f);
    ASSERT_TRUE(bytes);
    EXPECT_EQ(wire::read_frame_header(as_bytes(*bytes))->previous, previous);
    previous = f.digest;
    EXPECT_EQ(spool.writer->digest_of(f.stream, f.first), f.digest);
  }
  EXPECT_EQ(spool.writer->digest_of(frames[0].stream, 0), wire::genesis(frames[0].stream));
  EXPECT_FALSE(spool.writer->digest_of(frames[0].stream, 4));
}

TEST(FrameWriter, ARestartOffersTheOldStreamAndStartsANewOne) {
  SimDiskState state;
  StreamId old;
  {
    Spool spool{state};
    spool.add(1);
    spool.add(2);
    spool.sync();
    old = spool.synced()[0].stream;
  }
  Spool spool{state};
  const auto offers = spool.writer->offers();
  ASSERT_EQ(offers.size(), 1U);
  EXPECT_EQ(offers[0].stream, old);
  EXPECT_EQ(offers[0].last, 2U);
  EXPECT_EQ(spool.writer->epoch(), old.epoch + 1);
  EXPECT_EQ(spool.writer->results_generated(), 2U);
  spool.add(3);
  spool.sync();
  EXPECT_NE(spool.synced()[0].stream, old);
  EXPECT_EQ(spool.ticks(), (std::multiset<std::uint32_t>{1, 2, 3}));
}

TEST(FrameWriter, APowerCutLosesOnlyWhatWasNotReported) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Rng rng{seed};
    SimDiskState state;
    std::set<std::uint32_t> reported;
    {
      Spool spool{state};
      for (std::uint32_t i = 1; i <= 30; ++i) {
        spool.add(i, rng.chance(0.7),
                  rng.chance(0.3) ? StreamClass::kAlert : StreamClass::kRoutine);
        if (rng.chance(0.3)) spool.disk.complete_sync();
        if (rng.chance(0.1)) spool.disk.fail_syncs = 1;
        if (rng.chance(0.1)) spool.disk.fail_appends = 1;
        spool.now.mono = spool.now.mono + std::chrono::seconds{1};
        spool.writer->pump(spool.now);
      }
      for (const FrameRef& f : spool.synced()) {
        const auto frame = wire::decode_frame(as_bytes(*spool.writer->read(f)));
        for (const CheckResult& r : frame->results) reported.insert(r.tick);
      }
    }
    state.power_cut(rng);
    Spool after{state};
    after.sync();
    const auto found = after.ticks();
    for (const std::uint32_t tick : reported) EXPECT_EQ(found.count(tick), 1U) << "seed " << seed;
  }
}

TEST(FrameWriter, AFailedSyncWritesTheSameBytesToANewFile) {
  SimDiskState state;
  Spool spool{state};
  spool.disk.fail_syncs = 1;
  spool.add(1);
  const auto before = spool.disk.list()->size();
  spool.sync();
  ASSERT_EQ(spool.synced().size(), 1U);
  EXPECT_GT(spool.disk.list()->size(), before);
  EXPECT_TRUE(spool.writer->degraded().empty());
  EXPECT_EQ(spool.ticks(), (std::multiset<std::uint32_t>{1}));
}

TEST(FrameWriter, FramesThatReachedTheDiskInSpiteOfFailedSyncsCountOnce) {
  SimDiskState state;
  Spool spool{state};
  spool.disk.failed_syncs_keep = true;
  for (std::uint32_t i = 1; i <= 6; ++i) {
    if (i % 2 == 0) spool.disk.fail_syncs = 2;
    spool.add(i);
    spool.sync();
    spool.now.mono = spool.now.mono + std::chrono::seconds{5};
    spool.writer->pump(spool.now);
    spool.sync();
  }
  ASSERT_EQ(spool.synced().size(), 6U);
  EXPECT_EQ(spool.writer->results_generated(), 6U);
  Spool after{state};
  EXPECT_EQ(after.writer->results_generated(), 6U);
  EXPECT_EQ(after.ticks(), (std::multiset<std::uint32_t>{1, 2, 3, 4, 5, 6}));
}

TEST(FrameWriter, TwoFailuresLeadToMemoryModeAndBack) {
  SimDiskState state;
  Spool spool{state};
  spool.disk.fail_appends = 2;
  spool.add(1);
  EXPECT_FALSE(spool.writer->degraded().empty());
  spool.add(2);
  spool.sync();
  EXPECT_TRUE(spool.synced().empty());
  spool.now.mono = spool.now.mono + std::chrono::seconds{5};
  EXPECT_LE(spool.writer->next_deadline(), spool.now.mono);
  spool.writer->pump(spool.now);
  spool.sync();
  EXPECT_TRUE(spool.writer->degraded().empty());
  EXPECT_EQ(spool.synced().size(), 2U);
}

TEST(FrameWriter, AtTheBoundRoutineFramesBecomeGapsBeforeAnyAlert) {
  SimDiskState state;
  Spool spool{state, {.bytes_max = 64'000, .segment_bytes = 8'000, .retain_bytes = 0}};
  for (std::uint32_t i = 1; i <= 60; ++i) {
    spool.add(i, true, i % 4 == 0 ? StreamClass::kAlert : StreamClass::kRoutine, 1500);
    spool.sync();
  }
  EXPECT_LE(spool.writer->bytes(), 64'000U + 8'000U);
  std::uint64_t gapped = 0;
  for (const SpoolEvent& e : spool.events) {
    if (const auto* g = std::get_if<FramesReplaced>(&e)) {
      gapped += g->gap.results;
      EXPECT_EQ(g->gap.stream.cls, StreamClass::kRoutine);
    }
  }
  EXPECT_GT(gapped, 0U);
  EXPECT_EQ(spool.writer->results_gapped(), gapped);
  EXPECT_EQ(spool.writer->results_held() + gapped, 60U);
  EXPECT_EQ(spool.ticks().size(), 60U);
  EXPECT_EQ(spool.ticks().count(0), gapped);
  // The chain is whole: every frame names the digest before it, Gaps included.
  for (const StreamOffer& offer : spool.writer->offers()) {
    Digest16 previous = wire::genesis(offer.stream);
    for (const FrameRef& f : spool.writer->frames_after(offer.stream, 0, 1000)) {
      EXPECT_EQ(wire::read_frame_header(as_bytes(*spool.writer->read(f)))->previous, previous);
      previous = f.digest;
    }
  }
}

TEST(FrameWriter, AcknowledgedSegmentsGoAfterTheRetention) {
  SimDiskState state;
  Spool spool{state, {.segment_bytes = 4'000, .retain_bytes = 10'000}};
  for (std::uint32_t i = 1; i <= 40; ++i) {
    spool.add(i, true, StreamClass::kRoutine, 1500);
    spool.sync();
  }
  const StreamId stream = spool.synced()[0].stream;
  spool.writer->release(stream, 39);
  EXPECT_EQ(spool.writer->results_held(), 1U);
  EXPECT_LE(spool.writer->bytes(), 20'000U);
  EXPECT_EQ(spool.writer->offers()[0].last, 40U);
  EXPECT_EQ(spool.writer->results_generated(), 40U);
  // Across a restart the count comes from the names.
  Spool after{state};
  EXPECT_EQ(after.writer->results_generated(), 40U);
}

TEST(FrameWriter, RestreamCarriesEverythingUnacknowledgedToANewEpoch) {
  SimDiskState state;
  Spool spool{state};
  for (std::uint32_t i = 1; i <= 5; ++i) spool.add(i);
  spool.sync();
  const StreamId old = spool.synced()[0].stream;
  spool.writer->release(old, 2);
  spool.writer->restream({old}, spool.now);
  EXPECT_TRUE(spool.writer->digest_of(old, 5));  // Not before the new frames are synced.
  spool.sync();
  EXPECT_FALSE(spool.writer->digest_of(old, 5));
  EXPECT_EQ(spool.ticks(), (std::multiset<std::uint32_t>{3, 4, 5}));
  EXPECT_EQ(spool.writer->results_generated(), 5U);
  EXPECT_EQ(spool.writer->results_held(), 3U);
  EXPECT_TRUE(std::holds_alternative<Restreamed>(spool.events.back()));
}

TEST(FrameWriter, EverySingleFlippedByteStartsAndKeepsTheOtherFrames) {
  SimDiskState good;
  {
    Spool spool{good};
    for (std::uint32_t i = 1; i <= 6; ++i) spool.add(i);
    spool.sync();
  }
  std::string name;
  for (const auto& [file, content] : good.files) {
    if (file.starts_with("routine")) name = file;
  }
  const std::size_t size = good.files[name].bytes.size();
  for (std::size_t i = 0; i < size; ++i) {
    SimDiskState state = good;
    state.files[name].bytes[i] = static_cast<char>(state.files[name].bytes[i] ^ 0x41);
    Spool spool{state};
    spool.sync();
    EXPECT_EQ(spool.ticks().size(), 5U) << "byte " << i;
    spool.add(7);
    spool.sync();
    EXPECT_EQ(spool.ticks().count(7), 1U);
  }
}

/// A segment as it is in use: 64 KiB of frames in both classes. Whichever byte rots, the start
/// works, at most the frame it lies in is lost, and what is lost is accounted.
TEST(FrameWriter, EverySingleFlippedByteOfASegmentStartsAndAccounts) {
  constexpr std::size_t kSegment = 64 * 1024;
  SimDiskState good;
  std::uint32_t added = 0;
  std::string name;
  {
    Spool spool{good};
    while (name.empty()) {
      for (int i = 0; i < 4; ++i) spool.add(++added, true, StreamClass::kRoutine, 1500);
      spool.sync();
      for (const auto& [file, content] : good.files) {
        if (content.bytes.size() >= kSegment) name = file;
      }
    }
  }
  const std::size_t size = good.files[name].bytes.size();
  SimDiskState state = good;
  for (std::size_t i = 0; i < size; ++i) {
    char& byte = reinterpret_cast<char&>(state.files[name].bytes[i]);
    byte = static_cast<char>(byte ^ 0x41);
    {
      SimDiskState one = state;
      Spool spool{one};
      spool.sync();
      const std::multiset<std::uint32_t> ticks = spool.ticks();
      ASSERT_GE(ticks.size() + 1, added) << "byte " << i;
      // Each tick at most once, none invented; a frame that cannot be read counts on neither side.
      for (const std::uint32_t tick : ticks) {
        ASSERT_TRUE(tick <= added && ticks.count(tick) == 1) << "byte " << i << ", tick " << tick;
      }
      ASSERT_EQ(spool.writer->results_generated(), ticks.size()) << "byte " << i;
    }
    byte = static_cast<char>(byte ^ 0x41);
  }
}

TEST(FrameWriter, AFrameDamagedUnderUsBecomesAGap) {
  SimDiskState state;
  Spool spool{state};
  for (std::uint32_t i = 1; i <= 3; ++i) spool.add(i);
  spool.sync();
  const FrameRef second = spool.synced()[1];
  for (auto& [file, content] : state.files) {
    if (file.starts_with("routine")) content.bytes[second.size + 90] ^= 1;
  }
  const auto bytes = spool.writer->read(second);
  ASSERT_FALSE(bytes);
  EXPECT_EQ(bytes.error().code, Errc::kCorrupt);
  spool.sync();
  const auto* gap = std::get_if<FramesReplaced>(&spool.events.back());
  ASSERT_NE(gap, nullptr);
  EXPECT_EQ(gap->gap.first, 2U);
  EXPECT_EQ(gap->gap.digest, second.digest);
}

}  // namespace
}  // namespace tocsin::agent
