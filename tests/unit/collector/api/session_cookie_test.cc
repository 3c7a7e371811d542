#include "collector/api/session_cookie.h"

#include <gtest/gtest.h>

namespace tocsin::collector {
namespace {

codec::HttpRequest request(std::vector<Header> headers) {
  codec::HttpRequest out;
  out.method = codec::HttpMethod::kPost;
  out.host = "127.0.0.1:7400";
  out.headers = std::move(headers);
  return out;
}

constexpr const char* kPublic = "https://tocsin.example.com/watch";

TEST(SessionCookie, IsOfTheWholeSiteAndClosedToScriptsAndOtherSites) {
  EXPECT_EQ(set_session_cookie(true, "abc", 1h).value,
            "__Host-tocsin=abc; Max-Age=3600; Path=/; HttpOnly; SameSite=Lax; Secure");
  EXPECT_EQ(set_session_cookie(false, "abc", 1h).value,
            "tocsin=abc; Max-Age=3600; Path=/; HttpOnly; SameSite=Lax");
  EXPECT_EQ(clear_session_cookie(false).value,
            "tocsin=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax");
}

TEST(CrossSite, TheBrowserSaysWhoseThePageIs) {
  EXPECT_FALSE(cross_site(request({{"sec-fetch-site", "same-origin"}}), kPublic, true));
  EXPECT_FALSE(cross_site(request({{"sec-fetch-site", "none"}}), kPublic, true));
  for (const char* foreign : {"same-site", "cross-site", "", "whatever"}) {
    EXPECT_TRUE(
        cross_site(request({{"sec-fetch-site", foreign}, {"origin", "https://tocsin.example.com"}}),
                   kPublic, true))
        << foreign;
  }
}

TEST(CrossSite, OlderBrowsersSayTheOrigin) {
  for (const char* ours : {"https://tocsin.example.com", "http://127.0.0.1:7400"}) {
    EXPECT_FALSE(cross_site(request({{"origin", ours}}), kPublic, true)) << ours;
  }
  for (const char* foreign :
       {"null", "", "https://evil.example", "http://tocsin.example.com", "http://127.0.0.1:7401",
        "http://127.0.0.1", "https://tocsin.example.com.evil.example", "http://127.0.0.1:7400/x"}) {
    EXPECT_TRUE(cross_site(request({{"origin", foreign}}), kPublic, true)) << foreign;
  }
  EXPECT_FALSE(cross_site(request({{"origin", "http://127.0.0.1:7400"}}), "", true));
}

TEST(CrossSite, AProgramThatSaysNeitherMayOnlyLogIn) {
  EXPECT_TRUE(cross_site(request({}), kPublic, true));
  EXPECT_FALSE(cross_site(request({}), kPublic, false));
}

}  // namespace
}  // namespace tocsin::collector
