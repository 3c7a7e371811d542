#include "collector/app/collector_config.h"

#include "common/io/yaml.h"

#include <gtest/gtest.h>

namespace tocsin::collector {
namespace {

using Result = tl::expected<CollectorConfig, std::vector<std::string>>;

Result read(std::string_view text, std::map<std::string, std::string> environment = {}) {
  const auto tree = io::parse_yaml(text, "/etc/c.yaml");
  EXPECT_TRUE(tree) << tree.error().text;
  return read_collector_config(*tree, "/etc/c.yaml",
                               [&](const char* name) -> std::optional<std::string> {
                                 const auto at = environment.find(name);
                                 if (at == environment.end()) return std::nullopt;
                                 return at->second;
                               });
}

std::string only_error(const Result& result) {
  EXPECT_FALSE(result);
  if (result) return "";
  EXPECT_EQ(result.error().size(), 1U);
  return result.error().front();
}

TEST(CollectorConfig, AnEmptyFileGivesTheDefaults) {
  const auto config = read("");
  ASSERT_TRUE(config);
  EXPECT_EQ(config->listen.str(), "127.0.0.1:7400");
  EXPECT_EQ(config->agents, "tcp://*:7401");
  EXPECT_EQ(config->state_dir, "/var/lib/tocsin-collector");
  EXPECT_EQ(config->store, StoreType::kSqlite);
}

TEST(CollectorConfig, ReadsWhatTheHttpServerIsTold) {
  const auto config = read(R"(
http:
  tls: {certificate: tls/chain.pem, key: /run/key.pem}
  connections_max: 2000
  connections_per_address: 10
  streams_max: 20
  trusted_proxies: [127.0.0.1, "2001:db8::/32"]
)");
  ASSERT_TRUE(config) << config.error().front();
  EXPECT_EQ(config->http, (HttpConfig{.certificate = "/etc/tls/chain.pem",
                                      .key = "/run/key.pem",
                                      .connections_max = 2000,
                                      .connections_per_address = 10,
                                      .streams_max = 20,
                                      .trusted_proxies = {*IpBlock::parse("127.0.0.1"),
                                                          *IpBlock::parse("2001:db8::/32")}}));
  EXPECT_EQ(read("")->http, HttpConfig{});
}

TEST(CollectorConfig, KnowsWhetherPeopleComeByHttps) {
  EXPECT_FALSE(read("")->reached_by_https());
  EXPECT_FALSE(read("public_url: http://tocsin.example.com")->reached_by_https());
  EXPECT_TRUE(read("public_url: https://tocsin.example.com")->reached_by_https());
  EXPECT_TRUE(read("http: {tls: {certificate: a.pem, key: b.pem}}")->reached_by_https());
}

TEST(CollectorConfig, SaysWhatIsWrongWithTheHttpServer) {
  EXPECT_EQ(only_error(read("http: {tls: {certificate: a.pem}}")),
            "/etc/c.yaml:1:13: http.tls.key: expected the path of a PEM file");
  EXPECT_EQ(
      only_error(read("http: {streams_max: 100, connections_max: 99}")),
      "/etc/c.yaml:1:21: http.streams_max: expected no more than connections_max: a stream is "
      "a connection");
  EXPECT_NE(only_error(read("http: {trusted_proxies: [10.0.0.1/8]}")).find("trusted_proxies"),
            std::string::npos);
  EXPECT_NE(only_error(read("http: {connections_max: 1}")).find("connections_max"),
            std::string::npos);
  EXPECT_NE(only_error(read("http: {stream_max: 1}")).find("streams_max"), std::string::npos);
}

TEST(CollectorConfig, ReadsTheMailServer) {
  const auto config = read(R"(
smtp:
  host: smtp.example.com
  tls: implicit
  username: pager
  password: {file: smtp}
  from: tocsin@example.com
  ca_file: ca.pem
)");
  ASSERT_TRUE(config) << config.error().front();
  ASSERT_TRUE(config->smtp);
  EXPECT_EQ(*config->smtp, (SmtpConfig{.host = "smtp.example.com",
                                       .port = 465,
                                       .tls = io::SmtpTls::kImplicit,
                                       .username = "pager",
                                       .password_file = "smtp",
                                       .from = "tocsin@example.com",
                                       .ca_file = "/etc/ca.pem"}));
  EXPECT_EQ(read("smtp: {host: m, from: a@b}")->smtp->port, 587);
  EXPECT_EQ(read("smtp: {host: m, from: a@b}")->smtp->tls, io::SmtpTls::kRequired);
  EXPECT_FALSE(read("")->smtp);
}

TEST(CollectorConfig, AWrongMailServerIsNamedWithItsPlace) {
  const auto starts = [](const std::string& text, const std::string& start) {
    const std::string error = only_error(read(text));
    EXPECT_TRUE(error.starts_with(start)) << error;
  };
  starts("smtp: {host: 'a b', from: a@b}", "/etc/c.yaml:1:14: smtp.host: expected a host name");
  starts("smtp: {host: m, from: '<a@b>'}", "/etc/c.yaml:1:23: smtp.from: expected one e-mail");
  starts("smtp: {host: m, from: a@b, tls: yes}", "/etc/c.yaml:1:33: smtp.tls: expected required");
  starts("smtp: {host: m, from: a@b, username: u}",
         "/etc/c.yaml:1:38: smtp.username: expected pass");
  starts("smtp: {host: m, from: a@b, username: u, password: s3cret}",
         "/etc/c.yaml:1:51: smtp.password: expected {file: NAME}");
  starts("smtp: {host: m, from: a@b, tls: 'off', username: u, password: {file: x}}",
         "/etc/c.yaml:1:50: smtp.username: a password is only sent over verified TLS");
  starts("smtp: {host: m, from: a@b, hots: x}", "/etc/c.yaml:1:34: smtp.hots: unknown key");
}

TEST(CollectorConfig, ReadsEveryKey) {
  const auto config = read(R"(
listen: "[::1]:8400"
agents: tcp://10.0.0.1:*
state_dir: /srv/tocsin
store: {type: memory}
secrets_dir: /srv/secrets
monitors_file: monitors.yaml
public_url: https://status.example.com/
log: {level: debug, format: json}
)");
  ASSERT_TRUE(config) << config.error().front();
  EXPECT_EQ(config->listen, (ListenAddress{"::1", 8400}));
  EXPECT_EQ(config->listen.str(), "[::1]:8400");
  EXPECT_EQ(config->agents, "tcp://10.0.0.1:*");
  EXPECT_EQ(config->state_dir, "/srv/tocsin");
  EXPECT_EQ(config->store, StoreType::kMemory);
  EXPECT_EQ(config->secrets_dir, "/srv/secrets");
  EXPECT_EQ(config->monitors_file, "/etc/monitors.yaml") << "relative to the file";
  EXPECT_EQ(config->public_url, "https://status.example.com");
  EXPECT_EQ(config->log_level, "debug");
  EXPECT_EQ(config->log_format, "json");
}

TEST(CollectorConfig, LogMayBeJustALevel) {
  EXPECT_EQ(read("log: warning")->log_level, "warning");
  EXPECT_NE(only_error(read("log: loud")).find("/etc/c.yaml:1:6: log: "), std::string::npos);
}

TEST(CollectorConfig, EveryErrorIsToldWithItsPlace) {
  const auto config = read(R"(listen: 7400
agents: ipc:///tmp/x
store:
  type: oracle
public_url: example.com
)");
  ASSERT_FALSE(config);
  ASSERT_EQ(config.error().size(), 4U);
  EXPECT_EQ(config.error()[0].rfind("/etc/c.yaml:1:9: listen: expected ADDRESS:PORT", 0), 0U)
      << config.error()[0];
  EXPECT_EQ(config.error()[1].rfind("/etc/c.yaml:2:9: agents: expected tcp://", 0), 0U)
      << config.error()[1];
  EXPECT_EQ(config.error()[2].rfind("/etc/c.yaml:5:13: public_url: expected a URL", 0), 0U)
      << config.error()[2];
  EXPECT_EQ(config.error()[3], "/etc/c.yaml:4:9: store.type: expected sqlite or memory");
}

TEST(CollectorConfig, AnUnknownKeySuggestsTheNearest) {
  EXPECT_EQ(only_error(read("stat_dir: /x")),
            "/etc/c.yaml:1:11: stat_dir: unknown key; did you mean 'state_dir'?");
}

TEST(CollectorConfig, TheFallbackChannelIsAWebhookWithoutAKey) {
  const auto config = read("fallback_channel: {url: http://x/y, secret: {file: pager}}");
  ASSERT_TRUE(config);
  EXPECT_EQ(config->fallback_channel.url, "http://x/y");
  EXPECT_EQ(config->fallback_channel.secret_file, "pager");
  EXPECT_TRUE(read("")->fallback_channel.url.empty());
  EXPECT_NE(
      only_error(read("fallback_channel: {url: x}")).find("fallback_channel.url: expected an "),
      std::string::npos);
  EXPECT_NE(only_error(read("fallback_channel: {url: http://x, key: a}")).find(".key: is not for"),
            std::string::npos);
  EXPECT_FALSE(read("fallback_channel: http://x"));
}

TEST(CollectorConfig, VariablesOverrideKeysAndAreNamedInErrors) {
  const auto config =
      read("listen: 127.0.0.1:1\n", {{"TOCSIN_LISTEN", "127.0.0.1:2"}, {"TOCSIN_STORE", "memory"}});
  ASSERT_TRUE(config);
  EXPECT_EQ(config->listen.port, 2);
  EXPECT_EQ(config->store, StoreType::kMemory);
  EXPECT_EQ(config->where("listen"), "TOCSIN_LISTEN");
  EXPECT_EQ(only_error(read("", {{"TOCSIN_LISTEN", "x"}})).rfind("TOCSIN_LISTEN: listen: ", 0), 0U);
}

TEST(CollectorConfig, SaysWhereAValueComesFrom) {
  const auto config = read("\nlisten: 127.0.0.1:1\n");
  EXPECT_EQ(config->where("listen"), "/etc/c.yaml:2:9");
  EXPECT_EQ(config->where("agents"), "/etc/c.yaml (the default of agents)");
}

TEST(CollectorConfig, ATopLevelListIsAnError) {
  EXPECT_NE(only_error(read("- listen")).find("expected a map"), std::string::npos);
}

TEST(ListenAddress, RefusesWhatIsNoAddressAndPort) {
  for (const char* text : {"", ":", "7400", "host", "host:", "host:x", "host:65536", "host:-1",
                           "::1:80", "[]:80", "[::1:80", "host:80x"}) {
    EXPECT_FALSE(parse_listen_address(text)) << text;
  }
}

}  // namespace
}  // namespace tocsin::collector
