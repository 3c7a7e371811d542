#include "agent/compat/blackbox_modules.h"

#include "common/io/yaml.h"

#include <gtest/gtest.h>

namespace tocsin::agent {
namespace {

using Lines = std::vector<std::string>;

tl::expected<BlackboxModules, Lines> read(const std::string& modules) {
  const auto tree = io::parse_yaml("modules:\n" + modules, "/etc/b.yml");
  EXPECT_TRUE(tree.has_value()) << tree.error().text;
  return read_blackbox_modules(*tree, "/etc/b.yml");
}

Lines errors(const std::string& modules) {
  const auto made = read(modules);
  return made ? Lines{"accepted"} : made.error();
}

/// The only module of the file.
std::shared_ptr<const BlackboxModule> module(const std::string& text) {
  const auto made = read("  m: " + text + "\n");
  EXPECT_TRUE(made.has_value()) << made.error().front();
  return made ? made->modules.at("m") : std::make_shared<const BlackboxModule>();
}

std::string unsupported(const std::string& text) { return module(text)->unsupported; }

TEST(BlackboxModules, DefaultsAreTheExportersOwn) {
  const auto made = load_blackbox_modules("");
  ASSERT_TRUE(made.has_value()) << made.error().front();
  Lines usable;
  for (const auto& [name, one] : made->modules) {
    if (one->unsupported.empty()) usable.push_back(name);
  }
  EXPECT_EQ(usable, (Lines{"http_2xx", "http_post_2xx", "irc_banner", "pop3s_banner", "ssh_banner",
                           "tcp_connect"}));
  EXPECT_EQ(made->notices.size(), 4U) << "icmp and grpc, twice each";
  EXPECT_EQ(made->modules.at("http_post_2xx")->http.method, "POST");
  const Dialogue& irc = *made->modules.at("irc_banner")->dialogue;
  ASSERT_EQ(irc.steps.size(), 4U);
  EXPECT_EQ(irc.steps[2].send, "PONG ${1}");
  EXPECT_TRUE(made->modules.at("pop3s_banner")->dialogue->tls);
}

TEST(BlackboxModules, AModuleWithoutASectionHasTheExportersDefaults) {
  const auto made = module("{prober: http}");
  EXPECT_EQ(made->timeout, Duration::zero());
  EXPECT_EQ(made->choice.preferred, IpFamily::kV6);
  EXPECT_TRUE(made->choice.fallback);
  EXPECT_TRUE(made->tls.verify);
  EXPECT_EQ(made->http.method, "GET");
  EXPECT_TRUE(made->http.follow_redirects);
  EXPECT_TRUE(made->http.http2);
  EXPECT_TRUE(module("{prober: tcp}")->dialogue->steps.empty());
}

TEST(BlackboxModules, EveryFieldOfHttpIsRead) {
  const auto made = module(R"(
    prober: http
    timeout: 5s
    http:
      preferred_ip_protocol: ip4
      ip_protocol_fallback: no
      valid_status_codes: [200, 301]
      valid_http_versions: ["HTTP/1.1", "HTTP/2.0"]
      method: PURGE
      headers:
        {Host: vhost.example.com, Accept-Encoding: "br;q=1.0, gzip;q=0.9", X-Number: 7,
         X-Flag: true}
      body_size_limit: 10MB
      body: '{}'
      compression: gzip
      no_follow_redirects: true
      fail_if_ssl: true
      fail_if_not_ssl: false
      fail_if_body_matches_regexp: ["a", "b+"]
      fail_if_body_not_matches_regexp: ["c"]
      fail_if_header_matches: [{header: Set-Cookie, regexp: '.*', allow_missing: true}]
      fail_if_header_not_matches: [{header: Location, regexp: x}]
      tls_config: {insecure_skip_verify: true, ca_file: ca.pem, cert_file: /c.pem,
                   key_file: k/../k.pem, server_name: s.example, min_version: TLS13}
      basic_auth: {username: ann, password_file: password}
      proxy_url: "http://127.0.0.1:3128"
      skip_resolve_phase_with_proxy: true
      enable_http2: false
)");
  EXPECT_EQ(made->unsupported, "");
  EXPECT_EQ(made->timeout, std::chrono::seconds{5});
  EXPECT_EQ(made->choice.preferred, IpFamily::kV4);
  EXPECT_FALSE(made->choice.fallback);
  const BlackboxHttp& http = made->http;
  EXPECT_EQ(http.valid_status_codes, (std::vector<int>{200, 301}));
  EXPECT_EQ(http.valid_http_versions, (Lines{"HTTP/1.1", "HTTP/2.0"}));
  EXPECT_EQ(http.method, "PURGE");
  EXPECT_EQ(http.headers, (std::vector<Header>{{"Host", "vhost.example.com"},
                                               {"Accept-Encoding", "br;q=1.0, gzip;q=0.9"},
                                               {"X-Number", "7"},
                                               {"X-Flag", "true"}}));
  EXPECT_EQ(http.body_size_limit, 10U << 20);
  EXPECT_EQ(http.body, "{}");
  EXPECT_EQ(http.compression, "gzip");
  EXPECT_FALSE(http.follow_redirects);
  EXPECT_TRUE(http.fail_if_ssl);
  EXPECT_EQ(http.body_must_not_match.size(), 2U);
  EXPECT_EQ(http.body_must_match.size(), 1U);
  ASSERT_EQ(http.header_must_not_match.size(), 1U);
  EXPECT_EQ(http.header_must_not_match[0].name, "set-cookie");
  EXPECT_TRUE(http.header_must_not_match[0].allow_missing);
  EXPECT_EQ(http.header_must_match.size(), 1U);
  EXPECT_FALSE(made->tls.verify);
  EXPECT_EQ(made->tls.ca_file, "/etc/ca.pem") << "below the file's directory";
  EXPECT_EQ(made->tls.key_file, "/etc/k.pem");
  EXPECT_EQ(made->tls.server_name, "s.example");
  EXPECT_TRUE(made->tls.tls13_only);
  EXPECT_EQ(http.username, "ann");
  EXPECT_EQ(http.password.file, "/etc/password");
  EXPECT_EQ(http.proxy, "m");
  EXPECT_TRUE(http.skip_resolve_phase_with_proxy);
  EXPECT_FALSE(http.http2);
}

TEST(BlackboxModules, EveryFieldOfDnsIsRead) {
  const auto made = module(R"(
    prober: dns
    dns:
      query_name: example.com
      query_type: MX
      query_class: CH
      transport_protocol: tcp
      dns_over_tls: true
      recursion_desired: false
      valid_rcodes: [NOERROR, NXDOMAIN]
      validate_answer_rrs: {fail_if_matches_regexp: [a], fail_if_all_match_regexp: [b, c]}
      validate_authority_rrs: {fail_if_not_matches_regexp: [d]}
      validate_additional_rrs: {fail_if_none_matches_regexp: [e]}
)");
  const BlackboxDns& dns = made->dns;
  EXPECT_EQ(made->prober, Prober::kDns);
  EXPECT_EQ(dns.query_name, "example.com");
  EXPECT_EQ(dns.query_type, DnsType::kMx);
  EXPECT_EQ(dns.query_class, 3);
  EXPECT_EQ(dns.transport, DnsTransport::kTls);
  EXPECT_FALSE(dns.recursion);
  EXPECT_EQ(dns.valid_rcodes, (Lines{"NOERROR", "NXDOMAIN"}));
  EXPECT_EQ(dns.answers.fail_if_matches.size(), 1U);
  EXPECT_EQ(dns.answers.fail_if_all_match.size(), 2U);
  EXPECT_EQ(dns.authorities.fail_if_not_matches.size(), 1U);
  EXPECT_EQ(dns.additionals.fail_if_none_matches.size(), 1U);
  EXPECT_EQ(static_cast<int>(module("{prober: dns, dns: {query_name: x}}")->dns.query_type), 255);
}

TEST(BlackboxModules, EveryMistakeIsToldAtOnceWithItsPlace) {
  EXPECT_EQ(
      errors("  a: {prober: htp}\n"
             "  b:\n"
             "    prober: http\n"
             "    timeout: soon\n"
             "    http:\n"
             "      metod: GET\n"
             "      valid_status_codes: [20]\n"
             "      fail_if_body_matches_regexp: [\"(\"]\n"
             "      fail_if_header_matches: [{header: X}]\n"
             "      compression: gzip\n"
             "      headers: {Accept-Encoding: \"br, identity\"}\n"
             "  c: {prober: dns}\n"
             "  d: {prober: dns, dns: {query_name: x, dns_over_tls: true, valid_rcodes: [NO]}}\n"
             "  e: {prober: tcp, tcp: {query_response: {expect: x}}}\n"
             "  f: []\n"),
      (Lines{"/etc/b.yml:2:15: modules.a.prober: expected http, tcp, dns, icmp or grpc",
             "/etc/b.yml:5:14: modules.b.timeout: 'soon' is not a duration: expected a "
             "number with a unit such as 30s, 5m, 1h30m or 250ms",
             "/etc/b.yml:8:27: modules.b.http.valid_status_codes: expected a list of numbers "
             "from 100 to 999",
             "/etc/b.yml:9:37: modules.b.http.fail_if_body_matches_regexp[0]: '(' is not a "
             "regular expression: missing ): (",
             "/etc/b.yml:10:32: modules.b.http.fail_if_header_matches[0].regexp: missing: what "
             "its value is matched with",
             "/etc/b.yml:11:20: modules.b.http.compression: the header Accept-Encoding does "
             "not accept gzip",
             "/etc/b.yml:7:14: modules.b.http.metod: unknown key; did you mean 'method'?",
             "/etc/b.yml:13:15: modules.c.prober: dns needs a section dns with query_name",
             "/etc/b.yml:14:55: modules.d.dns.dns_over_tls: needs transport_protocol: tcp",
             "/etc/b.yml:14:75: modules.d.dns.valid_rcodes: expected response codes such as "
             "NOERROR, got NO",
             "/etc/b.yml:15:42: modules.e.tcp.query_response: expected a list of at most 100 "
             "steps",
             "/etc/b.yml:16:6: modules.f: expected a map with a prober"}));
  EXPECT_EQ(
      errors(
          "  a: {prober: http, http: {basic_auth: {username: u, password: p}, bearer_token: t}}\n"),
      (Lines{"/etc/b.yml:2:40: modules.a.http.basic_auth: expected one of basic_auth, "
             "authorization and bearer_token, not several"}));
}

TEST(BlackboxModules, WhatCannotBeDoneLeavesTheOthersAlone) {
  const auto made =
      read("  ping: {prober: icmp, timeout: 5s, icmp: {ttl: 5}}\n  web: {prober: http}\n");
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(made->modules.at("web")->unsupported, "");
  EXPECT_EQ(made->notices,
            (Lines{"/etc/b.yml:2:18: modules.ping.prober: the prober icmp is not supported by "
                   "tocsin-agent"}));
  EXPECT_EQ(made->modules.at("ping")->unsupported, made->notices.front());
  EXPECT_NE(unsupported("{prober: http, http: {oauth2: {client_id: x}}}").find("http.oauth2"),
            std::string::npos);
  EXPECT_NE(
      unsupported("{prober: http, http: {tls_config: {min_version: TLS10}}}").find("below 1.2"),
      std::string::npos);
  for (const char* url : {"https://u:p@proxy:3128", "http://:p@proxy:3128", "http://a%3ab:p@proxy",
                          "http://u:%0d%0a@proxy:3128", "socks5://proxy"}) {
    const std::string said =
        unsupported(fmt::format("{{prober: http, http: {{proxy_url: \"{}\"}}}}", url));
    EXPECT_NE(said.find("a proxy that is not http://[USER:PASSWORD@]HOST:PORT"), std::string::npos)
        << url << ": " << said;
  }
  EXPECT_NE(unsupported("{prober: tcp, tcp: {source_ip_address: 127.0.0.1}}").find("source_ip"),
            std::string::npos);
  EXPECT_EQ(unsupported("{prober: tcp, http: {oauth2: {client_id: x}}}"), "")
      << "the prober's own section counts";
}

TEST(BlackboxModules, SecretsAreNotShown) {
  const auto made = module(
      "{prober: http, http: {basic_auth: {username: ann, password: hidden}, headers: {Cookie: "
      "id=hidden, X-Open: seen}}}");
  const codec::Node& http = *made->source.find("http");
  EXPECT_EQ(http.find("basic_auth")->find("password")->text, "<secret>");
  EXPECT_EQ(http.find("headers")->find("Cookie")->text, "<secret>");
  EXPECT_EQ(http.find("headers")->find("X-Open")->text, "seen");
  EXPECT_EQ(made->http.password.text.reveal(), "hidden");
}

TEST(BlackboxModules, AProxysPasswordIsReadAndNotShown) {
  const auto made =
      read("  m: {prober: http, http: {proxy_url: \"http://a%40b:x%2by+z@p:3128/\"}}");
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(made->modules.at("m")->unsupported, "");
  EXPECT_EQ(made->proxies.at(0), (ProxySettings{"m", "p", false, 3128, "a@b", "", "x+y+z"}));
  EXPECT_EQ(made->modules.at("m")->source.find("http")->find("proxy_url")->text,
            "http://<secret>@p:3128/");
}

}  // namespace
}  // namespace tocsin::agent
