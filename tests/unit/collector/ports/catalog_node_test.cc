#include "collector/ports/catalog_node.h"

#include "common/codec/json.h"
#include "tests/contract/sample_rows.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace tocsin::collector {
namespace {

using codec::Node;

/// Ids 1, 2, 3 ...
IdSource counting() {
  return [n = std::uint8_t{0}]() mutable {
    Uuid id{};
    id[15] = ++n;
    return id;
  };
}

Node node_of(std::string_view json) {
  auto node = codec::parse_json(json);
  EXPECT_TRUE(node) << (node ? "" : node.error().text);
  return node ? *node : Node{};
}

CatalogEdit read(const Node& node) {
  auto edit = read_catalog(node, counting());
  if (edit) return *edit;
  for (const FieldError& e : edit.error()) ADD_FAILURE() << e.path << ": " << e.text;
  return {};
}

CatalogEdit read(std::string_view json) { return read(node_of(json)); }

std::vector<std::string> errors_of(std::string_view json) {
  auto edit = read_catalog(node_of(json), counting());
  std::vector<std::string> out;
  if (edit) return out;
  for (const FieldError& e : edit.error()) out.push_back(e.path + ": " + e.text);
  return out;
}

/// The only monitor of a file with one.
MonitorSpec monitor(std::string_view json) {
  const CatalogEdit edit = read(Node::map({{"monitors", Node::list({node_of(json)})}}));
  return edit.monitors.empty() ? MonitorSpec{} : edit.monitors[0];
}

std::vector<std::string> monitor_errors(const std::string& json) {
  return errors_of("{\"monitors\":[\n" + json + "]}");
}

using Errors = std::vector<std::string>;

TEST(CatalogNode, ReadsAMonitorAsTheDocumentationShowsIt) {
  const MonitorSpec m = monitor(R"({
    "key": "shop-checkout", "name": "Shop checkout", "type": "http",
    "url": "https://shop.example.com/health", "interval": "30s", "timeout": "10s", "retries": 3,
    "retry_delay": "1s", "regions": ["eu-west", "us-east", "ap-south"], "quorum": 2,
    "confirm": true,
    "assert": ["status == 200", "header content-type contains json", "json $.ok == true",
      "body matches \"ready|ok\"", "latency < 2s", "phase tls < 500ms",
      "certificate expires in > 14d"],
    "degraded": "latency > 800ms", "service": "shop", "tags": {"team": "payments"},
    "depends_on": ["shop-lb"]})");
  EXPECT_EQ(m.id.bytes[15], 1);
  EXPECT_EQ(m.key, "shop-checkout");
  EXPECT_EQ(m.name, "Shop checkout");
  EXPECT_EQ(std::get<HttpTarget>(m.probe.target).url, "https://shop.example.com/health");
  EXPECT_EQ(m.probe.interval, std::chrono::seconds{30});
  EXPECT_EQ(m.regions, (std::vector<std::string>{"eu-west", "us-east", "ap-south"}));
  EXPECT_EQ(m.quorum, (QuorumRule{QuorumKind::kNumber, 2}));
  ASSERT_EQ(m.probe.assertions.all.size(), 7U);
  EXPECT_EQ(m.probe.assertions.all[3].compare, Compare::kMatches);
  ASSERT_EQ(m.probe.degraded.size(), 1U);
  EXPECT_EQ(m.probe.degraded[0].subject, Subject::kLatency);
  EXPECT_EQ(m.tags, (std::map<std::string, std::string>{{"team", "payments"}}));
  EXPECT_EQ(m.depends_on, (std::vector<std::string>{"shop-lb"}));
}

