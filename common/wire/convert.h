#pragma once
// Question answered here: how do model values and protobuf messages correspond, field by field?
//
// Only the .cc files of common/wire include this; protobuf types stop at this directory's door.
// `from_*` never trusts a peer: it checks every enum, range, count and length, and cuts nothing
// silently.

#include "common/base/expected.h"
#include "common/model/check_result.h"
#include "common/model/link.h"

#include <tocsin/v1/link.pb.h>
#include <tocsin/v1/monitor.pb.h>
#include <tocsin/v1/result.pb.h>

namespace tocsin::wire {

void to_proto(const CheckResult& result, v1::Result& out);
Expected<CheckResult> from_proto(const v1::Result& in);

void to_proto(const ProbeSpec& spec, v1::ProbeSpec& out);
Expected<ProbeSpec> from_proto(const v1::ProbeSpec& in);

void to_proto(const StreamId& stream, v1::StreamId& out);
Expected<StreamId> from_proto(const v1::StreamId& in);

/// Exactly N bytes, or an error that names the field.
template <std::size_t N>
Expected<std::array<std::uint8_t, N>> fixed_bytes(std::string_view field,
                                                  const std::string& bytes) {
  if (bytes.size() != N) {
    return fail(Errc::kCorrupt, "{}: expected {} bytes, got {}", field, N, bytes.size());
  }
  std::array<std::uint8_t, N> out{};
  std::memcpy(out.data(), bytes.data(), N);
  return out;
}

template <std::size_t N>
std::string byte_string(const std::array<std::uint8_t, N>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), N};
}

}  // namespace tocsin::wire
