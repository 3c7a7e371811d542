// docs/wire.md shows bytes; here they are decoded, so that the page cannot become untrue.

#include "common/wire/frame.h"
#include "common/wire/messages.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace tocsin {
namespace {

/// The hexadecimal digits of the code block after the line "<!-- NAME -->".
Bytes block(const std::string& name) {
  std::ifstream file{"docs/wire.md"};
  std::stringstream all;
  all << file.rdbuf();
  const std::string text = all.str();
  const std::size_t mark = text.find("<!-- " + name + " -->");
  if (mark == std::string::npos) return {};
  const std::size_t begin = text.find('\n', text.find("```", mark)) + 1;
  const std::size_t end = text.find("```", begin);
  Bytes out;
  int high = -1;
  for (std::size_t i = begin; i < end; ++i) {
    const std::size_t digit = std::string_view{"0123456789abcdef"}.find(text[i]);
    if (digit == std::string_view::npos) continue;
    if (high < 0) {
      high = static_cast<int>(digit);
    } else {
      out += static_cast<char>(high * 16 + static_cast<int>(digit));
      high = -1;
    }
  }
  return out;
}

StreamId the_stream() {
  StreamId s;
  for (std::size_t i = 0; i < 16; ++i) {
    s.agent.bytes[i] = static_cast<std::uint8_t>(0xa0 + i);
    s.nonce[i] = static_cast<std::uint8_t>(0x10 + i);
  }
  s.epoch = 3;
  s.cls = StreamClass::kAlert;
  return s;
}

TEST(WireDocument, ItsFrameDecodesToTheResultItDescribes) {
  CheckResult r;
  r.series = SeriesId{42};
  r.tick = r.tick_last = 59'666'667;
  r.spec_rev = 1;
  r.config_version = 5;
  r.slot = WallTime::from_ms(1'790'000'010'000);
  r.queue_us = 120;
  r.duration_us = 350;
  r.outcome = Outcome::kDown;
  r.reason = Reason::kConnectRefused;
  r.attempts.resize(1);
  r.attempts[0].finding = {Outcome::kDown, Reason::kConnectRefused, "connect 127.0.0.1:80"};
  r.attempts[0].phases = {.connect_us = 200, .total_us = 200};
  r.attempts[0].remote = "127.0.0.1:80";
  r.clock = {-3, 1};
  const Bytes ours = wire::encode_results_frame(the_stream(), 1, wire::genesis(the_stream()), {r});
  const Bytes shown = block("frame");
  const auto frame = wire::decode_frame(as_bytes(shown));
  ASSERT_TRUE(frame) << frame.error().text << "\nthe page should show:\n" << to_hex(as_bytes(ours));
  EXPECT_EQ(frame->results, std::vector{r});
  EXPECT_EQ(frame->header.ref.stream, the_stream());
  EXPECT_EQ(frame->header.previous, wire::genesis(the_stream()));
  EXPECT_EQ(shown, ours);
}

TEST(WireDocument, ItsMessagesDecode) {
  const auto heartbeat = wire::decode_agent_message(as_bytes(block("heartbeat")));
  Heartbeat want;
  want.number = 7;
  want.wall = WallTime::from_ms(1'790'000'000'000);
  want.monitors = 2;
  want.generated = 100;
  want.in_spool = 1;
  want.clock = {0, UINT32_MAX};
  ASSERT_TRUE(heartbeat) << "the page should show:\n"
                         << to_hex(as_bytes(wire::encode(AgentMessage{want})));
  EXPECT_EQ(*heartbeat, AgentMessage{want});
  const auto ack = wire::decode_collector_message(as_bytes(block("ack")));
  const CollectorMessage want_ack = Ack{{the_stream(), 1, Digest16{0xd1, 0xd2}, 1U << 20}};
  ASSERT_TRUE(ack) << "the page should show:\n" << to_hex(as_bytes(wire::encode(want_ack)));
  EXPECT_EQ(*ack, want_ack);
}

}  // namespace
}  // namespace tocsin
