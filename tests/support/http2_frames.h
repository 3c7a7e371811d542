#pragma once
// Frames of HTTP/2 (RFC 9113 section 4) by hand, for servers that lie.

#include <cstdint>
#include <string>
#include <string_view>

namespace tocsin::test {

inline std::string h2_frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
                            std::string_view payload) {
  const auto byte = [](std::size_t v) { return static_cast<char>(v & 0xff); };
  std::string out{byte(payload.size() >> 16),
                  byte(payload.size() >> 8),
                  byte(payload.size()),
                  byte(type),
                  byte(flags),
                  byte(stream >> 24),
                  byte(stream >> 16),
                  byte(stream >> 8),
                  byte(stream)};
  return out.append(payload);
}

inline std::string h2_settings() { return h2_frame(4, 0, 0, ""); }

/// A field without indexing (RFC 7541 section 6.2.2), both texts shorter than 127 bytes.
inline std::string h2_field(std::string_view name, std::string_view value) {
  std::string out{'\0', static_cast<char>(name.size())};
  out.append(name).push_back(static_cast<char>(value.size()));
  return out.append(value);
}

inline constexpr std::uint8_t kH2EndStream = 1;
inline constexpr std::uint8_t kH2EndHeaders = 4;

inline std::string h2_head(std::string_view status, std::string_view fields = "",
                           bool end_stream = false, std::uint32_t stream = 1) {
  return h2_frame(1, static_cast<std::uint8_t>(kH2EndHeaders | (end_stream ? kH2EndStream : 0)),
                  stream, h2_field(":status", status).append(fields));
}

inline std::string h2_data(std::string_view body, bool end_stream, std::uint32_t stream = 1) {
  return h2_frame(0, end_stream ? kH2EndStream : 0, stream, body);
}

inline std::string h2_rst(std::uint8_t code, std::uint32_t stream = 1) {
  return h2_frame(3, 0, stream, std::string{'\0', '\0', '\0', static_cast<char>(code)});
}

inline std::string h2_goaway(std::uint8_t last_stream, std::uint8_t code, std::string_view why) {
  return h2_frame(7, 0, 0,
                  std::string{'\0', '\0', '\0', static_cast<char>(last_stream), '\0', '\0', '\0',
                              static_cast<char>(code)}
                      .append(why));
}

}  // namespace tocsin::test
