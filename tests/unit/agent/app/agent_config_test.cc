#include "agent/app/agent_config.h"

#include "common/io/yaml.h"

#include <gtest/gtest.h>

namespace tocsin::agent {
namespace {

using Lines = std::vector<std::string>;

Environment no_environment() {
  return [](const char*) { return std::nullopt; };
}

Environment environment(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const char* name) -> std::optional<std::string> {
    const auto at = values.find(name);
    if (at == values.end()) return std::nullopt;
    return at->second;
  };
}

tl::expected<AgentConfig, Lines> read(const std::string& text,
                                      const Environment& env = no_environment()) {
  const auto tree = io::parse_yaml(text, "/etc/tocsin/agent.yaml");
  EXPECT_TRUE(tree.has_value()) << tree.error().text;
  return read_agent_config(*tree, "/etc/tocsin/agent.yaml", env);
}

Lines errors(const std::string& text, const Environment& env = no_environment()) {
  const auto config = read(text, env);
  return config ? Lines{"accepted"} : config.error();
}

TEST(AgentConfig, ARegionIsEnoughAndTheRestHasDefaults) {
  const auto config = read("region: eu-west\n");
  ASSERT_TRUE(config.has_value());
  EXPECT_EQ(config->state_dir, "/var/lib/tocsin-agent/eu-west");
  EXPECT_EQ(config->listen, "127.0.0.1:7402");
  EXPECT_EQ(config->max_in_flight, 1000);
  EXPECT_EQ(config->max_in_flight_per_target, 4);
  EXPECT_EQ(config->egress, EgressPolicy{});
  EXPECT_EQ(config->where("listen"), "/etc/tocsin/agent.yaml (default)");
}

TEST(AgentConfig, ProbesOfOthersAreOffUnlessTheFileAsksForThem) {
  EXPECT_EQ(read("region: eu-west\n")->probe, std::nullopt);
  EXPECT_EQ(read("region: eu-west\nprobe: {}\n")->probe, (ProbeEndpoint{"127.0.0.1:9115", ""}));
  EXPECT_EQ(
      read("region: eu-west\nprobe: {listen: \"[::1]:0\", modules_file: blackbox.yml}\n")->probe,
      (ProbeEndpoint{"[::1]:0", "/etc/tocsin/blackbox.yml"}));
  EXPECT_EQ(errors("region: eu-west\nprobe: {listen: 9115, module_file: x}\n"),
            (Lines{"/etc/tocsin/agent.yaml:2:17: probe.listen: expected ADDRESS:PORT such as "
                   "127.0.0.1:9115 or [::1]:9115",
                   "/etc/tocsin/agent.yaml:2:36: probe.module_file: unknown key; did you mean "
                   "'modules_file'?"}));
}

TEST(AgentConfig, EveryKeyIsRead) {
  const auto config = read(
      "region: eu-west\n"
      "collector:\n"
      "  endpoints: [tcp://c.example:7401, \"tcp://[::1]:7401\"]\n"
      "  server_keys: [\"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7\"]\n"
      "state_dir: state\n"
      "spool: {max_bytes: 64MiB}\n"
      "listen: \"[::1]:0\"\n"
      "egress: {class: private, allow: [127.0.0.0/8, \"::1\"]}\n"
      "max_in_flight: 5\n"
      "max_in_flight_per_target: 2\n"
      "secrets_dir: /s\n"
      "resolvers: [192.0.2.1]\n"
      "shutdown_grace: 5s\n"
      "log: {level: debug, format: json}\n");
  ASSERT_TRUE(config.has_value()) << config.error().front();
  EXPECT_EQ(config->endpoints, (Lines{"tcp://c.example:7401", "tcp://[::1]:7401"}));
  EXPECT_EQ(config->server_keys.size(), 1U);
  EXPECT_EQ(config->state_dir, "/etc/tocsin/state");
  EXPECT_EQ(config->spool_bytes_max, 64LL << 20);
  EXPECT_EQ(config->listen, "[::1]:0");
  EXPECT_TRUE(config->egress.allows(IpAddress::parse("127.0.0.1").value()).has_value());
  EXPECT_EQ(config->max_in_flight, 5);
  EXPECT_EQ(config->resolvers, Lines{"192.0.2.1"});
  EXPECT_EQ(config->shutdown_grace, Duration(5s));
  EXPECT_EQ(config->log.level, log::Level::kDebug);
  EXPECT_EQ(config->log.format, log::Format::kJson);
  EXPECT_EQ(config->where("listen"), "/etc/tocsin/agent.yaml:7:9");
}

TEST(AgentConfig, AnchorsOfEachKindAreRead) {
  const auto config = read(
      "region: eu-west\n"
      "anchors:\n"
      "  - http: https://anchor.example/\n"
      "  - tcp: \"[2001:db8::1]:443\"\n"
      "  - {dns: example.org, resolver: 192.0.2.53}\n"
      "  - dns: example.net\n"
      "anchor_interval: 20s\n");
  ASSERT_TRUE(config.has_value()) << config.error().front();
  ASSERT_EQ(config->anchors.size(), 4U);
  EXPECT_EQ(config->anchors[0].name, "https://anchor.example/");
  EXPECT_EQ(config->anchors[1].name, "[2001:db8::1]:443");
  EXPECT_EQ(config->anchors[2].name, "A example.org @ 192.0.2.53");
  EXPECT_EQ(config->anchors[3].name, "A example.net");
  for (const Anchor& anchor : config->anchors) {
    EXPECT_EQ(anchor.spec.interval, Duration(20s));
    EXPECT_EQ(anchor.spec.timeout, Duration(2s));
    EXPECT_EQ(anchor.spec.retry.retries, 0);
  }
}

TEST(AgentConfig, WhatIsNoAnchorIsSaid) {
  const Lines found = errors(
      "region: eu-west\n"
      "anchors: [{http: https://a.example/, tcp: a.example:1}, {tcp: a.example}, {resolver: "
      "192.0.2.1}, {tcp: \"a.example:80x\"}]\n"
      "anchor_interval: 1s\n");
  ASSERT_EQ(found.size(), 5U);
  EXPECT_NE(found[0].find("anchor_interval"), std::string::npos) << found[0];
  EXPECT_NE(found[1].find("expected one of {http: URL}"), std::string::npos) << found[1];
  EXPECT_NE(found[2].find("port"), std::string::npos) << found[2];
  EXPECT_NE(found[4].find("port"), std::string::npos) << found[4];
  std::string many = "region: eu-west\nanchors:\n";
  for (int i = 0; i < 9; ++i) many += "  - dns: a.example\n";
  const Lines refused = errors(many);
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_NE(refused[0].find("at most 8"), std::string::npos) << refused[0];
}

TEST(AgentConfig, AllErrorsComeAtOnceWithTheirPlaces) {
  EXPECT_EQ(
      errors("region: EU\n"
             "listen: 7402\n"
             "max_in_flight: 0\n"
             "spool: {max_bites: 1}\n"
             "egress: {class: internal}\n"
             "log: loud\n"
             "state_dir: s\n"),
      (Lines{
          "/etc/tocsin/agent.yaml:1:9: region: expected a key: a-z, 0-9 and -, at most 63 "
          "characters",
          "/etc/tocsin/agent.yaml:4:20: spool.max_bites: unknown key; did you mean 'max_bytes'?",
          "/etc/tocsin/agent.yaml:2:9: listen: expected ADDRESS:PORT such as 127.0.0.1:7402 or "
          "[::1]:7402",
          "/etc/tocsin/agent.yaml:5:9: egress: class: expected public or private, not 'internal'",
          "/etc/tocsin/agent.yaml:3:16: max_in_flight: expected a whole number from 1 to 100000",
          "/etc/tocsin/agent.yaml:6:6: log: expected debug, info, warning or error, got \"loud\"",
      }));
}

TEST(AgentConfig, EachWrongValueIsRefused) {
  for (const char* line :
       {"collector: {endpoints: [\"http://x:1\"]}", "collector: {endpoints: [\"tcp://x\"]}",
        "collector: {endpoints: [\"tcp://*:7401\"]}", "collector: {endpoints: [\"tcp://x:0\"]}",
        "collector: {server_keys: [short]}", "spool: {max_bytes: 1}", "spool: {max_bytes: 1TB}",
        "spool: {max_bytes: -1}", "listen: localhost:7402", "listen: 127.0.0.1:70000",
        "egress: {allow: [300.0.0.0/8]}", "egress: private", "shutdown_grace: 1h",
        "resolver: [192.0.2.1]", "log: {level: info, colour: true}"}) {
    EXPECT_NE(errors(std::string("region: r\n") + line + "\n"), Lines{"accepted"}) << line;
  }
  EXPECT_EQ(errors("listen: 127.0.0.1:0\n"),
            Lines{"/etc/tocsin/agent.yaml:1:1: state_dir: missing; it may only be left out when "
                  "region is given"});
}

TEST(AgentConfig, AVariableWinsAndIsNamedInErrors) {
  const auto config =
      read("region: r\nlisten: 127.0.0.1:1\n", environment({{"TOCSIN_LISTEN", "127.0.0.1:2"},
                                                            {"TOCSIN_MAX_IN_FLIGHT", "7"},
                                                            {"TOCSIN_SPOOL_MAX_BYTES", "1GiB"},
                                                            {"TOCSIN_RESOLVERS", "[192.0.2.7]"}}));
  ASSERT_TRUE(config.has_value()) << config.error().front();
  EXPECT_EQ(config->listen, "127.0.0.1:2");
  EXPECT_EQ(config->where("listen"), "TOCSIN_LISTEN");
  EXPECT_EQ(config->max_in_flight, 7);
  EXPECT_EQ(config->spool_bytes_max, 1LL << 30);
  EXPECT_EQ(config->resolvers, Lines{"192.0.2.7"});
  EXPECT_EQ(errors("region: r\n", environment({{"TOCSIN_MAX_IN_FLIGHT", "many"}})),
            Lines{"TOCSIN_MAX_IN_FLIGHT: max_in_flight: expected a whole number from 1 to 100000"});
  EXPECT_EQ(errors("region: r\n", environment({{"TOCSIN_LOG", "[1"}})).front().substr(0, 11),
            "TOCSIN_LOG:");
}

TEST(AgentConfig, TheEnvironmentCannotWidenEgress) {
  const auto config = read("region: r\n", environment({{"TOCSIN_EGRESS", "{class: private}"}}));
  ASSERT_TRUE(config.has_value());
  EXPECT_EQ(config->egress, EgressPolicy{});
}

TEST(AgentConfig, ProxiesHaveNamesAndMayHaveCredentials) {
  const auto config = read(
      "region: eu\n"
      "proxies:\n"
      "  plain: http://proxy.example:3128\n"
      "  office: {url: \"http://192.0.2.7:8080\", username: u, password: {file: office}}\n");
  ASSERT_TRUE(config) << config.error()[0];
  EXPECT_EQ(config->proxies,
            (std::vector<ProxySettings>{{"plain", "proxy.example", false, 3128, {}, {}},
                                        {"office", "192.0.2.7", true, 8080, "u", "office"}}));
  for (const char* wrong :
       {"proxies: {A: http://a:1}", "proxies: {a: https://a:1}", "proxies: {a: http://a:1/path}",
        "proxies: [a]", "proxies: {a: {url: http://a:1, username: u}}"}) {
    EXPECT_FALSE(read(std::string{"region: eu\n"} + wrong)) << wrong;
  }
}

TEST(ParseBytes, KnowsBinaryUnitsOnly) {
  EXPECT_EQ(parse_bytes("10").value(), 10);
  EXPECT_EQ(parse_bytes("2KiB").value(), 2048);
  EXPECT_EQ(parse_bytes("3 GiB").value(), 3LL << 30);
  for (const char* text : {"", "MiB", "1MB", "-1", "1.5GiB", "99999999999GiB"}) {
    EXPECT_FALSE(parse_bytes(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace tocsin::agent
