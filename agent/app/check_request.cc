#include "agent/app/check_request.h"

#include "agent/app/check_dns.h"
#include "agent/app/check_http.h"
#include "common/assert/evaluator.h"
#include "common/assert/parser.h"
#include "common/base/strings.h"
#include "common/codec/byte_text.h"
#include "common/codec/url.h"

#include <algorithm>
#include <charconv>

namespace tocsin::agent {

namespace {

constexpr Duration kTimeoutMin = std::chrono::milliseconds{10};
constexpr Duration kTimeoutMax = std::chrono::minutes{5};

/// What was given, before it is known which kind of target it is for.
struct Given {
  std::string url;
  std::vector<std::string> conditions;
  std::vector<std::string> degraded;
  CheckHttpOptions http;
  std::string send;
  std::string expect;
  StartTls starttls = StartTls::kNone;
  std::vector<std::string> alpn;
  bool tls13_only = false;
  std::vector<std::string_view> http_only;  ///< Options given that only HTTP has.
  std::vector<std::string_view> tcp_only;
  std::vector<std::string_view> tls_only;     ///< Options that only tls has.
  std::vector<std::string_view> stream_only;  ///< https, tls, and tcp with --starttls.
};

Expected<int> parse_count(std::string_view option, const std::string& text, int most) {
  int out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end != text.data() + text.size() || out < 0 || out > most) {
    return fail(Errc::kInvalid, "{}: expected 0 to {}, not '{}'", option, most,
                printable(text, 40));
  }
  return out;
}

/// HOST:PORT behind "SCHEME://"; the same rules for hosts and ports as in URLs. `port` is what it
/// is without one; 0: there must be one.
Expected<Url> parse_place(const std::string& url, std::uint16_t port) {
  const std::string rest = url.substr(6);
  const std::string_view host_end =
      std::string_view{rest}.substr(rest.find(']') == std::string::npos ? 0 : rest.find(']'));
  const bool has_port = host_end.find(':') != std::string_view::npos;
  if ((!has_port && port == 0) || rest.find_first_of("/?#") != std::string::npos) {
    return fail(Errc::kInvalid, "expected {}HOST{}, not '{}'", url.substr(0, 6),
                port == 0 ? ":PORT" : "[:PORT]", printable(url, 80));
  }
  TRY_ASSIGN(Url parsed, parse_url("http://" + rest));
  if (!has_port) parsed.port = port;
  return parsed;
}

Expected<Target> parse_tcp(const Given& given) {
  TRY_ASSIGN(const Url place, parse_place(given.url, 0));
  TcpTarget out;
  out.host = place.host;
  out.port = place.port;
  out.send = given.send;
  out.expect = given.expect;
  out.starttls = given.starttls;
  out.server_name = given.http.target.server_name;
  out.verify = given.http.target.verify;
  out.ca_pem = given.http.target.ca_pem;
  out.ocsp = given.http.target.ocsp;
  return Target{std::move(out)};
}

Expected<Target> parse_tls(const Given& given) {
  TRY_ASSIGN(const Url place, parse_place(given.url, 443));
  TlsTarget out;
  out.host = place.host;
  out.port = place.port;
  out.starttls = given.starttls;
  out.server_name = given.http.target.server_name;
  out.alpn = given.alpn;
  out.tls13_only = given.tls13_only;
  out.verify = given.http.target.verify;
  out.ca_pem = given.http.target.ca_pem;
  out.ocsp = given.http.target.ocsp;
  return Target{std::move(out)};
}

Expected<Target> parse_target(const Given& given) {
  const std::string& url = given.url;
  if (url.starts_with("tcp://")) {
    return parse_tcp(given);
  }
  if (url.starts_with("tls://")) return parse_tls(given);
  if (url.starts_with("dns://")) {
    TRY_ASSIGN(DnsTarget out, parse_dns_url(url));
    return Target{std::move(out)};
  }
  if (!url.starts_with("http://") && !url.starts_with("https://")) {
    return fail(Errc::kInvalid,
                "'{}': expected http://, https://, tcp://, tls:// or dns:// at the start",
                printable(url, 80));
  }
  TRY(parse_url(url));
  HttpTarget out = given.http.target;
  out.url = url;
  if (out.method.empty()) out.method = out.body.empty() ? "GET" : "POST";
  return Target{std::move(out)};
}

Expected<void> check_options_fit(const Given& given, const Target& target) {
  const bool http = std::holds_alternative<HttpTarget>(target);
  const auto* tcp = std::get_if<TcpTarget>(&target);
  const bool tls = std::holds_alternative<TlsTarget>(target);
  if (!http && !given.http_only.empty()) {
    return fail(Errc::kInvalid, "{} is for http and https", given.http_only.front());
  }
  if (tcp == nullptr && !given.tcp_only.empty()) {
    return fail(Errc::kInvalid, "{} is for tcp", given.tcp_only.front());
  }
  if (!tls && !given.tls_only.empty()) {
    return fail(Errc::kInvalid, "{} is for tls", given.tls_only.front());
  }
  const bool encrypted = tls || (tcp != nullptr && tcp->starttls != StartTls::kNone);
  if (!http && !encrypted && !given.stream_only.empty()) {
    return fail(Errc::kInvalid, "{} is for tls, and for tcp with --starttls",
                given.stream_only.front());
  }
  if (!http && !encrypted && !given.http.target.verify) {
    return fail(Errc::kInvalid, "--insecure is for http, https and tls");
  }
  if (!tls && tcp == nullptr && given.starttls != StartTls::kNone) {
    return fail(Errc::kInvalid, "--starttls is for tcp and tls");
  }
  return {};
}

Expected<std::vector<Condition>> parse_conditions(std::string_view option,
                                                  const std::vector<std::string>& texts,
                                                  const Target& target) {
  std::vector<Condition> out;
  for (const std::string& text : texts) {
    auto condition = assertion::parse_condition(text, target);
    if (!condition) {
      return fail(Errc::kInvalid, "{} '{}': {}", option, printable(text, 60),
                  condition.error().text);
    }
    out.push_back(*std::move(condition));
  }
  return out;
}

/// Null when it is not among them; valid with the list.
const std::string_view* find_option(const std::vector<std::string_view>& among,
                                    std::string_view name) {
  const auto at = std::find(among.begin(), among.end(), name);
  return at == among.end() ? nullptr : &*at;
}

/// Reads the words into `given` and `out`.
class WordReader {
 public:
  WordReader(const std::vector<std::string>& words, Given& given, CheckRequest& out)
      : words_(words),
        given_(given),
        out_(out) {}

