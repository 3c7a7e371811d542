#include "agent/compat/report_parts.h"
#include "common/base/strings.h"
#include "common/codec/content_coding.h"

#include <algorithm>
#include <charconv>
#include <ctime>

namespace tocsin::agent {

namespace {

/// Of a body that is decoded for its length or its content.
constexpr std::size_t kDecodedMax = std::size_t{4} << 20;

const std::string* find_header(const HttpFacts& facts, std::string_view name) {
  const auto at = std::find_if(facts.headers.begin(), facts.headers.end(),
                               [&](const Header& h) { return h.name == name; });
  return at == facts.headers.end() ? nullptr : &at->value;
}

/// Go's Response.ContentLength: what the head says, -1 when it says nothing.
double content_length(const HttpFacts& facts, const std::string& method) {
  if (find_header(facts, "transfer-encoding") == nullptr) {
    if (const std::string* text = find_header(facts, "content-length")) {
      std::uint64_t value = 0;
      const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
      if (error == std::errc{} && end == text->data() + text->size()) {
        return static_cast<double>(value);
      }
    }
  }
  if (method != "HEAD" && (facts.status == 204 || facts.status == 304)) return 0;
  const bool ended_with_head = facts.version.starts_with('2') && facts.body_bytes == 0;
  return method != "HEAD" && ended_with_head ? 0 : -1;
}

/// "HTTP/2.0", "HTTP/1.1".
std::string protocol(const std::string& version) {
  return "HTTP/" + (version == "2" ? std::string{"2.0"} : version);
}

double version_number(const std::string& version) {
  double value = 0;
  std::from_chars(version.data(), version.data() + version.size(), value);
  return value;
}

bool is_redirection(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/// What became of the last response, as far as the exporter would see one.
struct Reading {
  const HttpFacts* facts = nullptr;  ///< Null: there was no response.
  bool refused_redirect = false;     ///< It is a redirect that was not followed.
};

Reading read(const BlackboxModule& module, const Observation& seen) {
  if (!seen.http || seen.http->status == 0) return {};
  const HttpFacts& facts = *seen.http;
  const bool over = seen.failure && seen.failure->reason == Reason::kHttpTooManyRedirects;
  // The facts are of the redirect before the request that failed.
  const bool stale = !facts.hops.empty() && facts.hops.back().status == 0;
  if (seen.failure && !over &&
      (stale || !connected(seen.failure) || seen.failure->reason == Reason::kHttpBadRedirect)) {
    return {};
  }
  const bool stays = !module.http.follow_redirects && is_redirection(facts.status) &&
                     find_header(facts, "location") != nullptr;
  return {&facts, over || stays};
}

/// Bytes came that were no response.
bool answered_badly(const std::optional<Failure>& failure) {
  if (!failure) return false;
  return failure->reason == Reason::kHttpProtocol || failure->reason == Reason::kHttpTruncated ||
         failure->reason == Reason::kHttpHeadersTooLarge ||
         failure->reason == Reason::kHttpTooManyInterim;
}

void add_phases(const Observation& seen, const Reading& reading, HttpFigures& out) {
  const auto add = [&](const Phases& p, bool last) {
    const bool responded = !last || reading.facts != nullptr || answered_badly(seen.failure);
    if (last && !connected(seen.failure)) return;
    out.connect_us += p.connect_us;
    out.tls_us += p.tls_us;
    if (!responded) return;
    out.processing_us += std::uint64_t{p.send_us} + p.wait_us;
    // Zero says that there was none, as theirs does; a short one can take less than a microsecond.
    if (last && reading.facts != nullptr) {
      out.transfer_us = std::max<std::uint64_t>(p.receive_us, 1);
    }
  };
  if (!seen.http || seen.http->hops.empty()) {
    // Without redirects `dns` is zero: the lookup came before.
    add(seen.phases, true);
    return;
  }
  const std::vector<HttpHop>& hops = seen.http->hops;
  for (std::size_t i = 0; i < hops.size(); ++i) {
    if (i > 0) out.resolve += Duration{hops[i].phases.dns_us};
    add(hops[i].phases, i + 1 == hops.size());
  }
}

/// Checks in the exporter's order; each looks only when the ones before passed, as there.
class HttpJudge {
 public:
  HttpJudge(const BlackboxHttp& rules, const HttpFacts& facts, HttpFigures& figures)
      : rules_(rules),
        facts_(facts),
        figures_(figures) {}

  ProbeVerdict verdict(const std::optional<Failure>& failure, bool refused_redirect) {
    check_status();
    check_headers();
    check_body(failure, refused_redirect);
    check_version();
    return std::move(verdict_);
  }

 private:
  void fail(Reason reason, std::string detail) {
    if (verdict_.success) verdict_ = failed(reason, std::move(detail));
  }

  void check_status() {
    const std::vector<int>& valid = rules_.valid_status_codes;
    const bool good = valid.empty()
                          ? facts_.status >= 200 && facts_.status <= 299
                          : std::find(valid.begin(), valid.end(), facts_.status) != valid.end();
    if (!good) {
      fail(Reason::kAssertStatus, fmt::format("status {} is not {}", facts_.status,
                                              valid.empty() ? "2xx" : "among valid_status_codes"));
    }
  }

  void check_headers() {
    if (!verdict_.success) return;
    const bool good = headers_are_good();
    if (rules_.header_must_match.empty() && rules_.header_must_not_match.empty()) return;
    figures_.failed_due_to_regex = !good;
  }

  bool headers_are_good() {
    for (const HeaderRule& rule : rules_.header_must_not_match) {
      const auto values = values_of(rule.name);
      if (values.empty() && !rule.allow_missing) return bad_header(rule, "is missing");
      for (const std::string* value : values) {
        if (rule.pattern.matches(*value)) return bad_header(rule, "matched its regexp");
      }
    }
    for (const HeaderRule& rule : rules_.header_must_match) {
      const auto values = values_of(rule.name);
      if (values.empty() && rule.allow_missing) continue;
      if (values.empty()) return bad_header(rule, "is missing");
      const bool any = std::any_of(values.begin(), values.end(), [&](const std::string* value) {
        return rule.pattern.matches(*value);
      });
      if (!any) return bad_header(rule, "did not match its regexp");
    }
    return true;
  }

  bool bad_header(const HeaderRule& rule, std::string_view what) {
    fail(Reason::kAssertHeader, fmt::format("the header {} {}", printable(rule.name, 60), what));
    return false;
  }

  std::vector<const std::string*> values_of(const std::string& name) const {
    std::vector<const std::string*> out;
    for (const Header& header : facts_.headers) {
      if (header.name == name) out.push_back(&header.value);
    }
    return out;
  }

  void check_body(const std::optional<Failure>& failure, bool refused_redirect) {
    std::string_view body = facts_.body;
    bool cut = facts_.body_cut;
    std::uint64_t length = facts_.body_bytes;
    std::optional<Failure> broken;
    if (!refused_redirect) broken = failure;
    std::optional<codec::DecodedContent> decoded;
    if (!rules_.compression.empty() && !broken && !refused_redirect) {
      auto made =
          codec::decode_content(body, rules_.compression, {.most = kDecodedMax, .cut = cut});
      if (made) {
        decoded = *std::move(made);
        body = decoded->body;
        length = decoded->body.size();
        cut = decoded->cut;
      } else {
        const bool bomb = made.error().kind == codec::DecodeError::Kind::kBomb;
        broken = Failure{bomb ? Reason::kHttpDecodedTooLarge : Reason::kHttpBadEncoding,
                         made.error().text};
        length = 0;
      }
    }
    const std::uint64_t most = rules_.body_size_limit;
    if (most > 0 && length > most) {
      length = most;
      body = body.substr(0, std::min<std::uint64_t>(body.size(), most));
      if (!broken) {
        broken =
            Failure{Reason::kAssertBody, fmt::format("the body is larger than {} bytes", most)};
      }
    }
    const bool asks = !rules_.body_must_match.empty() || !rules_.body_must_not_match.empty();
    if (verdict_.success && asks) figures_.failed_due_to_regex = broken || !matches(body, cut);
    figures_.body_length = refused_redirect ? 0 : static_cast<double>(length);
    if (broken) fail(broken->reason, broken->detail);
  }

  /// What was not kept could decide: it satisfies nothing.
  bool matches(std::string_view body, bool cut) {
    for (const assertion::Regex& pattern : rules_.body_must_not_match) {
      if (cut || pattern.matches(body)) {
        fail(Reason::kAssertBody, cut ? "the body is too large to be matched with a regexp"
                                      : "the body matched fail_if_body_matches_regexp");
        return false;
      }
    }
    for (const assertion::Regex& pattern : rules_.body_must_match) {
      if (pattern.matches(body)) continue;
      fail(Reason::kAssertBody, "the body did not match fail_if_body_not_matches_regexp");
      return false;
    }
    return true;
  }

  void check_version() {
    const std::vector<std::string>& valid = rules_.valid_http_versions;
    if (valid.empty()) return;
    if (std::find(valid.begin(), valid.end(), protocol(facts_.version)) == valid.end()) {
      fail(Reason::kAssertVersion,
           fmt::format("{} is not among valid_http_versions", protocol(facts_.version)));
    }
  }

  const BlackboxHttp& rules_;
  const HttpFacts& facts_;
  HttpFigures& figures_;
  ProbeVerdict verdict_{.success = true, .reason = Reason::kNone, .detail = {}};
};

}  // namespace

std::optional<std::int64_t> parse_http_date(std::string_view text) {
  for (const char* format :
       {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"}) {
    std::tm tm{};
    const std::string owned{text};
    const char* end = ::strptime(owned.c_str(), format, &tm);
    if (end != nullptr && *end == '\0') return static_cast<std::int64_t>(::timegm(&tm));
  }
  return std::nullopt;
}

void add_http(const HttpFigures& figures, MetricSheet& out) {
  const auto phase = [&](const char* name, double value) {
    out.gauge("probe_http_duration_seconds",
              "Duration of http request by phase, summed over all redirects", value,
              {{"phase", name}});
  };
  if (figures.resolves) phase("resolve", seconds(figures.resolve));
  if (figures.looked_up) {
    phase("connect", seconds_of_us(figures.connect_us));
    phase("tls", seconds_of_us(figures.tls_us));
    phase("processing", seconds_of_us(figures.processing_us));
    phase("transfer", seconds_of_us(figures.transfer_us));
  }
  out.gauge("probe_http_content_length", "Length of http content response", figures.content_length);
  out.gauge("probe_http_uncompressed_body_length", "Length of uncompressed response body",
            figures.body_length);
  out.gauge("probe_http_redirects", "The number of redirects", figures.redirects);
  out.gauge("probe_http_ssl", "Indicates if SSL was used for the final redirect", figures.ssl);
  out.gauge("probe_http_status_code", "Response HTTP status code", figures.status);
  out.gauge("probe_http_version", "Returns the version of HTTP of the probe response",
            figures.version);
  add_failed_due_to_regex(figures.failed_due_to_regex, out);
}

ProbeVerdict report_http(const BlackboxModule& module, const TargetLookup& lookup,
                         const Observation& seen, MetricSheet& out) {
  const Reading reading = read(module, seen);
  HttpFigures figures;
  figures.resolve = lookup.took;
  const bool skips = !module.http.proxy.empty() && module.http.skip_resolve_phase_with_proxy;
  figures.looked_up = lookup.address || seen.http || skips;
  figures.resolves = !skips || (seen.http && seen.http->hops.size() > 1);
  add_phases(seen, reading, figures);
  if (seen.http && !seen.http->hops.empty()) {
    figures.redirects = static_cast<double>(seen.http->hops.size() - 1);
  }
  if (reading.refused_redirect) ++figures.redirects;
  ProbeVerdict verdict;
  if (reading.facts == nullptr) {
    const Failure unknown{Reason::kSelfInternal, "there was no response"};
    const Failure& failure = seen.failure ? *seen.failure : unknown;
    verdict = failed(failure.reason, failure.detail);
  } else {
    const HttpFacts& facts = *reading.facts;
    verdict =
        HttpJudge{module.http, facts, figures}.verdict(seen.failure, reading.refused_redirect);
    figures.status = facts.status;
    figures.version = version_number(facts.version);
    figures.content_length = content_length(facts, module.http.method);
    figures.ssl = seen.tls.has_value();
    if (seen.tls) add_tls(*seen.tls, module.tls.verify, out);
    if (const std::string* modified = find_header(facts, "last-modified")) {
      if (const auto at = parse_http_date(*modified)) {
        out.gauge("probe_http_last_modified_timestamp_seconds",
                  "Returns the Last-Modified HTTP response header in unixtime",
                  static_cast<double>(*at));
      }
    }
  }
  if (verdict.success && figures.ssl && module.http.fail_if_ssl) {
    verdict = failed(Reason::kAssertTls, "the response came over TLS, and fail_if_ssl is set");
  }
  if (verdict.success && !figures.ssl && module.http.fail_if_not_ssl) {
    verdict =
        failed(Reason::kAssertTls, "the response came without TLS, and fail_if_not_ssl is set");
  }
  add_http(figures, out);
  return verdict;
}

}  // namespace tocsin::agent
