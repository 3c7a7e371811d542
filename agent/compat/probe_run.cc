#include "agent/compat/probe_run.h"

#include "agent/probe/http_credentials.h"
#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/strings.h"
#include "common/codec/url.h"
#include "common/io/file.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace tocsin::agent {

namespace {

constexpr std::size_t kSecretMax = 64 * 1024;
constexpr std::size_t kPemMax = std::size_t{2} << 20;
/// Of a body that a pattern is matched with, or that is decoded.
constexpr std::uint32_t kBodyMax = 1024 * 1024;
constexpr int kRedirectsMax = 10;

struct HostPort {
  std::string host;  ///< As written, without brackets.
  std::uint16_t port = 0;
};

/// "host:80", "[::1]:80".
Expected<HostPort> split_host_port(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return fail(Errc::kInvalid, "expected HOST:PORT, got \"{}\"", printable(text, 100));
  }
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (!bracketed && host.find(':') != std::string_view::npos) {
    return fail(Errc::kInvalid, "expected brackets around the IPv6 address of \"{}\"",
                printable(text, 100));
  }
  HostPort out{std::string{host}, 0};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
  if (error != std::errc{} || end != digits.data() + digits.size() || out.port == 0) {
    return fail(Errc::kInvalid, "expected a port from 1 to 65535 in \"{}\"", printable(text, 100));
  }
  return out;
}

/// The certificates of a PEM file, without what people write around them.
std::string certificates_of(std::string_view pem) {
  constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
  constexpr std::string_view kEnd = "-----END CERTIFICATE-----";
  std::string out;
  for (std::size_t at = pem.find(kBegin); at != std::string_view::npos; at = pem.find(kBegin, at)) {
    const std::size_t end = pem.find(kEnd, at);
    if (end == std::string_view::npos) break;
    out.append(pem.substr(at, end + kEnd.size() - at)).append("\n");
    at = end + kEnd.size();
  }
  return out;
}

Expected<io::Secret> read_secret(const SecretSource& source) {
  if (source.file.empty()) return source.text;
  TRY_ASSIGN(std::string text, io::read_file(source.file, kSecretMax));
  return io::Secret{std::string{trim(text)}};
}

const Header* find_header(const std::vector<Header>& headers, std::string_view name) {
  const auto at = std::find_if(headers.begin(), headers.end(),
                               [&](const Header& h) { return iequals(h.name, name); });
  return at == headers.end() ? nullptr : &*at;
}

}  // namespace

Expected<Duration> probe_timeout(std::string_view header, Duration module_timeout) {
  double given = 0;
  if (!header.empty()) {
    const auto [end, error] = std::from_chars(header.data(), header.data() + header.size(), given);
    if (error != std::errc{} || end != header.data() + header.size() || !std::isfinite(given)) {
      return fail(Errc::kInvalid, "expected a number of seconds, got \"{}\"",
                  printable(header, 40));
    }
  }
  constexpr double kOffset = 0.5;  ///< What Prometheus is left for the answer's way back.
  if (given == 0) given = 120;
  const Duration most{static_cast<std::int64_t>(std::clamp(given - kOffset, -1.0, 120.0) * 1e6)};
  const bool own =
      (module_timeout > Duration::zero() && module_timeout < most) || most < Duration::zero();
  return std::clamp(own ? module_timeout : most, Duration{1000}, kProbeTimeoutMax);
}

ProbeRun::ProbeRun(io::EventLoop& loop, std::shared_ptr<ProbePool> pool, ProbeQuestion question,
                   Done done)
    : loop_(loop),
      pool_(std::move(pool)),
      question_(std::move(question)),
      module_(*question_.module),
      done_(std::move(done)) {}

void ProbeRun::note(std::string_view level, std::string text) {
  log_.push_back(fmt::format("level={} {}", level, text));
}

void ProbeRun::start() {
  began_ = latency_clock();
  deadline_ = loop_.now().mono + question_.timeout;
  note("info",
       fmt::format("msg=\"Beginning probe\" probe={} timeout_seconds={}", to_string(module_.prober),
                   static_cast<double>(question_.timeout.count()) / 1e6));
  if (read_target()) look_up();
}

