#include "collector/ingest/zap.h"

#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/io/zmq_socket.h"

namespace tocsin::collector {
namespace {

/// RFC 27: request id, domain and address are short strings of at most 255 octets.
constexpr std::size_t kFieldSizeMax = 255;

std::vector<Bytes> reply(const std::string& request_id, const char* status, const std::string& text,
                         const std::string& user_id) {
  return {"1.0", request_id, status, text, user_id, ""};
}

}  // namespace

Expected<ZapRequest> parse_zap_request(const std::vector<Bytes>& parts) {
  if (parts.size() < 6) {
    return fail(Errc::kInvalid, "a ZAP request has at least 6 parts, this one {}", parts.size());
  }
  if (parts[0] != "1.0") {
    return fail(Errc::kInvalid, "ZAP version 1.0 expected, got \"{}\"", printable(parts[0], 16));
  }
  for (std::size_t i = 1; i < 6; ++i) {
    if (parts[i].size() > kFieldSizeMax) {
      return fail(Errc::kInvalid, "part {} of a ZAP request has {} bytes, at most {} are allowed",
                  i + 1, parts[i].size(), kFieldSizeMax);
    }
  }
  ZapRequest request;
  request.request_id = parts[1];
  request.domain = parts[2];
  request.address = printable(parts[3]);
  request.mechanism = printable(parts[5], 32);
  if (request.mechanism == "CURVE") {
    if (parts.size() == 7) request.public_key = io::curve_key_from_raw(as_bytes(parts[6]));
    if (request.public_key.empty()) {
      return fail(Errc::kInvalid, "a CURVE request has one credential of 32 bytes");
    }
  }
  return request;
}

std::vector<Bytes> zap_accept(const std::string& request_id, const std::string& user_id) {
  CHECK(user_id.size() <= kFieldSizeMax);
  return reply(request_id, "200", "OK", user_id);
}

std::vector<Bytes> zap_deny(const std::string& request_id, const std::string& text) {
  return reply(request_id, "400", printable(text, kFieldSizeMax - 4), "");
}

}  // namespace tocsin::collector
