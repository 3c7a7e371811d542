#include "agent/app/assignment_cache.h"

#include "common/base/bytes.h"
#include "common/io/file.h"
#include "common/wire/messages.h"

#include <variant>

namespace tocsin::agent {

namespace {

constexpr std::string_view kMagic = "TCA1";

}  // namespace

Expected<void> store_assignment(const std::string& path, const Assignment& assignment) {
  const Bytes body = wire::encode(CollectorMessage{assignment});
  Bytes out(kMagic);
  ByteWriter(out).u32(crc32c(as_bytes(body)));
  out += body;
  return io::replace_file(path, as_bytes(out));
}

Expected<Assignment> load_assignment(const std::string& path) {
  TRY_ASSIGN(const Bytes bytes, io::read_file(path, kAssignmentBytesMax));
  ByteReader reader(as_bytes(bytes));
  const auto magic = as_view(reader.take(kMagic.size()));
  const std::uint32_t crc = reader.u32();
  if (!reader.ok() || magic != kMagic || crc != crc32c(reader.rest())) {
    return fail(Errc::kCorrupt, "{} is damaged", path);
  }
  TRY_ASSIGN(const CollectorMessage message, wire::decode_collector_message(reader.rest()));
  const auto* assignment = std::get_if<Assignment>(&message);
  if (assignment == nullptr || assignment->base != 0) {
    return fail(Errc::kCorrupt, "{} holds no whole assignment", path);
  }
  return *assignment;
}

}  // namespace tocsin::agent
