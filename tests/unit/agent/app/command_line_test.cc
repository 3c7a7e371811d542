#include "agent/app/command_line.h"

#include <gtest/gtest.h>

namespace tocsin::agent {
namespace {

std::string error_of(const std::vector<std::string>& arguments) {
  const auto line = parse_command_line(arguments);
  return line ? "accepted" : line.error().text;
}

TEST(CommandLine, RunIsTheDefault) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--config", "f"}, {"run", "--config=f"}, {"run", "-c", "f"}}) {
    const auto line = parse_command_line(arguments);
    ASSERT_TRUE(line.has_value()) << line.error().text;
    EXPECT_EQ(line->command, Command::kRun);
    EXPECT_EQ(line->config, "f");
  }
}

TEST(CommandLine, EnrollTakesTheBundleBeforeOrAfterOptions) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"enroll", "b", "--config", "f"},
        {"enroll", "--config", "f", "b"}}) {
    const auto line = parse_command_line(arguments);
    ASSERT_TRUE(line.has_value()) << line.error().text;
    EXPECT_EQ(line->command, Command::kEnroll);
    EXPECT_EQ(line->bundle, "b");
    EXPECT_EQ(line->config, "f");
  }
  EXPECT_EQ(parse_command_line({"enroll", "-", "--state-dir", "d"})->bundle, "-");
}

TEST(CommandLine, CheckKeepsItsArguments) {
  const auto line = parse_command_line({"check", "--timeout", "1s", "http://x/"});
  ASSERT_TRUE(line.has_value());
  EXPECT_EQ(line->check_arguments, (std::vector<std::string>{"--timeout", "1s", "http://x/"}));
}

TEST(CommandLine, VersionAndHelpNeedNothingElse) {
  EXPECT_EQ(parse_command_line({"--version"})->command, Command::kVersion);
  EXPECT_EQ(parse_command_line({"run", "--help"})->command, Command::kHelp);
}

TEST(CommandLine, SlipsAreExplained) {
  EXPECT_EQ(error_of({}), "--config FILE is missing");
  EXPECT_EQ(error_of({"enrol", "b"}), "unknown command \"enrol\"; did you mean enroll?");
  EXPECT_EQ(error_of({"run", "--config"}), "--config needs a value");
  EXPECT_EQ(error_of({"run", "--konfig", "f"}), "unknown option --konfig");
  EXPECT_EQ(error_of({"run", "-c", "f", "x"}), "unexpected argument \"x\"");
  EXPECT_EQ(error_of({"enroll"}), "enroll needs the bundle's file, or -");
}

}  // namespace
}  // namespace tocsin::agent