/// False: it cannot be read, and that has been said.
bool ProbeRun::read_target() {
  const auto read = module_.prober == Prober::kHttp ? read_url() : read_place();
  if (read) return true;
  end_early(Reason::kPolicyUnsupported, read.error().text);
  return false;
}

Expected<void> ProbeRun::read_url() {
  looks_up_ = looks_up();  // Also of a URL that only this parser refuses.
  const std::string& target = question_.target;
  const bool whole = target.starts_with("http://") || target.starts_with("https://");
  TRY_ASSIGN(const Url url, parse_url(whole ? target : "http://" + target));
  url_ = url.str();
  host_ = url.host;
  return {};
}

Expected<void> ProbeRun::read_place() {
  auto place = split_host_port(question_.target);
  if (!place && module_.prober == Prober::kDns) {
    const bool tls = module_.dns.transport == DnsTransport::kTls;
    place = HostPort{question_.target, tls ? DnsTarget::kTlsPort : DnsTarget::kPort};
  }
  if (!place) return Unexpected{std::move(place).error()};
  looks_up_ = true;
  TRY_ASSIGN(host_, parse_host(place->host));
  port_ = place->port;
  return {};
}

/// Whether the target's own name is looked up at all.
bool ProbeRun::looks_up() const {
  return module_.http.proxy.empty() || !module_.http.skip_resolve_phase_with_proxy;
}

void ProbeRun::look_up() {
  if (!looks_up()) return probe();
  const AddressChoice& choice = module_.choice;
  if (const auto literal = IpAddress::parse(host_)) {
    const bool fits =
        choice.fallback || (choice.preferred == IpFamily::kV4) == literal->unmapped().is_v4();
    if (fits) return use(*literal);
    return end_early(Reason::kConnectNoAddress,
                     fmt::format("{} is not of the wanted family", literal->str()));
  }
  timer_ = loop_.at(deadline_, [this] {
    handle_.reset();
    lookup_.took = latency_clock() - began_;
    end_early(Reason::kDnsTimeout, fmt::format("no answer for {} in time", host_));
  });
  handle_ = pool_->look_up(host_, choice.fallback ? IpFamily::kAny : choice.preferred,
                           [this](io::ResolveResult result) { on_looked_up(std::move(result)); });
}

void ProbeRun::on_looked_up(io::ResolveResult result) {
  timer_.reset();
  lookup_.took = latency_clock() - began_;
  if (!result) return end_early(result.error().reason, result.error().detail);
  const auto& addresses = result->addresses;
  const bool wants_v4 = module_.choice.preferred == IpFamily::kV4;
  const auto at = std::find_if(addresses.begin(), addresses.end(),
                               [&](const IpAddress& a) { return a.is_v4() == wants_v4; });
  if (addresses.empty()) {
    return end_early(Reason::kConnectNoAddress, fmt::format("{} has no address", host_));
  }
  use(at == addresses.end() ? addresses.front() : *at);
}

void ProbeRun::use(const IpAddress& address) {
  lookup_.address = address;
  note("info",
       fmt::format("msg=\"Resolved target address\" target={} ip={}", host_, address.str()));
  probe();
}

void ProbeRun::probe() {
  auto spec = make_spec();
  if (!spec) return end_early(Reason::kPolicySecret, spec.error().text);
  auto wishes = make_wishes();
  if (!wishes) return end_early(Reason::kPolicySecret, wishes.error().text);
  const Duration left = std::max(deadline_ - loop_.now().mono, Duration{1000});
  handle_ = pool_->start(*std::move(spec), left, *std::move(wishes),
                         [this](const Observation& seen) { on_observed(seen); });
}

