#include "common/io/certificate.h"

#include "common/base/time.h"

#include <gtest/gtest.h>
#include <openssl/asn1.h>

namespace tocsin::io {
namespace {

WallTime time_of(const char* text) {
  ASN1_TIME* time = ASN1_TIME_new();
  EXPECT_EQ(ASN1_TIME_set_string(time, text), 1) << text;
  const WallTime out = asn1_time(time);
  ASN1_TIME_free(time);
  return out;
}

TEST(Certificate, TimesAreThoseThatCanBeShownAndSent) {
  EXPECT_EQ(format_rfc3339(time_of("00010101000000Z")), "0001-01-01T00:00:00.000Z");
  EXPECT_EQ(format_rfc3339(time_of("99991231235959Z")), "9999-12-31T23:59:59.000Z");
  EXPECT_EQ(format_rfc3339(time_of("491231235959Z")), "2049-12-31T23:59:59.000Z");
  EXPECT_EQ(time_of("00000101000000Z"), WallTime{}) << "no collector reads the year 0";
  EXPECT_EQ(asn1_time(nullptr), WallTime{});
}

}  // namespace
}  // namespace tocsin::io