TEST(CatalogNode, AbsentFieldsGetTheDefaultsOfTheirInterval) {
  const MonitorSpec slow = monitor(R"({"key": "a", "type": "http", "url": "http://a/"})");
  EXPECT_EQ(slow.name, "a");
  EXPECT_EQ(slow.probe.interval, std::chrono::seconds{60});
  EXPECT_EQ(slow.probe.timeout, std::chrono::seconds{10});
  EXPECT_EQ(slow.probe.retry, (RetryPolicy{3, std::chrono::seconds{1}, true}));
  EXPECT_EQ(slow.quorum, QuorumRule{});
  EXPECT_EQ(slow.open_after, 1);
  EXPECT_EQ(slow.close_after, 2);
  EXPECT_TRUE(slow.confirm);
  EXPECT_EQ(slow.service, "default");
  const MonitorSpec fast =
      monitor(R"({"key": "a", "type": "http", "url": "http://a/", "interval": "5s"})");
  EXPECT_EQ(fast.probe.timeout, std::chrono::milliseconds{2500});
  EXPECT_EQ(fast.probe.retry.delay, std::chrono::milliseconds{100});
}

TEST(CatalogNode, ReadsGroupsOfConditions) {
  const MonitorSpec m = monitor(R"json({"key": "a", "type": "http", "url": "http://a/",
    "assert": ["latency < 2s", {"or": ["status == 200", {"and": ["status == 503",
               "header retry-after exists"]}]}, {"not": "body contains error"},
               "[STATUS] == any(200, 503)"],
    "degraded": {"not": "latency < 800ms"}})json");
  const std::vector<Condition>& all = m.probe.assertions.all;
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ(all[1].group, GroupKind::kOr);
  ASSERT_EQ(all[1].parts.size(), 2U);
  EXPECT_EQ(all[1].parts[1].group, GroupKind::kAnd);
  EXPECT_EQ(all[1].parts[1].parts.at(1).text, "header retry-after exists");
  EXPECT_EQ(all[2].group, GroupKind::kNot);
  EXPECT_EQ(all[2].parts.at(0).subject, Subject::kBody);
  EXPECT_EQ(all[3].group, GroupKind::kOr);
  ASSERT_EQ(m.probe.degraded.size(), 1U);
  EXPECT_EQ(m.probe.degraded[0].group, GroupKind::kNot);
  EXPECT_EQ(codec::print_json(*to_node(m).find("assert")),
            R"(["latency < 2s",{"or":["status == 200",{"and":["status == 503",)"
            R"("header retry-after exists"]}]},{"not":"body contains error"},)"
            R"json("[STATUS] == any(200, 503)"])json");
}

TEST(CatalogNode, AWrongGroupIsNamedByItsPath) {
  const auto error = [](const std::string& assertion) {
    const Errors all = monitor_errors(
        R"({"key": "a", "type": "http", "url": "http://a/", "assert": [)" + assertion + "]}");
    return all.empty() ? "accepted" : all[0];
  };
  EXPECT_EQ(
      error(R"({"nor": ["status == 200"]})"),
      "monitors[a].assert[0]: line 2, column 61: expected one of and, or, not, not 'nor'; did "
      "you mean 'or'?");
  EXPECT_EQ(error(R"({"or": []})"),
            "monitors[a].assert[0].or: line 2, column 68: expected a list of conditions");
  EXPECT_EQ(error(R"({"or": ["status == 200"], "and": []})"),
            "monitors[a].assert[0]: line 2, column 61: expected one of and, or, not with its "
            "conditions");
  EXPECT_EQ(error(R"({"not": ["status == 200"]})"),
            "monitors[a].assert[0].not: line 2, column 69: expected one condition, or and or "
            "or with several");
  EXPECT_EQ(error(R"({"and": ["status == 200", {"not": "status ~ 5"}]})").substr(0, 78),
            "monitors[a].assert[0].and[1].not: line 2, column 95: column 8 of the text: exp");
  EXPECT_EQ(error(R"({"and": [7]})"),
            "monitors[a].assert[0].and[0]: line 2, column 70: expected a condition such as "
            "'latency < 2s', or a group (and, or, not)");
  std::string deep = "\"status == 200\"";
  for (int i = 0; i < 5; ++i) deep = "{\"not\": " + deep + "}";
  EXPECT_EQ(error(deep),
            "monitors[a].assert[0].not.not.not.not: line 2, column 93: expected groups "
            "at most 4 deep");
  std::string wide = "{\"or\": [\"status == 200\"";
  for (int i = 0; i < 64; ++i) wide += ", \"status == 200\"";
  EXPECT_EQ(error(wide + "]}"),
            "monitors[a].assert: line 2, column 60: expected at most 64 conditions and groups in "
            "all");
}

TEST(CatalogNode, ReadsTcpTargetsInBothForms) {
  const TcpTarget want{.host = "db.example.com", .port = 5432, .send = "x", .expect = "y"};
  EXPECT_EQ(monitor(R"({"key": "a", "type": "tcp", "host": "db.example.com", "port": 5432,
                        "send": "x", "expect": "y"})")
                .probe.target,
            Target{want});
  EXPECT_EQ(monitor(R"({"key": "a", "type": "tcp", "url": "tcp://db.example.com:5432",
                        "send": "x", "expect": "y"})")
                .probe.target,
            Target{want});
  EXPECT_EQ(std::get<TcpTarget>(
                monitor(R"({"key": "a", "type": "tcp", "url": "tcp://[::1]:80"})").probe.target)
                .host,
            "::1");
  for (const char* url : {"tcp://a", "tcp://:1", "tcp://a:0", "tcp://a:65536", "tcp://a:1/",
                          "tcp://u@a:1", "tcp://::1:80", "http://a:1", "tcp://[]:1"}) {
    EXPECT_FALSE(
        monitor_errors(R"({"key": "a", "type": "tcp", "url": ")" + std::string{url} + R"("})")
            .empty())
        << url;
  }
}

TEST(CatalogNode, SendAndExpectTakeEscapesOrBase64) {
  const auto tcp = [](std::string_view rest) {
    return std::get<TcpTarget>(
        monitor(fmt::format(R"({{"key": "a", "type": "tcp", "url": "tcp://a:1", {}}})", rest))
            .probe.target);
  };
  EXPECT_EQ(tcp(R"("send": "EHLO x\\r\\n\\xff", "expect": "250\r")").send, "EHLO x\r\n\xff");
  EXPECT_EQ(tcp(R"("send": {"base64": "AP8="})").send, std::string("\0\xff", 2));
  for (const char* bad : {R"("send": "\\q")", R"("send": {"base64": "AP8"})",
                          R"("send": {"hex": "00"})", R"("expect": ["a"])"}) {
    EXPECT_EQ(
        monitor_errors(fmt::format(R"({{"key": "a", "type": "tcp", "url": "tcp://a:1", {}}})", bad))
            .size(),
        1U)
        << bad;
  }
}

TEST(CatalogNode, ReadsTlsTargets) {
  TlsTarget want;
  want.host = "mx.example.com";
  want.port = 25;
  want.starttls = StartTls::kSmtp;
  want.server_name = "mail.example.com";
  want.alpn = {"smtp"};
  want.tls13_only = true;
  want.verify = false;
  EXPECT_EQ(monitor(R"({"key": "a", "type": "tls", "url": "tls://mx.example.com:25",
                        "starttls": "smtp", "server_name": "mail.example.com", "alpn": "smtp",
                        "min_version": 1.3, "verify": false})")
                .probe.target,
            Target{want});
  EXPECT_EQ(
      std::get<TlsTarget>(monitor(R"({"key": "a", "type": "tls", "host": "a"})").probe.target).port,
      443);
  for (const auto& [word, mode] : std::map<std::string, OcspMode>{
           {"off", OcspMode::kOff}, {"check", OcspMode::kCheck}, {"require", OcspMode::kRequire}}) {
    const MonitorSpec tls =
        monitor(fmt::format(R"({{"key": "a", "type": "tls", "host": "a", "ocsp": "{}"}})", word));
    EXPECT_EQ(std::get<TlsTarget>(tls.probe.target).ocsp, mode);
    EXPECT_EQ(monitor(codec::print_json(to_node(tls))).probe.target, tls.probe.target);
    const MonitorSpec tcp = monitor(fmt::format(
        R"({{"key": "a", "type": "tcp", "url": "tcp://a:25", "starttls": "smtp", "ocsp": "{}"}})",
        word));
    EXPECT_EQ(std::get<TcpTarget>(tcp.probe.target).ocsp, mode);
    EXPECT_EQ(monitor(codec::print_json(to_node(tcp))).probe.target, tcp.probe.target);
  }
  for (const char* bad :
       {R"("ocsp": "on")", R"("ocsp": true)", R"("ocsp": "check", "verify": false)",
        R"("starttls": "ftp")", R"("min_version": "1.1")", R"("server_name": "192.0.2.1")",
        R"("server_name": "a b")", R"("alpn": ["a b"])", R"("port": 0)", R"("send": "x")"}) {
    EXPECT_EQ(monitor_errors(fmt::format(R"({{"key": "a", "type": "tls", "host": "a", {}}})", bad))
                  .size(),
              1U)
        << bad;
  }
  EXPECT_EQ(
      monitor_errors(R"({"key": "a", "type": "tcp", "url": "tcp://a:1", "verify": false})").size(),
      1U);
  EXPECT_EQ(
      monitor_errors(R"({"key": "a", "type": "tcp", "url": "tcp://a:1", "ocsp": "check"})").size(),
      1U);
}

TEST(CatalogNode, ADnsMonitorAsksForItsHostOrElseItsName) {
  EXPECT_EQ(monitor(R"({"key": "a", "name": "example.com", "type": "dns"})").probe.target,
            (Target{DnsTarget{.name = "example.com"}}));
  EXPECT_EQ(monitor(R"({"key": "a", "name": "Mail", "type": "dns", "host": "example.com",
                        "record": "mx", "resolver": "192.0.2.1:53", "transport": "tcp"})")
                .probe.target,
            (Target{DnsTarget{.name = "example.com",
                              .type = DnsType::kMx,
                              .resolver = "192.0.2.1:53",
                              .transport = DnsTransport::kTcp}}));
}

TEST(CatalogNode, ReadsEveryOtherKindOfObject) {
  const CatalogEdit edit = read(R"({
    "channels": [{"key": "ops-hook", "type": "webhook", "url": "https://hooks.example.com/x",
                  "secret": {"file": "ops-hook"}}],
    "escalation-policies": [{"key": "web", "repeat": 0, "fallback": {"channel": "ops-hook"},
      "steps": [{"delay": "0s", "notify": [{"channel": "ops-hook"}]},
                {"delay": "15m", "notify": [{"channel": "ops-hook"}]}]}],
    "services": [{"key": "shop", "policy": "web"}],
    "regions": [{"key": "eu-west", "name": "Europe West"}],
    "status-pages": [{"slug": "shop", "title": "Shop",
      "groups": [{"name": "Site", "components": [{"monitor": "shop-checkout"}]}]}]})");
  ASSERT_EQ(edit.channels.size(), 1U);
  EXPECT_EQ(edit.channels[0].secret_file, "ops-hook");
  ASSERT_EQ(edit.policies.size(), 1U);
  EXPECT_EQ(edit.policies[0].fallback, NotifyTarget{"ops-hook"});
  EXPECT_EQ(edit.policies[0].steps[1], (EscalationStep{std::chrono::minutes{15}, {{"ops-hook"}}}));
  ASSERT_EQ(edit.services.size(), 1U);
  EXPECT_EQ(edit.services[0].name, "shop");
  EXPECT_EQ(edit.services[0].policy, "web");
  EXPECT_EQ(edit.regions, (std::vector<RegionSpec>{{"eu-west", "Europe West"}}));
  ASSERT_EQ(edit.pages.size(), 1U);
  EXPECT_EQ(edit.pages[0].groups, (std::vector<PageGroup>{{"Site", {{"shop-checkout", ""}}}}));
  std::vector<std::uint8_t> ids{edit.channels[0].id.bytes[15], edit.policies[0].id.bytes[15],
                                edit.services[0].id.bytes[15], edit.pages[0].id.bytes[15]};
  std::sort(ids.begin(), ids.end());
  EXPECT_EQ(ids, (std::vector<std::uint8_t>{1, 2, 3, 4}));
}

TEST(CatalogNode, AnExportReadAgainIsTheSameCatalogue) {
  Catalog catalog = empty_catalog();
  catalog.regions["eu-west"] = {"eu-west", "Europe West"};
  catalog.regions["us-east"] = {"us-east", "US East"};
  catalog.channels["ops-hook"] = sample::channel();
  catalog.channels["second"] = sample::channel("second");
  ChannelSpec mail{.id = {},
                   .key = "mail",
                   .type = ChannelType::kEmail,
                   .to = "ops@example.com",
                   .secret_file = ""};
  catalog.channels["mail"] = mail;
  catalog.users["ann"] = sample::user();
  catalog.policies["web"] = sample::policy();
  catalog.policies["web"].ack_timeout = std::chrono::minutes{30};
  catalog.policies["web"].steps[0].notify.push_back({"", "ann"});
  catalog.services["shop"] = {sample::id<ServiceId>(3), "shop", "The shop", "web"};
  MonitorSpec http = sample::monitor();
  http.depends_on = {"tcp"};
  http.probe.assertions.all = {
      *assertion::parse_condition("status in 200..299", http.probe.target),
      *assertion::parse_condition("body matches \"a \\\"b\\\" \\d+\"", http.probe.target)};
  http.probe.degraded = {*assertion::parse_condition("latency > 800ms", http.probe.target)};
  Condition either;
  either.group = GroupKind::kOr;
  either.parts = {http.probe.assertions.all[0],
                  *assertion::parse_condition("[STATUS] != any(500, 503)", http.probe.target)};
  Condition denied;
  denied.group = GroupKind::kNot;
  denied.parts = {either};
  http.probe.assertions.all.push_back(denied);
  std::get<HttpTarget>(http.probe.target).headers.push_back({"Accept", "again"});
  catalog.monitors["shop"].spec = http;
  MonitorSpec tcp = sample::monitor("tcp", 2);
  tcp.depends_on.clear();
  tcp.probe.target = TcpTarget{"::1", 25, "EHLO x\r\n", "250"};
  tcp.quorum = {QuorumKind::kAll, 0};
  tcp.regions.clear();
  catalog.monitors["tcp"].spec = tcp;
  MonitorSpec stream = sample::monitor("mail", 4);
  stream.depends_on.clear();
  TcpTarget smtp{"mx", 25, std::string{"a\\\0\xff", 4}, "ü"};
  smtp.starttls = StartTls::kSmtp;
  smtp.verify = false;
  stream.probe.target = smtp;
  catalog.monitors["mail"].spec = stream;
  stream.key = "imap";
  stream.probe.target = TlsTarget{"::1", 143, StartTls::kImap, "a.example", {"imap"}, true};
  catalog.monitors["imap"].spec = stream;
  MonitorSpec dns = sample::monitor("dns", 3);
  dns.name = "7";
  dns.depends_on = {"shop", "tcp"};
  dns.probe.target = DnsTarget{.name = "example.com",
                               .type = DnsType::kCaa,
                               .resolver = "[2001:db8::1]:5353",
                               .transport = DnsTransport::kTls,
                               .server_name = "dns.example",
                               .verify = false,
                               .ca_pem = "PEM",
                               .recursion = false,
                               .dnssec = true,
                               .rcode = "NXDOMAIN"};
  dns.quorum = {QuorumKind::kAny, 0};
  dns.tags.clear();
  catalog.monitors["dns"].spec = dns;
  catalog.pages["shop"] = {.id = {},
                           .slug = "shop",
                           .title = "Shop",
                           .groups = {{"", {{"shop", "", "Buy"}, {"", "Printer", ""}}}}};

  const std::string text = codec::print_json(to_node(catalog), 2);
  const auto again = plan(catalog, read(text), WallTime{});
  ASSERT_TRUE(again) << again.error()[0].path << ": " << again.error()[0].text;
  for (const CatalogChange& change : again->changes)
    ADD_FAILURE() << to_string(change.what) << " " << change.key;
  EXPECT_TRUE(again->after == catalog);
  EXPECT_EQ(codec::print_json(to_node(again->after), 2), text);
}

TEST(CatalogNode, AnUnknownKeyIsAnErrorThatSuggestsTheNearest) {
  EXPECT_EQ(monitor_errors(R"({"key": "a", "type": "http", "url": "http://a/", "intervall": "5s",
 "port": 80})"),
            (Errors{"monitors[a].intervall: line 2, column 63: unknown key; did you mean "
                    "'interval'?",
                    "monitors[a].port: line 3, column 10: unknown key"}));
  EXPECT_EQ(errors_of(R"({"monitor": []})"),
            (Errors{"monitor: line 1, column 13: unknown key; did you mean 'monitors'?"}));
}

TEST(CatalogNode, EveryErrorIsReportedWithItsLine) {
  EXPECT_EQ(
      monitor_errors(R"({"key": "Bad Key", "type": "http", "url": "ftp://a/",
"interval": "5x",
"retries": 99,
"quorum": "most",
"assert": ["status == 200", "statsu == 200"],
"headers": {"A": ["b"]}},
{"key": "b", "type": "htp", "url": "http://b/", "port": 1},
{"key": "c", "type": "icmp"},
{"key": "d"})"),
      (Errors{
          "monitors[0].headers.A: line 7, column 18: expected text, {secret: NAME} or {file: NAME}",
          "monitors[0].interval: line 3, column 13: " + parse_duration("5x").error().text,
          "monitors[0].retries: line 4, column 12: expected a whole number from 0 to 10",
          "monitors[0].assert[1]: line 6, column 29: column 1 of the text: " +
              std::string{assertion::split_column(
                              assertion::parse_condition("statsu == 200", HttpTarget{}).error())
                              .second},
          "monitors[0].quorum: line 5, column 11: expected majority, any, all, or a number of "
          "regions",
          "monitors[0].key: line 2, column 9: expected [a-z0-9-], 1 to 63 characters, not 'Bad "
          "Key'",
          "monitors[0].url: line 2, column 43: expected an absolute http:// or https:// URL of at "
          "most 2048 bytes",
          "monitors[b].type: line 8, column 22: expected one of http, tcp, dns, tls, not 'htp'; "
          "did you "
          "mean 'http'?",
          "monitors[c].type: line 9, column 22: icmp monitors are not in this version: expected "
          "http, tcp, tls or dns",
          "monitors[d].type: line 10, column 1: expected a type: http, tcp, tls or dns",
      }));
}

TEST(CatalogNode, RulesOfTheWholeSpecNameTheirField) {
  EXPECT_EQ(monitor_errors(R"({"key": "a", "type": "http", "url": "http://a/", "interval": "10s",
"timeout": "10s",
"regions": ["eu", "eu"]})"),
            (Errors{"monitors[a].timeout: line 3, column 12: expected at least 10ms and less than "
                    "the interval of 10s, not 10s",
                    "monitors[a].regions[1]: line 4, column 12: expected a region's key, each "
                    "once"}));
  EXPECT_EQ(monitor_errors(R"({"key": "a", "type": "dns", "name": "ok", "host": ""})"),
            (Errors{"monitors[a].host: line 2, column 51: expected a domain name"}));
}

TEST(CatalogNode, AKeyThatStandsTwiceIsRefusedWithBothLines) {
  EXPECT_EQ(errors_of("{\"regions\": [{\"key\": \"a\"},\n{\"key\": \"b\"},\n{\"key\": \"a\"}]}"),
            (Errors{"regions[a]: line 3, column 1: 'a' stands twice; first on line 1"}));
}

TEST(CatalogNode, WrongShapesAreErrorsAndNothingElse) {
  EXPECT_EQ(errors_of("[]"), (Errors{": line 1, column 1: expected a map, not a list"}));
  EXPECT_EQ(errors_of(R"({"monitors": {}})"),
            (Errors{"monitors: line 1, column 14: expected a list, not a map"}));
  EXPECT_EQ(errors_of(R"({"monitors": [7]})"),
            (Errors{"monitors[0]: line 1, column 15: expected a map, not a number"}));
  EXPECT_TRUE(errors_of("{}").empty());
  EXPECT_TRUE(errors_of("null").empty());
  EXPECT_EQ(errors_of(R"({"channels": [{"key": "a", "type": "webhook", "url": "https://a/",
 "secret": "s3cret"}]})"),
            (Errors{"channels[a].secret: line 2, column 12: expected {file: NAME}: secrets are "
                    "never written here"}));
  EXPECT_EQ(errors_of(R"({"channels": [{"key": "a", "type": "webhook", "url": "https://a/",
 "secret": {"file": "../x"}}]})"),
            (Errors{"channels[a].secret.file: line 2, column 21: expected the name of a file in "
                    "secrets_dir, without slashes"}));
  EXPECT_EQ(errors_of(R"({"escalation-policies": [{"key": "a", "steps": [{"notify":
 [{"schedule": "x"}]}]}, {"key": "b", "steps": []}]})"),
            (Errors{"escalation-policies[a].steps[0].notify[0]: line 2, column 3: schedules are "
                    "not in this version: expected channel or user",
                    "escalation-policies[b].steps: line 2, column 48: expected 1 to 20 steps"}));
}

