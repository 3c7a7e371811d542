#pragma once
// Question answered here: how does one result become bytes outside a frame (the store's result
// rows)?

#include "common/base/bytes.h"
#include "common/base/expected.h"
#include "common/model/check_result.h"

namespace tocsin::wire {

/// A protobuf Result (proto/tocsin/v1/result.proto).
Bytes encode_result(const CheckResult& result);
Expected<CheckResult> decode_result(ByteSpan bytes);

}  // namespace tocsin::wire
