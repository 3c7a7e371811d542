#include "common/wire/convert.h"

namespace tocsin::wire {

namespace {

std::uint64_t to_ms(Duration d) { return static_cast<std::uint64_t>(d.count() / 1000); }

Expected<Duration> from_ms(std::string_view field, std::uint64_t ms) {
  if (ms > 86'400'000) return fail(Errc::kCorrupt, "{}: {} ms is longer than a day", field, ms);
  return Duration{static_cast<std::int64_t>(ms) * 1000};
}

void to_proto(const Operand& operand, v1::Operand& out) {
  if (std::holds_alternative<Null>(operand)) {
    out.set_null(true);
  } else if (const auto* b = std::get_if<bool>(&operand)) {
    out.set_boolean(*b);
  } else if (const auto* d = std::get_if<double>(&operand)) {
    out.set_number(*d);
  } else if (const auto* s = std::get_if<std::string>(&operand)) {
    out.set_text(*s);
  } else {
    out.set_duration_us(std::get<Duration>(operand).count());
  }
}

Operand from_proto(const v1::Operand& in) {
  switch (in.value_case()) {
    case v1::Operand::kBoolean:
      return in.boolean();
    case v1::Operand::kNumber:
      return in.number();
    case v1::Operand::kText:
      return in.text();
    case v1::Operand::kDurationUs:
      return Duration{in.duration_us()};
    case v1::Operand::kNull:
    case v1::Operand::VALUE_NOT_SET:
      return Null{};
  }
  return Null{};
}

void to_proto(const Condition& condition, v1::Condition& out) {
  out.set_text(condition.text);
  if (condition.group != GroupKind::kNone) {
    // Its subject stays 0, which a version without groups refuses instead of passing it.
    out.set_group(static_cast<std::uint32_t>(condition.group));
    for (const Condition& part : condition.parts) to_proto(part, *out.add_parts());
    return;
  }
  out.set_subject(static_cast<std::uint32_t>(condition.subject));
  out.set_selector(condition.selector);
  out.set_compare(static_cast<std::uint32_t>(condition.compare));
  to_proto(condition.operand, *out.mutable_operand());
  to_proto(condition.operand_high, *out.mutable_operand_high());
}

/// An unknown subject or operator is an error, never a pass: the agent refuses the whole spec.
Expected<Condition> from_proto(const v1::Condition& in, std::size_t depth = 0) {
  if (in.group() != 0) {
    if (in.group() > static_cast<std::uint32_t>(GroupKind::kNot)) {
      return fail(Errc::kUnsupported, "assertion: group {} is unknown to this version", in.group());
    }
    if (depth == Assertions::kGroupDepthMax ||
        static_cast<std::size_t>(in.parts_size()) > Assertions::kNodesMax) {
      return fail(Errc::kCorrupt, "assertion: groups too deep or too large");
    }
    Condition out;
    out.group = static_cast<GroupKind>(in.group());
    out.text = in.text();
    for (const v1::Condition& part : in.parts()) {
      TRY_ASSIGN(Condition one, from_proto(part, depth + 1));
      out.parts.push_back(std::move(one));
    }
    return out;
  }
  // Whether the number is one of ours is for the evaluator to say, which has the table.
  if (in.subject() < 1 || in.subject() > UINT8_MAX) {
    return fail(Errc::kUnsupported, "assertion '{}': subject {} is unknown to this version",
                in.text(), in.subject());
  }
  if (in.compare() < 1 || in.compare() > static_cast<std::uint32_t>(Compare::kInRange)) {
    return fail(Errc::kUnsupported, "assertion '{}': operator {} is unknown to this version",
                in.text(), in.compare());
  }
  Condition out;
  out.subject = static_cast<Subject>(in.subject());
  out.selector = in.selector();
  out.compare = static_cast<Compare>(in.compare());
  out.operand = from_proto(in.operand());
  out.operand_high = from_proto(in.operand_high());
  out.text = in.text();
  return out;
}

void to_proto(const Header& header, v1::Header& out) {
  out.set_name(header.name);
  out.set_value(header.value);
}

/// A file and a secret of the collector have a field each, so that an agent that knows only files
/// never takes one for the other.
template <class SetFile, class SetStored>
void to_proto(const SecretRef& secret, SetFile set_file, SetStored set_stored) {
  if (secret.kind == SecretRef::Kind::kStored) return set_stored(secret.name);
  set_file(secret.name);
}

SecretRef secret_from_proto(const std::string& file, const std::string& stored) {
  return stored.empty() ? SecretRef::file(file) : SecretRef::stored(stored);
}

Expected<OcspMode> ocsp_from_proto(std::uint32_t value) {
  if (value > static_cast<std::uint32_t>(OcspMode::kRequire)) {
    return fail(Errc::kUnsupported, "spec.ocsp: {} is unknown to this version", value);
  }
  return static_cast<OcspMode>(value);
}

void to_proto(const HttpTarget& http, v1::HttpTarget& out) {
  out.set_url(http.url);
  out.set_method(http.method);
  for (const Header& h : http.headers) to_proto(h, *out.add_headers());
  out.set_body(http.body);
  out.set_redirects_max(static_cast<std::uint32_t>(http.redirects_max));
  out.set_verify(http.verify);
  out.set_ca_pem(http.ca_pem);
  out.set_auth(static_cast<std::uint32_t>(http.auth.kind));
  out.set_auth_username(http.auth.username);
  to_proto(
      http.auth.secret, [&](const std::string& name) { out.set_auth_secret_file(name); },
      [&](const std::string& name) { out.set_auth_secret(name); });
  for (const SecretHeader& h : http.secret_headers) {
    const bool stored = h.value.kind == SecretRef::Kind::kStored;
    v1::Header& to = stored ? *out.add_stored_headers() : *out.add_secret_headers();
    to.set_name(h.name);
    to.set_value(h.value.name);
  }
  out.set_server_name(http.server_name);
  out.set_resolver(http.resolver);
  out.set_version(static_cast<std::uint32_t>(http.version));
  out.set_allow_downgrade(http.allow_downgrade);
  out.set_proxy(http.proxy);
  to_proto(
      http.client_cert, [&](const std::string& name) { out.set_client_cert_file(name); },
      [&](const std::string& name) { out.set_client_cert_secret(name); });
  to_proto(
      http.client_key, [&](const std::string& name) { out.set_client_key_file(name); },
      [&](const std::string& name) { out.set_client_key_secret(name); });
  out.set_connection(static_cast<std::uint32_t>(http.connection));
  out.set_body_max(http.body_max);
  out.set_ocsp(static_cast<std::uint32_t>(http.ocsp));
}

Expected<HttpTarget> from_proto(const v1::HttpTarget& in) {
  if (in.auth() > static_cast<std::uint32_t>(HttpAuth::Kind::kBearer) ||
      in.version() > static_cast<std::uint32_t>(HttpVersion::k2) ||
      in.connection() > static_cast<std::uint32_t>(ConnectionMode::kReuse)) {
    return fail(Errc::kUnsupported,
                "spec.http: its auth, version or connection is unknown to this version");
  }
  HttpTarget out;
  out.url = in.url();
  out.method = in.method();
  for (const v1::Header& h : in.headers()) out.headers.push_back({h.name(), h.value()});
  out.body = in.body();
  out.redirects_max = static_cast<int>(in.redirects_max());
  out.verify = in.verify();
  out.ca_pem = in.ca_pem();
  out.auth = {static_cast<HttpAuth::Kind>(in.auth()), in.auth_username(),
              secret_from_proto(in.auth_secret_file(), in.auth_secret())};
  for (const v1::Header& h : in.secret_headers())
    out.secret_headers.push_back({h.name(), SecretRef::file(h.value())});
  for (const v1::Header& h : in.stored_headers())
    out.secret_headers.push_back({h.name(), SecretRef::stored(h.value())});
  out.server_name = in.server_name();
  out.resolver = in.resolver();
  out.version = static_cast<HttpVersion>(in.version());
  out.allow_downgrade = in.allow_downgrade();
  out.proxy = in.proxy();
  out.client_cert = secret_from_proto(in.client_cert_file(), in.client_cert_secret());
  out.client_key = secret_from_proto(in.client_key_file(), in.client_key_secret());
  out.connection = static_cast<ConnectionMode>(in.connection());
  out.body_max = in.body_max();
  TRY_ASSIGN(out.ocsp, ocsp_from_proto(in.ocsp()));
  return out;
}

/// Anything that version 1 without options could not say.
bool has_options(const DnsTarget& dns) {
  DnsTarget plain;
  plain.name = dns.name;
  plain.type = dns.type;
  plain.resolver = dns.resolver;
  plain.transport = dns.transport == DnsTransport::kTcp ? DnsTransport::kTcp : DnsTransport::kUdp;
  return !(plain == dns);
}

void to_proto(const DnsTarget& dns, v1::DnsTarget& out) {
  out.set_name(dns.name);
  out.set_type(static_cast<std::uint32_t>(dns.type));
  out.set_resolver(dns.resolver);
  out.set_tcp(dns.transport == DnsTransport::kTcp);
  if (!has_options(dns)) return;
  out.set_transport(static_cast<std::uint32_t>(dns.transport));
  out.set_server_name(dns.server_name);
  out.set_insecure(!dns.verify);
  out.set_ca_pem(dns.ca_pem);
  out.set_no_recursion(!dns.recursion);
  out.set_dnssec(dns.dnssec);
  out.set_rcode(dns.rcode);
}

Expected<Target> from_proto(const v1::DnsTarget& in) {
  if (in.type() > 65535) return fail(Errc::kCorrupt, "spec.dns.type: out of range");
  if (in.transport() > static_cast<std::uint32_t>(DnsTransport::kTls)) {
    return fail(Errc::kUnsupported, "spec.dns: transport {} is unknown to this version",
                in.transport());
  }
  DnsTarget out;
  out.name = in.name();
  out.type = static_cast<DnsType>(in.type());
  out.resolver = in.resolver();
  out.transport = in.tcp() ? DnsTransport::kTcp : static_cast<DnsTransport>(in.transport());
  out.server_name = in.server_name();
  out.verify = !in.insecure();
  out.ca_pem = in.ca_pem();
  out.recursion = !in.no_recursion();
  out.dnssec = in.dnssec();
  if (!in.rcode().empty()) out.rcode = in.rcode();
  return Target{std::move(out)};
}

Expected<StartTls> starttls_from_proto(std::uint32_t value) {
  if (value > static_cast<std::uint32_t>(StartTls::kPostgres)) {
    return fail(Errc::kUnsupported, "spec.starttls: {} is unknown to this version", value);
  }
  return static_cast<StartTls>(value);
}

Expected<TcpTarget> tcp_from_proto(const v1::TcpTarget& in, bool upgrade) {
  if (in.port() > 65535) return fail(Errc::kCorrupt, "spec.tcp.port: out of range");
  TcpTarget out;
  out.host = in.host();
  out.port = static_cast<std::uint16_t>(in.port());
  out.send = in.send();
  out.expect = in.expect();
  if (!upgrade) return out;
  TRY_ASSIGN(out.starttls, starttls_from_proto(in.starttls()));
  out.server_name = in.server_name();
  out.verify = !in.insecure();
  out.ca_pem = in.ca_pem();
  TRY_ASSIGN(out.ocsp, ocsp_from_proto(in.ocsp()));
  return out;
}

Expected<TlsTarget> tls_from_proto(const v1::TlsTarget& in) {
  if (in.port() > 65535) return fail(Errc::kCorrupt, "spec.tls.port: out of range");
  if (static_cast<std::size_t>(in.alpn_size()) > TlsTarget::kAlpnMax) {
    return fail(Errc::kCorrupt, "spec.tls.alpn: expected at most {}", TlsTarget::kAlpnMax);
  }
  TlsTarget out;
  out.host = in.host();
  out.port = static_cast<std::uint16_t>(in.port());
  TRY_ASSIGN(out.starttls, starttls_from_proto(in.starttls()));
  out.server_name = in.server_name();
  out.alpn.assign(in.alpn().begin(), in.alpn().end());
  out.tls13_only = in.tls13_only();
  out.verify = !in.insecure();
  out.ca_pem = in.ca_pem();
  TRY_ASSIGN(out.ocsp, ocsp_from_proto(in.ocsp()));
  return out;
}

}  // namespace

void to_proto(const ProbeSpec& spec, v1::ProbeSpec& out) {
  if (const auto* http = std::get_if<HttpTarget>(&spec.target)) {
    to_proto(*http, *out.mutable_http());
  } else if (const auto* tcp = std::get_if<TcpTarget>(&spec.target)) {
    const bool upgrade = tcp->starttls != StartTls::kNone;
    v1::TcpTarget& t = upgrade ? *out.mutable_tcp_starttls() : *out.mutable_tcp();
    t.set_host(tcp->host);
    t.set_port(tcp->port);
    t.set_send(tcp->send);
    t.set_expect(tcp->expect);
    t.set_starttls(static_cast<std::uint32_t>(tcp->starttls));
    t.set_server_name(tcp->server_name);
    t.set_insecure(!tcp->verify);
    t.set_ca_pem(tcp->ca_pem);
    t.set_ocsp(static_cast<std::uint32_t>(tcp->ocsp));
  } else if (const auto* tls = std::get_if<TlsTarget>(&spec.target)) {
    v1::TlsTarget& t = *out.mutable_tls();
    t.set_host(tls->host);
    t.set_port(tls->port);
    t.set_starttls(static_cast<std::uint32_t>(tls->starttls));
    t.set_server_name(tls->server_name);
    for (const std::string& name : tls->alpn) t.add_alpn(name);
    t.set_tls13_only(tls->tls13_only);
    t.set_insecure(!tls->verify);
    t.set_ca_pem(tls->ca_pem);
    t.set_ocsp(static_cast<std::uint32_t>(tls->ocsp));
  } else {
    const auto& dns = std::get<DnsTarget>(spec.target);
    to_proto(dns, has_options(dns) ? *out.mutable_dns_options() : *out.mutable_dns());
  }
  out.set_interval_ms(to_ms(spec.interval));
  out.set_timeout_ms(to_ms(spec.timeout));
  out.set_retries(static_cast<std::uint32_t>(spec.retry.retries));
  out.set_retry_delay_ms(to_ms(spec.retry.delay));
  out.set_retry_assertions(spec.retry.retry_assertions);
  out.set_family(static_cast<std::uint32_t>(spec.family));
  for (const Condition& c : spec.assertions.all) to_proto(c, *out.add_assertions());
  for (const Condition& c : spec.degraded) to_proto(c, *out.add_degraded());
}

Expected<ProbeSpec> from_proto(const v1::ProbeSpec& in) {
  ProbeSpec out;
  switch (in.target_case()) {
    case v1::ProbeSpec::kHttp: {
      TRY_ASSIGN(out.target, from_proto(in.http()));
      break;
    }
    case v1::ProbeSpec::kTcp: {
      TRY_ASSIGN(out.target, tcp_from_proto(in.tcp(), false));
      break;
    }
    case v1::ProbeSpec::kTcpStarttls: {
      TRY_ASSIGN(out.target, tcp_from_proto(in.tcp_starttls(), true));
      break;
    }
    case v1::ProbeSpec::kTls: {
      TRY_ASSIGN(out.target, tls_from_proto(in.tls()));
      break;
    }
    case v1::ProbeSpec::kDns: {
      TRY_ASSIGN(out.target, from_proto(in.dns()));
      break;
    }
    case v1::ProbeSpec::kDnsOptions: {
      TRY_ASSIGN(out.target, from_proto(in.dns_options()));
      break;
    }
    case v1::ProbeSpec::TARGET_NOT_SET:
      return fail(Errc::kUnsupported, "spec: its kind of target is unknown to this version");
  }
  TRY_ASSIGN(out.interval, from_ms("spec.interval", in.interval_ms()));
  TRY_ASSIGN(out.timeout, from_ms("spec.timeout", in.timeout_ms()));
  TRY_ASSIGN(out.retry.delay, from_ms("spec.retry_delay", in.retry_delay_ms()));
  if (out.interval < std::chrono::seconds{1} || out.timeout >= out.interval || in.retries() > 10 ||
      (in.family() != 0 && in.family() != 4 && in.family() != 6)) {
    return fail(Errc::kCorrupt, "spec: interval, timeout, retries or family out of range");
  }
  out.retry.retries = static_cast<int>(in.retries());
  out.retry.retry_assertions = in.retry_assertions();
  out.family = static_cast<IpFamily>(in.family());
  if (static_cast<std::size_t>(in.assertions_size()) > Assertions::kMaxConditions ||
      in.degraded_size() > 4) {
    return fail(Errc::kCorrupt, "spec: too many assertions");
  }
  for (const v1::Condition& c : in.assertions()) {
    TRY_ASSIGN(Condition condition, from_proto(c));
    out.assertions.all.push_back(std::move(condition));
  }
  for (const v1::Condition& c : in.degraded()) {
    TRY_ASSIGN(Condition condition, from_proto(c));
    out.degraded.push_back(std::move(condition));
  }
  if (count_nodes(out.assertions.all) > Assertions::kNodesMax ||
      count_nodes(out.degraded) > Assertions::kNodesMax) {
    return fail(Errc::kCorrupt, "spec: too many assertions");
  }
  return out;
}

void to_proto(const StreamId& stream, v1::StreamId& out) {
  out.set_agent(byte_string(stream.agent.bytes));
  out.set_epoch(stream.epoch);
  out.set_nonce(byte_string(stream.nonce));
  out.set_shard(stream.shard);
  out.set_cls(static_cast<std::uint32_t>(stream.cls));
}

Expected<StreamId> from_proto(const v1::StreamId& in) {
  StreamId out;
  TRY_ASSIGN(out.agent.bytes, fixed_bytes<16>("stream.agent", in.agent()));
  TRY_ASSIGN(out.nonce, fixed_bytes<16>("stream.nonce", in.nonce()));
  if (in.shard() > 65535 || in.cls() < 1 || in.cls() > 2) {
    return fail(Errc::kCorrupt, "stream: shard or class out of range");
  }
  out.epoch = in.epoch();
  out.shard = static_cast<std::uint16_t>(in.shard());
  out.cls = static_cast<StreamClass>(in.cls());
  return out;
}

}  // namespace tocsin::wire
