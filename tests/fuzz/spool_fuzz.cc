// The spool mounts any bytes: recovery never fails because of content, keeps nothing that does not
// pass its checks, and what is added afterwards is readable.

#include "agent/spool/frame_writer.h"
#include "common/base/check.h"
#include "common/wire/frame.h"
#include "tests/support/sim_disk.h"

#include <cstdint>

using namespace tocsin;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  testing::SimDiskState state;
  // The first byte says where the input is cut into two segments; the rest is their content.
  const std::size_t cut = size == 0 ? 0 : data[0] * size / 256;
  const std::string_view all{reinterpret_cast<const char*>(data), size};
  state.files["alert-0000000001-0000000000000000.seg"].bytes = all.substr(0, cut);
  state.files["routine-0000000001-0000000000000000.seg"].bytes = all.substr(cut);
  state.files["gap-0000000001-0000000000000000.seg"].bytes = all.substr(cut / 2);
  state.files["epoch"].bytes = all.substr(0, 16);
  testing::SimDisk disk{state};
  agent::FrameWriter::Options options;
  for (std::size_t i = 0; i < 16; ++i) options.agent.bytes[i] = static_cast<std::uint8_t>(0xa0 + i);
  options.make_nonce = [] { return Uuid{1}; };
  options.on_event = [](agent::SpoolEvent) {};
  const Now now{MonoTime{1}, WallTime{1}};
  auto writer = agent::FrameWriter::open(disk, options, now);
  CHECK(writer.has_value());
  CheckResult result;
  result.series = SeriesId{7};
  (*writer)->add(StreamClass::kRoutine, 0, result, true, now);
  while (disk.complete_sync()) {
  }
  std::size_t found = 0;
  for (const StreamOffer& offer : (*writer)->offers()) {
    for (const FrameRef& frame : (*writer)->frames_after(offer.stream, 0, 10'000)) {
      const auto bytes = (*writer)->read(frame);
      if (!bytes) continue;
      const auto decoded = wire::read_frame_header(as_bytes(*bytes));
      CHECK(decoded.has_value());
      if (decoded->ref.stream.epoch == (*writer)->epoch()) ++found;
    }
  }
  CHECK(found >= 1);
  return 0;
}