Expected<std::string> ProbeRun::read_ca() const {
  if (module_.tls.ca_file.empty()) return std::string{};
  TRY_ASSIGN(const std::string text, io::read_file(module_.tls.ca_file, kPemMax));
  std::string out = certificates_of(text);
  if (out.empty()) return fail(Errc::kInvalid, "{}: no certificate in it", module_.tls.ca_file);
  return out;
}

Expected<HttpTarget> ProbeRun::make_http() const {
  const BlackboxHttp& http = module_.http;
  HttpTarget out;
  out.url = url_;
  out.method = http.method;
  out.headers = http.headers;
  out.body = http.body;
  out.redirects_max = http.follow_redirects ? kRedirectsMax : 0;
  out.allow_downgrade = true;
  out.verify = module_.tls.verify;
  out.version = http.http2 ? HttpVersion::kAuto : HttpVersion::k11;
  out.proxy = http.proxy;
  const bool reads_body = !http.compression.empty() || !http.body_must_match.empty() ||
                          !http.body_must_not_match.empty();
  if (reads_body) out.body_max = kBodyMax;
  TRY_ASSIGN(out.ca_pem, read_ca());
  if (!question_.hostname.empty() && find_header(out.headers, "host") == nullptr) {
    out.headers.push_back({"Host", question_.hostname});
  }
  out.server_name = module_.tls.server_name;
  if (out.server_name.empty()) {
    if (const Header* host = find_header(out.headers, "host")) {
      const auto place = split_host_port(host->value);
      out.server_name = place ? place->host : host->value;
    }
  }
  if (!http.username.empty() || http.password.given()) {
    TRY_ASSIGN(const io::Secret password, read_secret(http.password));
    out.headers.push_back({"Authorization", basic_authorization(http.username, password.reveal())});
  } else if (http.credentials.given()) {
    TRY_ASSIGN(const io::Secret credentials, read_secret(http.credentials));
    out.headers.push_back({"Authorization", http.scheme + " " + credentials.reveal()});
  }
  return out;
}

Expected<std::shared_ptr<const ProbeSpec>> ProbeRun::make_spec() const {
  auto spec = std::make_shared<ProbeSpec>();
  switch (module_.prober) {
    case Prober::kHttp: {
      TRY_ASSIGN(spec->target, make_http());
      break;
    }
    case Prober::kTcp: {
      TcpTarget tcp{.host = host_, .port = port_, .send = {}, .expect = {}};
      tcp.server_name = module_.tls.server_name;
      if (tcp.server_name.empty()) tcp.server_name = question_.hostname;
      tcp.verify = module_.tls.verify;
      TRY_ASSIGN(tcp.ca_pem, read_ca());
      spec->target = std::move(tcp);
      break;
    }
    case Prober::kDns: {
      DnsTarget dns;
      dns.name = module_.dns.query_name;
      dns.type = module_.dns.query_type;
      CHECK(lookup_.address);
      dns.resolver = lookup_.address->with_port(port_);
      dns.transport = module_.dns.transport;
      dns.server_name = module_.tls.server_name;
      const bool literal = IpAddress::parse(host_).has_value();
      if (dns.server_name.empty() && !literal) dns.server_name = host_;
      dns.verify = module_.tls.verify;
      dns.recursion = module_.dns.recursion;
      TRY_ASSIGN(dns.ca_pem, read_ca());
      spec->target = std::move(dns);
      break;
    }
  }
  return spec;
}

Expected<ProbeWishes> ProbeRun::make_wishes() const {
  ProbeWishes out;
  out.address = lookup_.address;
  out.tls_detail = io::TlsDetail::kChain;
  out.tls13_only = module_.tls.tls13_only;
  if (module_.prober == Prober::kTcp) out.dialogue = module_.dialogue;
  out.dns = {.cls = module_.dns.query_class, .all_sections = true};
  if (!module_.tls.cert_file.empty()) {
    TRY_ASSIGN(const std::string certificate, io::read_file(module_.tls.cert_file, kPemMax));
    TRY_ASSIGN(std::string key, io::read_file(module_.tls.key_file, kPemMax));
    const io::Secret secret{std::move(key)};
    TRY_ASSIGN(out.identity, io::TlsIdentity::from_pem(certificate, secret.reveal()));
  }
  return out;
}