  Expected<void> read() {
    for (at_ = 0; at_ < words_.size(); ++at_) {
      const std::string& word = words_[at_];
      if (word.size() > 1 && word.front() == '-') {
        TRY(read_option(word));
      } else if (given_.url.empty()) {
        given_.url = word;
      } else {
        return fail(Errc::kInvalid, "unexpected argument '{}': one URL at a time",
                    printable(word, 60));
      }
    }
    return {};
  }

 private:
  Expected<void> read_option(const std::string& word) {
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    inline_value_.reset();
    if (equals != std::string::npos) inline_value_ = word.substr(equals + 1);
    if (read_flag(name)) return {};
    return read_valued(name);
  }

  bool read_flag(std::string_view name) {
    if (inline_value_) return false;
    if (name == "--json") {
      out_.json = true;
    } else if (name == "--help" || name == "-h") {
      out_.help = true;
    } else if (name == "-4") {
      out_.spec.family = IpFamily::kV4;
    } else if (name == "-6") {
      out_.spec.family = IpFamily::kV6;
    } else if (const auto* flag = find_option(http_flags(), name)) {
      take_http_flag(*flag, given_.http);
      if (*flag != "--insecure") given_.http_only.push_back(*flag);
    } else {
      return false;
    }
    return true;
  }

