#include "common/codec/cookie_jar.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace tocsin::codec {
namespace {

const WallTime kNow = *parse_rfc3339("2026-03-01T12:00:00Z");

/// What a request to `to` brings after a response of `from` set all of these.
std::string sent(const std::string& from, const std::vector<std::string>& set,
                 const std::string& to) {
  CookieJar jar;
  for (const std::string& one : set) jar.take(*parse_url(from), one, kNow);
  return jar.header(*parse_url(to));
}

TEST(CookieJar, WhatWasSetIsSentToTheSameHostAlone) {
  EXPECT_EQ(sent("http://a.example/", {"s=1; HttpOnly", "t = two "}, "http://a.example/x"),
            "s=1; t=two");
  EXPECT_EQ(sent("http://a.example/", {"s=1"}, "http://b.example/"), "");
  EXPECT_EQ(sent("http://a.example/", {"s=1"}, "http://www.a.example/"), "");
  EXPECT_EQ(sent("http://127.0.0.1/", {"s=1; Domain=0.0.1"}, "http://127.0.0.1/"), "");
}

TEST(CookieJar, ADomainReachesItsHostsAndNoOther) {
  const std::string from = "http://www.shop.example/";
  EXPECT_EQ(sent(from, {"s=1; Domain=shop.example"}, "http://api.shop.example/"), "s=1");
  EXPECT_EQ(sent(from, {"s=1; domain=.SHOP.example"}, "http://shop.example/"), "s=1");
  EXPECT_EQ(sent(from, {"s=1; Domain=shop.example"}, "http://workshop.example/"), "");
  EXPECT_EQ(sent(from, {"s=1; Domain=other.example"}, "http://www.shop.example/"), "")
      << "of somebody else";
  EXPECT_EQ(sent(from, {"s=1; Domain=example"}, "http://www.shop.example/"), "")
      << "one label would be everybody's";
}

TEST(CookieJar, PathsMatchAtSlashesAndTheLongerComesFirst) {
  EXPECT_EQ(sent("http://a.example/app/login?x=/y", {"s=1"}, "http://a.example/app/home"), "s=1");
  EXPECT_EQ(sent("http://a.example/app/login", {"s=1"}, "http://a.example/apple"), "");
  EXPECT_EQ(sent("http://a.example/", {"a=1; Path=/", "b=2; Path=/app"}, "http://a.example/app"),
            "b=2; a=1");
}

TEST(CookieJar, ASecureCookieIsForHttpsOnly) {
  EXPECT_EQ(sent("https://a.example/", {"s=1; Secure"}, "http://a.example/"), "");
  EXPECT_EQ(sent("https://a.example/", {"s=1; Secure"}, "https://a.example/"), "s=1");
  EXPECT_EQ(sent("http://a.example/", {"s=1; Secure"}, "https://a.example/"), "");
}

TEST(CookieJar, ANewValueReplacesAndAnOldDateTakesAway) {
  const std::string url = "http://a.example/";
  EXPECT_EQ(sent(url, {"s=1", "s=2"}, url), "s=2");
  EXPECT_EQ(sent(url, {"s=1", "s=; Max-Age=0"}, url), "");
  EXPECT_EQ(sent(url, {"s=1", "s=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"}, url), "");
  EXPECT_EQ(sent(url, {"s=1", "s=; expires=Thu, 01-Jan-70 00:00:01 GMT"}, url), "");
  EXPECT_EQ(sent(url, {"s=1; Expires=Sun, 01 Mar 2026 12:00:01 GMT"}, url), "s=1");
  EXPECT_EQ(sent(url, {"s=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT"}, url), "s=1");
  EXPECT_EQ(sent(url, {"s=1; Expires=soon"}, url), "s=1");
}

TEST(CookieJar, WhatCannotStandInAHeaderIsNotKeptAndEverythingHasABound) {
  const std::string url = "http://a.example/";
  EXPECT_EQ(sent(url, {"", "=1", "nonsense", "a\x01=1", "b=\x7f", std::string("c=\0", 3)}, url),
            "");
  EXPECT_EQ(sent(url, {"s=" + std::string(5000, 'x')}, url), "");
  std::vector<std::string> many;
  for (int i = 0; i < 100; ++i) many.push_back(fmt::format("c{}={}", i, std::string(1000, 'x')));
  const std::string header = sent(url, many, url);
  EXPECT_LE(header.size(), CookieJar::kHeaderBytesMax);
  EXPECT_TRUE(header.starts_with("c0=xxx"));
}

}  // namespace
}  // namespace tocsin::codec
