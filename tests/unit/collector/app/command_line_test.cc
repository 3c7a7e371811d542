#include "collector/app/command_line.h"

#include <gtest/gtest.h>

namespace tocsin::collector {
namespace {

TEST(CommandLine, ServesByDefault) {
  const auto line = parse_command_line({});
  ASSERT_TRUE(line);
  EXPECT_EQ(line->command, "serve");
  EXPECT_EQ(line->config, "/etc/tocsin/collector.yaml");
}

TEST(CommandLine, TakesOptionsBeforeAndAfterTheCommand) {
  const auto line = parse_command_line({"--config", "/x.yaml", "enroll", "--region=eu-west",
                                        "--endpoint", "tcp://a:1", "--endpoint", "tcp://b:1"});
  ASSERT_TRUE(line) << line.error().text;
  EXPECT_EQ(line->command, "enroll");
  EXPECT_EQ(line->config, "/x.yaml");
  EXPECT_EQ(line->region, "eu-west");
  EXPECT_EQ(line->expires, "24h");
  EXPECT_EQ(line->endpoints, (std::vector<std::string>{"tcp://a:1", "tcp://b:1"}));
}

TEST(CommandLine, TakesTheOperandsOfACommand) {
  const auto line = parse_command_line({"ack", "INC-42"});
  ASSERT_TRUE(line);
  EXPECT_EQ(line->operands, std::vector<std::string>{"INC-42"});
}

TEST(CommandLine, TakesWhatBackupVerifyAndRestoreWant) {
  EXPECT_EQ(parse_command_line({"backup", "/b"})->operands, std::vector<std::string>{"/b"});
  EXPECT_TRUE(parse_command_line({"verify"})->operands.empty());
  EXPECT_EQ(parse_command_line({"verify", "/b"})->operands, std::vector<std::string>{"/b"});
  EXPECT_TRUE(parse_command_line({"restore", "/b", "--replace"})->replace);
  EXPECT_FALSE(parse_command_line({"restore", "/b"})->replace);
  for (const std::vector<std::string>& wrong : {std::vector<std::string>{"backup"},
                                                {"restore"},
                                                {"verify", "/b", "/c"},
                                                {"backup", "/b", "--replace"}}) {
    EXPECT_FALSE(parse_command_line(wrong)) << wrong.front();
  }
}

TEST(CommandLine, TakesAnExport) {
  const auto line = parse_command_line({"export-status", "--page", "shop", "--out", "/srv/status",
                                        "--every", "30s", "--url", "https://status.example/"});
  ASSERT_TRUE(line) << line.error().text;
  EXPECT_EQ(line->page, "shop");
  EXPECT_EQ(line->out, "/srv/status");
  EXPECT_EQ(line->every, 30s);
  EXPECT_EQ(line->url, "https://status.example");
}

TEST(CommandLine, HelpAndVersionNeedNothingElse) {
  EXPECT_TRUE(parse_command_line({"--help"})->help);
  EXPECT_TRUE(parse_command_line({"-h"})->help);
  EXPECT_TRUE(parse_command_line({"nonsense", "--version"})->version);
}

TEST(CommandLine, SaysWhatIsWrong) {
  struct Case {
    std::vector<std::string> arguments;
    const char* says;
  };

  const Case cases[] = {
      {{"server"}, "did you mean serve?"},
      {{"--confg", "x"}, "--confg"},
      {{"--config"}, "--config wants a value"},
      {{"enroll"}, "--region"},
      {{"ack"}, "INC-42"},
      {{"ack", "1", "2"}, "what is 2 for?"},
      {{"serve", "--region", "x"}, "--region belongs to enroll"},
      {{"revoke-agent"}, "agent's id"},
      {{"export-status", "--out", "x"}, "wants --page"},
      {{"export-status", "--page", "x"}, "wants --out"},
      {{"export-status", "--page", "x", "--out", "y", "--every", "0s"}, "--every wants 1s to"},
      {{"export-status", "--page", "x", "--out", "y", "--every", "soon"}, "not soon"},
      {{"export-status", "--page", "x", "--out", "y", "--url", "ftp://x"}, "--url wants http"},
      {{"serve", "--page", "x"}, "--page belongs to export-status"},
  };
  for (const Case& c : cases) {
    const auto line = parse_command_line(c.arguments);
    ASSERT_FALSE(line) << c.says;
    EXPECT_NE(line.error().text.find(c.says), std::string::npos) << line.error().text;
  }
}

}  // namespace
}  // namespace tocsin::collector