  Expected<void> read_valued(const std::string& name) {
    std::vector<std::string_view> options{
        "--timeout",  "--assert",      "--degraded", "--send",       "--expect",
        "--resolver", "--secrets-dir", "--json",     "--help",       "--starttls",
        "--alpn",     "--min-version", "--retries",  "--retry-delay"};
    options.insert(options.end(), http_options().begin(), http_options().end());
    options.insert(options.end(), http_flags().begin(), http_flags().end());
    const auto* known = find_option(options, name);
    if (known == nullptr) {
      const std::string_view near = did_you_mean(name, options);
      return fail(Errc::kInvalid, "unknown option {}{}", printable(name, 40),
                  near.empty() ? "" : fmt::format("; did you mean {}?", near));
    }
    if (!inline_value_ && at_ + 1 == words_.size()) {
      return fail(Errc::kInvalid, "{} needs a value", name);
    }
    return take(*known, inline_value_ ? *inline_value_ : words_[++at_]);
  }

  Expected<void> take(std::string_view name, const std::string& value) {
    if (name == "--timeout") {
      TRY_ASSIGN(out_.spec.timeout, parse_duration(value));
      if (out_.spec.timeout < kTimeoutMin || out_.spec.timeout > kTimeoutMax) {
        return fail(Errc::kInvalid, "--timeout: expected {} to {}", format_duration(kTimeoutMin),
                    format_duration(kTimeoutMax));
      }
      return {};
    }
    if (name == "--retries") {
      TRY_ASSIGN(out_.spec.retry.retries, parse_count(name, value, 10));
      return {};
    }
    if (name == "--retry-delay") {
      TRY_ASSIGN(out_.spec.retry.delay, parse_duration(value));
      if (out_.spec.retry.delay < Duration{0} || out_.spec.retry.delay > kTimeoutMax) {
        return fail(Errc::kInvalid, "--retry-delay: expected 0s to {}",
                    format_duration(kTimeoutMax));
      }
      return {};
    }
    if (name == "--resolver") {
      TRY_ASSIGN(out_.resolver, io::DnsServer::parse(value));
      return {};
    }
    if (name == "--assert" || name == "--degraded") {
      (name == "--assert" ? given_.conditions : given_.degraded).push_back(value);
      return {};
    }
    if (name == "--send" || name == "--expect") {
      given_.tcp_only.push_back(name);
      auto bytes = codec::read_byte_text(value);
      if (!bytes) return fail(Errc::kInvalid, "{}: {}", name, bytes.error().text);
      (name == "--send" ? given_.send : given_.expect) = *std::move(bytes);
      return {};
    }
    if (name == "--secrets-dir") {
      out_.secrets_dir = value;
      return {};
    }
    if (name == "--starttls" || name == "--alpn" || name == "--min-version") {
      return take_tls(name, value);
    }
    const auto* option = find_option(http_options(), name);
    if (option == nullptr) return fail(Errc::kInvalid, "{} takes no value", name);
    const bool of_tls = name == "--server-name" || name == "--ca" || name == "--ocsp";
    (of_tls ? given_.stream_only : given_.http_only).push_back(*option);
    TRY(take_http_option(*option, value, given_.http));
    return {};
  }

  Expected<void> take_tls(std::string_view name, const std::string& value) {
    if (name == "--starttls") {
      const auto protocol = starttls_from_name(value);
      if (!protocol) {
        return fail(Errc::kInvalid, "--starttls: expected smtp, imap, pop3 or postgres, not '{}'",
                    printable(value, 40));
      }
      given_.starttls = *protocol;
    } else if (name == "--alpn") {
      given_.tls_only.push_back(name);
      given_.alpn.push_back(value);
    } else {
      given_.tls_only.push_back(name);
      if (value != "1.2" && value != "1.3") {
        return fail(Errc::kInvalid, "--min-version: expected 1.2 or 1.3, not '{}'",
                    printable(value, 40));
      }
      given_.tls13_only = value == "1.3";
    }
    return {};
  }