TEST(CatalogNode, PeopleAreReadStrictly) {
  EXPECT_EQ(errors_of(R"({"users": [{"key": "ann", "role": "boss", "email": "a b@x",
 "contact_methods": [{"key": "m", "type": "email", "to": "nobody"}],
 "notification_rules": [{"contact": "m", "delay": "25h", "urgency": "middling"}]}]})"),
            (Errors{"users[ann].email: line 1, column 52: expected an e-mail address",
                    "users[ann].role: line 1, column 35: expected one of viewer, responder, "
                    "editor, admin, not 'boss'",
                    "users[ann].contact_methods[0].to: line 2, column 58: expected an e-mail "
                    "address",
                    "users[ann].notification_rules[0].delay: line 3, column 51: expected 0s to 1d",
                    "users[ann].notification_rules[0].urgency: line 3, column 69: expected high "
                    "or low; leave it out for both"}));
}

TEST(CatalogNode, AComponentStandsOnAPageOnce) {
  EXPECT_EQ(errors_of(R"({"status-pages": [{"slug": "s", "contact": "me",
 "groups": [{"components": [{"name": "The Shop"}, {"name": "the-shop"}]}]}]})"),
            (Errors{"status-pages[s].contact: line 1, column 44: expected an http(s) URL or an "
                    "e-mail address",
                    "status-pages[s].groups[0].components[1]: line 2, column 51: 'the-shop' is a "
                    "component already: status-pages[s].groups[0].components[0]"}));
}

