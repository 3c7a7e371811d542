// A URL that is accepted reads back equal from its own text, and so does every redirect from it.

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/codec/url.h"

namespace {

void check_url(const tocsin::Url& url) {
  CHECK(url.str().size() <= tocsin::Url::kSizeMax);
  CHECK(url.path.starts_with('/'));
  CHECK(url.port != 0);
  const auto again = tocsin::parse_url(url.str());
  CHECK(again.has_value());
  CHECK(*again == url);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = tocsin::as_view({data, size});
  if (const auto url = tocsin::parse_url(text)) check_url(*url);
  static const tocsin::Url base = *tocsin::parse_url("https://a.example:8443/b/c/d;p?q");
  if (const auto url = tocsin::resolve_url(base, text)) check_url(*url);
  if (const auto host = tocsin::parse_host(text)) CHECK(tocsin::parse_host(*host) == host);
  return 0;
}
