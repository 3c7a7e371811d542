#include "collector/ingest/zap.h"

#include <gtest/gtest.h>

namespace tocsin::collector {
namespace {

/// The 32-byte key of RFC 32's neighbour, the example key pair of zmq_curve(7).
const std::string kKeyBytes =
    "\xBB\x88\x47\x1D\x65\xE2\x65\x9B\x30\xC5\x5A\x53\x21\xCE\xBB\x5A"
    "\xAB\x2B\x70\xA3\x98\x64\x5C\x26\xDC\xA2\xB2\xFC\xB4\x3F\xC5\x18";
const std::string kKeyZ85 = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";

std::vector<Bytes> request_parts() {
  return {"1.0", "1", "tocsin", "127.0.0.1", "", "CURVE", kKeyBytes};
}

TEST(Zap, ReadsACurveRequestAndSpellsTheKeyInZ85) {
  const auto request = parse_zap_request(request_parts());
  ASSERT_TRUE(request) << request.error().text;
  EXPECT_EQ(*request, (ZapRequest{"1", "tocsin", "127.0.0.1", "CURVE", kKeyZ85}));
}

TEST(Zap, ReadsOtherMechanismsWithoutAKey) {
  auto parts = request_parts();
  parts[5] = "NULL";
  parts.pop_back();
  const auto request = parse_zap_request(parts);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->mechanism, "NULL");
  EXPECT_EQ(request->public_key, "");
}

TEST(Zap, MakesHostileTextPrintable) {
  auto parts = request_parts();
  parts[3] = "evil\naddress";
  EXPECT_EQ(parse_zap_request(parts)->address.find('\n'), std::string::npos);
}

TEST(Zap, RefusesWhatIsNotARequest) {
  struct Case {
    const char* what;
    std::vector<Bytes> parts;
  };

  auto with = [](std::size_t index, Bytes value) {
    auto parts = request_parts();
    parts[index] = std::move(value);
    return parts;
  };
  auto extra = request_parts();
  extra.emplace_back("x");
  const Case cases[] = {
      {"nothing", {}},
      {"too few parts", {"1.0", "1", "tocsin", "127.0.0.1", ""}},
      {"another version", with(0, "2.0")},
      {"a long request id", with(1, Bytes(256, 'x'))},
      {"a long domain", with(2, Bytes(256, 'x'))},
      {"a long address", with(3, Bytes(256, 'x'))},
      {"a long identity", with(4, Bytes(256, 'x'))},
      {"a short key", with(6, Bytes(31, 'k'))},
      {"a long key", with(6, Bytes(33, 'k'))},
      {"two credentials", extra},
      {"CURVE without a key", {"1.0", "1", "tocsin", "127.0.0.1", "", "CURVE"}},
  };
  for (const Case& c : cases) EXPECT_FALSE(parse_zap_request(c.parts)) << c.what;
}

TEST(Zap, AnswersInTheSixPartsOfTheProtocol) {
  EXPECT_EQ(zap_accept("7", "agent"), (std::vector<Bytes>{"1.0", "7", "200", "OK", "agent", ""}));
  EXPECT_EQ(zap_deny("7", "no"), (std::vector<Bytes>{"1.0", "7", "400", "no", "", ""}));
}

}  // namespace
}  // namespace tocsin::collector