TEST(CatalogNode, PageOnSaysDownAndPerhapsDegraded) {
  const auto with = [](const char* words) {
    return R"({"key": "a", "type": "http", "url": "http://a/", "page_on": )" + std::string{words} +
           "}";
  };
  EXPECT_FALSE(monitor(with(R"(["down"])")).page_on_degraded);
  EXPECT_TRUE(monitor(with(R"(["down", "degraded"])")).page_on_degraded);
  for (const char* bad : {R"(["degraded"])", R"(["down", "up"])", "[]"}) {
    EXPECT_EQ(monitor_errors(with(bad)).size(), 1U) << bad;
  }
}

TEST(CatalogNode, ARateIsKeptOfChannelsAndContactMethods) {
  const CatalogEdit edit = read(R"({
    "channels": [{"key": "m", "type": "email", "to": "a@example.com", "rate": "3/1m30s"}],
    "users": [{"key": "ann", "contact_methods": [
        {"key": "w", "type": "webhook", "url": "https://x.example/", "rate": "100/1s"}]}]})");
  ASSERT_EQ(edit.channels.size(), 1U);
  EXPECT_EQ(edit.channels[0].rate, (SendRate{3, std::chrono::seconds{90}}));
  EXPECT_EQ(to_node(edit.channels[0]).find("rate")->text, "3/1m30s");
  ASSERT_EQ(edit.users.size(), 1U);
  EXPECT_EQ(edit.users[0].contacts.at(0).rate, (SendRate{100, std::chrono::seconds{1}}));
  EXPECT_EQ(to_node(edit.users[0].contacts[0]).find("rate")->text, "100/1s");
  const Errors errors = errors_of(
      R"({"channels": [{"key": "m", "type": "email", "to": "a@example.com", "rate": "fast"}]})");
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_NE(errors[0].find("channels[m].rate: "), std::string::npos) << errors[0];
  EXPECT_NE(errors[0].find("60/1m"), std::string::npos) << errors[0];
}

}  // namespace
}  // namespace tocsin::collector
