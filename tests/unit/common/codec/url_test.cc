#include "common/codec/url.h"

#include <gtest/gtest.h>

namespace tocsin {
namespace {

TEST(Url, ReadsSchemeHostPortPathAndQuery) {
  EXPECT_EQ(*parse_url("https://Shop.Example.com/health?x=1#frag"),
            (Url{true, "shop.example.com", false, 443, "/health?x=1"}));
  EXPECT_EQ(*parse_url("HTTP://127.0.0.1:7480"), (Url{false, "127.0.0.1", true, 7480, "/"}));
  EXPECT_EQ(*parse_url("http://[2001:DB8::1]:8080/"), (Url{false, "2001:db8::1", true, 8080, "/"}));
  EXPECT_EQ(*parse_url("http://example.com.?q"), (Url{false, "example.com", false, 80, "/?q"}));
}

TEST(Url, WritesItselfSoThatItReadsBackEqual) {
  for (const char* text : {"http://a.example/", "https://a.example:8443/x/y?z=%20",
                           "http://[::1]:8080/", "https://192.0.2.7/a;b=c"}) {
    const auto url = parse_url(text);
    ASSERT_TRUE(url) << text;
    EXPECT_EQ(url->str(), text);
    EXPECT_EQ(parse_url(url->str()), url);
  }
}

TEST(Url, RefusesWhatCouldNameAnotherHostToAnotherParser) {
  for (const std::string_view text : {
           "http://user@example.com/",
           "http://user:pw@example.com/",
           "http://a@b@c/",
           "http://example.com\\@evil.example/",
           "http:\\\\example.com/",
           "http://exa mple.com/",
           "http://example.com/a b",
           "http://example.com/\r\nX: y",
           "http://ex\tample.com/",
           "http://b\xc3\xbc"
           "cher.example/",
           "http://%65xample.com/",
           "http://example.com/%zz",
           "http://example.com/%2",
           "http://0x7f.1/",
           "http://2130706433/",
           "http://0177.0.0.1/",
           "http://127.1/",
           "http://127.0.0.1./",
           "http://1.2.3.256/",
           "http://a.0x10/",
           "http://foo.1/",
           "http://[::1/",
           "http://[127.0.0.1]/",
           "http://[fe80::1%25eth0]/",
           "http://[::1]x/",
           "http://[::1]80/",
           "http:///path",
           "http://",
           "http:/example.com/",
           "//example.com/",
           "example.com",
           "ftp://example.com/",
           "javascript:alert(1)",
           "file:///etc/passwd",
           "",
           "http://example.com:0/",
           "http://example.com:65536/",
           "http://example.com:/",
           "http://example.com:+80/",
           "http://example.com:80a/",
           "http://-a.example/",
           "http://a-.example/",
           "http://a..b/",
           "http://.a/",
           "http://a,b/",
           "http://a/<x>",
           "http://a/\"x\"",
       }) {
    EXPECT_FALSE(parse_url(text)) << text;
  }
}

TEST(Url, BoundsItsSizeAndItsHost) {
  const std::string start = "http://example.com/";
  EXPECT_TRUE(parse_url(start + std::string(Url::kSizeMax - start.size(), 'a')));
  EXPECT_FALSE(parse_url(start + std::string(Url::kSizeMax - start.size() + 1, 'a')));
  EXPECT_TRUE(parse_url("http://" + std::string(63, 'a') + ".example/"));
  EXPECT_FALSE(parse_url("http://" + std::string(64, 'a') + ".example/"));
}

TEST(Url, NamesTheFaultAndThePlace) {
  EXPECT_EQ(parse_url("http://example.com/a b").error().text,
            "URL 'http://example.com/a b': byte 21 is a blank, a control or not ASCII: write it as "
            "%20");
  EXPECT_EQ(parse_url("http://0x7f.1/").error().code, Errc::kInvalid);
}

TEST(Url, ResolvesReferencesAsInRfc3986Section54) {
  const Url base = *parse_url("http://a/b/c/d;p?q");
  const std::pair<const char*, const char*> rows[] = {
      {"g", "http://a/b/c/g"},
      {"./g", "http://a/b/c/g"},
      {"g/", "http://a/b/c/g/"},
      {"/g", "http://a/g"},
      {"//g", "http://g/"},
      {"?y", "http://a/b/c/d;p?y"},
      {"g?y", "http://a/b/c/g?y"},
      {"#s", "http://a/b/c/d;p?q"},
      {"g#s", "http://a/b/c/g"},
      {"g?y#s", "http://a/b/c/g?y"},
      {";x", "http://a/b/c/;x"},
      {"", "http://a/b/c/d;p?q"},
      {".", "http://a/b/c/"},
      {"./", "http://a/b/c/"},
      {"..", "http://a/b/"},
      {"../", "http://a/b/"},
      {"../g", "http://a/b/g"},
      {"../..", "http://a/"},
      {"../../g", "http://a/g"},
      {"../../../g", "http://a/g"},
      {"/./g", "http://a/g"},
      {"/../g", "http://a/g"},
      {"g.", "http://a/b/c/g."},
      {"..g", "http://a/b/c/..g"},
      {"./../g", "http://a/b/g"},
      {"g/./h", "http://a/b/c/g/h"},
      {"g/../h", "http://a/b/c/h"},
      {"g;x=1/../y", "http://a/b/c/y"},
      {"g?y/../x", "http://a/b/c/g?y/../x"},
      {"https://h:444/x", "https://h:444/x"},
  };
  for (const auto& [reference, expected] : rows) {
    const auto url = resolve_url(base, reference);
    ASSERT_TRUE(url) << reference;
    EXPECT_EQ(url->str(), expected) << reference;
  }
}

TEST(Url, ResolvesOnlyToWhatItWouldAccept) {
  const Url base = *parse_url("https://a.example/x");
  for (const char* reference : {"http:g", "ftp://b/", "//u@b/", "//0x7f.1/", "/a\\b", "/a b",
                                "mailto:x@y", "//", "http://"}) {
    EXPECT_FALSE(resolve_url(base, reference)) << reference;
  }
}

TEST(Url, OriginIsSchemeHostAndPort) {
  const Url a = *parse_url("https://a.example/x");
  EXPECT_TRUE(a.same_origin(*parse_url("https://A.example:443/y")));
  EXPECT_FALSE(a.same_origin(*parse_url("http://a.example/x")));
  EXPECT_FALSE(a.same_origin(*parse_url("https://a.example:8443/x")));
  EXPECT_FALSE(a.same_origin(*parse_url("https://b.example/x")));
}

TEST(Url, ReadsABareHostByTheSameRules) {
  EXPECT_EQ(*parse_host("DB.internal"), "db.internal");
  EXPECT_EQ(*parse_host("::1"), "::1");
  EXPECT_EQ(*parse_host("[::1]"), "::1");
  EXPECT_FALSE(parse_host("0x7f.1"));
  EXPECT_FALSE(parse_host("a:80"));
  EXPECT_FALSE(parse_host(""));
}

}  // namespace
}  // namespace tocsin