void ProbeRun::on_observed(const Observation& seen) {
  note_observed(seen);
  MetricSheet metrics;
  if (looks_up_) add_lookup(lookup_, metrics);
  ProbeVerdict verdict;
  switch (module_.prober) {
    case Prober::kHttp:
      verdict = report_http(module_, lookup_, seen, metrics);
      break;
    case Prober::kTcp:
      verdict = report_tcp(module_, seen, metrics);
      break;
    case Prober::kDns:
      verdict = report_dns(module_, lookup_, seen, metrics);
      break;
  }
  end(std::move(verdict), std::move(metrics));
}

void ProbeRun::note_observed(const Observation& seen) {
  if (!seen.remote.empty())
    note("info", fmt::format("msg=\"Connected to\" address={}", seen.remote));
  if (seen.tls) {
    note("info", fmt::format("msg=\"TLS\" version={} cipher={} subject=\"{}\"", seen.tls->version,
                             seen.tls->cipher, seen.tls->subject));
  }
  if (seen.http) {
    for (const HttpHop& hop : seen.http->hops) {
      note("info", fmt::format("msg=\"Request\" url={} status_code={}", hop.url, hop.status));
    }
    if (seen.http->status != 0) {
      note("info", fmt::format("msg=\"Received HTTP response\" status_code={} body_bytes={}",
                               seen.http->status, seen.http->body_bytes));
    }
  }
  if (seen.dns) {
    note("info", fmt::format("msg=\"Got response\" rcode={} answers={} authorities={} "
                             "additionals={}",
                             seen.dns->rcode, seen.dns->answers_total, seen.dns->authorities_total,
                             seen.dns->additionals_total));
    for (const auto* records :
         {&seen.dns->answers, &seen.dns->authorities, &seen.dns->additionals}) {
      for (const DnsRecord& record : *records) {
        note("info", fmt::format("msg=\"Record\" name={} ttl={} type={} data=\"{}\"", record.name,
                                 record.ttl, record_type_name(record.type), record.data));
      }
    }
  }
  const Phases& p = seen.phases;
  note("info", fmt::format("msg=\"Phases\" dns_us={} connect_us={} tls_us={} send_us={} "
                           "wait_us={} receive_us={} total_us={}",
                           p.dns_us, p.connect_us, p.tls_us, p.send_us, p.wait_us, p.receive_us,
                           p.total_us));
}

void ProbeRun::end_early(Reason reason, std::string detail) {
  MetricSheet metrics;
  if (looks_up_) add_lookup(lookup_, metrics);
  Observation seen;
  seen.failure = Failure{reason, detail};
  switch (module_.prober) {
    case Prober::kHttp:
      report_http(module_, lookup_, seen, metrics);
      break;
    case Prober::kTcp:
    case Prober::kDns:
      add_zeros(module_.prober, metrics);
      break;
  }
  handle_.reset();
  // Perhaps still inside start().
  timer_ = loop_.after(Duration{0}, [this, reason, detail = std::move(detail),
                                     metrics = std::move(metrics)]() mutable {
    end({.success = false, .reason = reason, .detail = printable(detail)}, std::move(metrics));
  });
}

void ProbeRun::end(ProbeVerdict verdict, MetricSheet metrics) {
  const Duration took = latency_clock() - began_;
  add_verdict(verdict, took, metrics);
  const double seconds = static_cast<double>(took.count()) / 1e6;
  if (verdict.success) {
    note("info", fmt::format("msg=\"Probe succeeded\" duration_seconds={}", seconds));
  } else {
    note("error", fmt::format("msg=\"Probe failed\" reason={} detail=\"{}\" duration_seconds={}",
                              to_string(verdict.reason), verdict.detail, seconds));
  }
  const Done done = std::move(done_);
  done({std::move(verdict), std::move(metrics), std::move(log_)});  // May destroy this object.
}

}  // namespace tocsin::agent