  const std::vector<std::string>& words_;
  Given& given_;
  CheckRequest& out_;
  std::size_t at_ = 0;
  std::optional<std::string> inline_value_;
};

/// The rules of a monitor's spec, as far as they are about what is probed.
Expected<void> check_spec(const ProbeSpec& spec) {
  MonitorSpec monitor;
  monitor.key = monitor.name = "check";
  monitor.probe = spec;
  const std::vector<FieldError> errors = validate(monitor);
  if (!errors.empty()) {
    return fail(Errc::kInvalid, "{}: {}", errors.front().path, errors.front().text);
  }
  TRY(assertion::Evaluator::compile(spec));
  return {};
}

}  // namespace

Expected<CheckRequest> parse_check_request(const std::vector<std::string>& words) {
  CheckRequest out;
  Given given;
  out.spec.retry.retries = 0;
  given.http.target.method.clear();
  TRY((WordReader{words, given, out}.read()));
  if (out.help) return out;
  if (given.url.empty()) return fail(Errc::kInvalid, "expected a URL; see check --help");
  TRY_ASSIGN(out.spec.target, parse_target(given));
  TRY(check_options_fit(given, out.spec.target));
  out.proxy = given.http.proxy;
  TRY_ASSIGN(out.spec.assertions.all,
             parse_conditions("--assert", given.conditions, out.spec.target));
  TRY_ASSIGN(out.spec.degraded, parse_conditions("--degraded", given.degraded, out.spec.target));
  out.spec.interval = std::max<Duration>(std::chrono::minutes{1}, kTimeoutMax * 2);
  TRY(check_spec(out.spec));
  return out;
}

const char* check_usage() {
  return "tocsin-agent check URL [options]: one check now, with a waterfall of its phases\n"
         "\n"
         "  URL is http://..., https://..., tcp://HOST:PORT, tls://HOST[:PORT]\n"
         "  or dns://[SERVER]/NAME[?type=TYPE]\n"
         "  dns also takes, joined by &: transport=tcp or tls, server_name=HOST, ca=FILE,\n"
         "  verify=false, dnssec=true, recursion=false, rcode=NXDOMAIN\n"
         "\n"
         "  --assert CONDITION      must hold; may be given again (status == 200)\n"
         "  --degraded CONDITION    passes, but slow (latency > 800ms); may be given again\n"
         "  --timeout DURATION      of the whole attempt; 10s\n"
         "  --retries N, --retry-delay DURATION\n"
         "                          try again after a failure; 0 and 1s\n"
         "  --method M, --header 'NAME: VALUE', --body TEXT, --body-base64 TEXT, --body-max "
         "BYTES,\n"
         "  --redirects N, --allow-downgrade, --http auto|1.1|2, --proxy http://HOST:PORT,\n"
         "  --connection cold|resume|reuse (the second of two attempts is shown),\n"
         "  --basic USERNAME:FILE, --bearer FILE, --secret-header 'NAME: FILE',\n"
         "  --client-certificate FILE, --client-key FILE\n"
         "                          http and https\n"
         "  --secrets-dir DIR       where these FILEs are; /etc/tocsin/secrets\n"
         "  --send TEXT, --expect TEXT\n"
         "                          tcp; \\r \\n \\t \\0 \\xHH and \\\\ stand for bytes\n"
         "  --starttls P            tcp and tls: smtp, imap, pop3 or postgres is spoken first\n"
         "  --server-name NAME      tls: the name asked for, instead of the host\n"
         "  --alpn PROTOCOL, --min-version 1.3\n"
         "                          tls; --alpn may be given again, one of them must be chosen\n"
         "  --ca FILE, --insecure   these roots instead of the system's; verify nothing\n"
         "  --ocsp check|require    the staple must be good; require: there must be one\n"
         "  --resolver ADDR[:PORT]  asked for host names instead of the system's\n"
         "  -4, -6                  this family of addresses only\n"
         "  --json                  everything that was seen, as JSON\n"
         "\n"
         "exit status: 0 up, 1 degraded, 2 down, 3 could not check\n";
}

}  // namespace tocsin::agent
