#include "agent/app/check_http.h"

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/codec/url.h"
#include "common/io/file.h"

#include <algorithm>
#include <charconv>

namespace tocsin::agent {

namespace {

constexpr std::size_t kCaBytesMax = 1024 * 1024;

Expected<Header> parse_header(std::string_view option, const std::string& text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos || colon == 0) {
    return fail(Errc::kInvalid, "{}: expected 'NAME: VALUE', not '{}'", option,
                printable(text, 60));
  }
  return Header{text.substr(0, colon), std::string{trim(text.substr(colon + 1))}};
}

template <class Int>
Expected<Int> parse_number(std::string_view option, const std::string& text, Int most) {
  Int out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end != text.data() + text.size() || out < 0 || out > most) {
    return fail(Errc::kInvalid, "{}: expected 0 to {}, not '{}'", option, most,
                printable(text, 40));
  }
  return out;
}

template <class Enum>
Expected<Enum> parse_word(std::string_view option, const std::string& text,
                          std::initializer_list<Enum> known) {
  std::vector<std::string> words;
  for (const Enum one : known) {
    if (text == to_string(one)) return one;
    words.emplace_back(to_string(one));
  }
  return fail(Errc::kInvalid, "{}: expected one of {}, not '{}'", option, join(words, ", "),
              printable(text, 40));
}

Expected<void> take_basic(const std::string& value, HttpAuth& out) {
  const std::size_t colon = value.find(':');
  if (colon == std::string::npos) {
    return fail(Errc::kInvalid, "--basic: expected USERNAME:FILE, a file of --secrets-dir");
  }
  out = {HttpAuth::Kind::kBasic, value.substr(0, colon), SecretRef::file(value.substr(colon + 1))};
  return {};
}

Expected<void> take_proxy(const std::string& value, CheckHttpOptions& out) {
  TRY_ASSIGN(const Url url, parse_url(value));
  if (url.https || url.path != "/") {
    return fail(Errc::kInvalid, "--proxy: expected http://HOST:PORT, not '{}'",
                printable(value, 80));
  }
  out.target.proxy = "check";
  out.proxy = ProxySettings{"check", url.host, url.host_is_address, url.port, {}, {}};
  return {};
}

}  // namespace

const std::vector<std::string_view>& http_options() {
  static const std::vector<std::string_view> kOptions{
      "--method",     "--header", "--body",        "--body-base64",   "--body-max",
      "--redirects",  "--basic",  "--bearer",      "--secret-header", "--client-certificate",
      "--client-key", "--ca",     "--server-name", "--http",          "--proxy",
      "--connection", "--ocsp"};
  return kOptions;
}

const std::vector<std::string_view>& http_flags() {
  static const std::vector<std::string_view> kFlags{"--insecure", "--allow-downgrade"};
  return kFlags;
}

void take_http_flag(std::string_view name, CheckHttpOptions& out) {
  if (name == "--insecure") out.target.verify = false;
  if (name == "--allow-downgrade") out.target.allow_downgrade = true;
}

Expected<void> take_http_option(std::string_view name, const std::string& value,
                                CheckHttpOptions& out) {
  HttpTarget& t = out.target;
  if (name == "--method") {
    t.method = value;
  } else if (name == "--header") {
    TRY_ASSIGN(Header header, parse_header(name, value));
    t.headers.push_back(std::move(header));
  } else if (name == "--secret-header") {
    TRY_ASSIGN(Header header, parse_header(name, value));
    t.secret_headers.push_back({std::move(header.name), SecretRef::file(std::move(header.value))});
  } else if (name == "--body") {
    t.body = value;
  } else if (name == "--body-base64") {
    if (!from_base64(value, t.body)) {
      return fail(Errc::kInvalid, "--body-base64: expected base64 with its padding");
    }
  } else if (name == "--body-max") {
    TRY_ASSIGN(t.body_max, parse_number<std::uint32_t>(name, value, 1024 * 1024));
  } else if (name == "--redirects") {
    TRY_ASSIGN(t.redirects_max, parse_number<int>(name, value, 10));
  } else if (name == "--basic") {
    TRY(take_basic(value, t.auth));
  } else if (name == "--bearer") {
    t.auth = {HttpAuth::Kind::kBearer, {}, SecretRef::file(value)};
  } else if (name == "--client-certificate") {
    t.client_cert = SecretRef::file(value);
  } else if (name == "--client-key") {
    t.client_key = SecretRef::file(value);
  } else if (name == "--ca") {
    TRY_ASSIGN(t.ca_pem, io::read_file(value, kCaBytesMax));
  } else if (name == "--server-name") {
    t.server_name = value;
  } else if (name == "--ocsp") {
    TRY_ASSIGN(t.ocsp, parse_word(name, value, {OcspMode::kCheck, OcspMode::kRequire}));
  } else if (name == "--http") {
    TRY_ASSIGN(t.version,
               parse_word(name, value, {HttpVersion::kAuto, HttpVersion::k11, HttpVersion::k2}));
  } else if (name == "--connection") {
    TRY_ASSIGN(t.connection, parse_word(name, value,
                                        {ConnectionMode::kCold, ConnectionMode::kResume,
                                         ConnectionMode::kReuse}));
  } else if (name == "--proxy") {
    TRY(take_proxy(value, out));
  } else {
    CHECK(false && "not one of http_options()");
  }
  return {};
}

}  // namespace tocsin::agent
