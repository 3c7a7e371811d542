#include "common/io/yaml.h"

#include "tests/unit/common/io/scratch_dir.h"

#include <gtest/gtest.h>

namespace tocsin::io {
namespace {

using codec::Node;

std::string error_of(std::string_view text) {
  const auto node = parse_yaml(text, "f");
  return node ? "accepted" : node.error().text;
}

Node value_of(const std::string& scalar) {
  const auto node = parse_yaml("k: " + scalar + "\n", "f");
  EXPECT_TRUE(node.has_value()) << node.error().text;
  return node ? *node->find("k") : Node{};
}

TEST(Yaml, ReadsMapsListsAndScalarsWithTheirMarks) {
  const auto node = parse_yaml(
      "# comment\n"
      "name: Shop \"front\"\n"
      "regions: [eu-west, us-east]\n"
      "limits:\n"
      "  depth: 3\n"
      "  on: yes\n"
      "text: |\n"
      "  two\n"
      "  lines\n",
      "f");
  ASSERT_TRUE(node.has_value()) << node.error().text;
  EXPECT_EQ(
      *node,
      Node::map({{"name", Node::string("Shop \"front\"")},
                 {"regions", Node::list({Node::string("eu-west"), Node::string("us-east")})},
                 {"limits", Node::map({{"depth", Node::integer(3)}, {"on", Node::string("yes")}})},
                 {"text", Node::string("two\nlines\n")}}));
  EXPECT_EQ(node->find("regions")->items[1].mark, (codec::Mark{3, 20}));
  EXPECT_EQ(node->find("limits")->find("depth")->mark, (codec::Mark{5, 10}));
}

TEST(Yaml, OnlyJsonNumbersTruthValuesAndNullAreNotText) {
  EXPECT_EQ(value_of("12"), Node::integer(12));
  EXPECT_EQ(value_of("-0.5e2"), Node::number(-50));
  EXPECT_EQ(value_of("true"), Node::boolean(true));
  EXPECT_EQ(value_of("false"), Node::boolean(false));
  EXPECT_EQ(value_of("null"), Node{});
  EXPECT_EQ(value_of("~"), Node{});
  EXPECT_EQ(value_of(""), Node{});
  for (const char* text : {"yes", "no", "on", "off", "True", "NULL", "0x10", "010", "1_000",
                           "12:30", "+1", ".5", "1.", "1e", ".inf", ".nan", "2026-11-21", "30s"}) {
    EXPECT_EQ(value_of(text), Node::string(text)) << text;
  }
  EXPECT_EQ(value_of("\"12\""), Node::string("12"));
  EXPECT_EQ(value_of("'true'"), Node::string("true"));
  EXPECT_EQ(value_of("''"), Node::string(""));
}

TEST(Yaml, ANumberKeepsHowItWasWritten) { EXPECT_EQ(value_of("1.50").text, "1.50"); }

TEST(Yaml, ADuplicateKeyNamesBothLines) {
  EXPECT_EQ(error_of("a: 1\nb: 2\na: 3\n"), "f:3:1: the key \"a\" stands twice, first on line 1");
  EXPECT_EQ(error_of("m: {x: 1, y: 2, x: 3}\n"),
            "f:1:17: the key \"x\" stands twice, first on line 1");
  EXPECT_EQ(error_of("a: {x: 1}\nb: {x: 1}\n"), "accepted");
}

TEST(Yaml, WhatWouldMakeALineMeanSomethingElseIsRefused) {
  EXPECT_EQ(error_of("a: &x 1\n"), "f:1:4: anchors (&name) are not supported");
  EXPECT_EQ(error_of("a: *x\n"), "f:1:4: aliases (*name) are not supported; write the value out");
  EXPECT_EQ(error_of("a: {<<: {b: 1}}\n"), "f:1:5: merge keys (<<) are not supported");
  EXPECT_EQ(error_of("a: !!str 1\n"), "f:1:4: tags (!name) are not supported");
  EXPECT_EQ(error_of("a: !secret x\n"), "f:1:4: tags (!name) are not supported");
  EXPECT_EQ(error_of("a: !!map {}\n"), "f:1:4: tags (!name) are not supported");
  EXPECT_EQ(error_of("a: 1\n---\nb: 2\n"), "f:2:1: a second document; one file is one document");
  EXPECT_EQ(error_of("{[a]: 1}\n"), "f:1:2: a key must be a single word or text");
  EXPECT_EQ(error_of("a: \"x\\0y\"\n"), "f:1:4: text with a NUL character");
}

TEST(Yaml, SyntaxErrorsSayWhere) {
  EXPECT_EQ(error_of("a: 'unterminated\n").substr(0, 4), "f:2:");
  EXPECT_EQ(error_of("a: 1\n  b: 2\n").substr(0, 4), "f:2:");
  EXPECT_EQ(error_of("\ta: 1\n").substr(0, 4), "f:1:");
  EXPECT_NE(error_of("a: [1, 2\nb: 3\n").find("that begins on line 1"), std::string::npos)
      << error_of("a: [1, 2\nb: 3\n");
  EXPECT_NE(error_of("a: \xff\n"), "accepted");
  EXPECT_NE(error_of("a: \x01\n"), "accepted");
}

TEST(Yaml, DepthNodesAndSizeAreBounded) {
  const auto nested = [](int depth) {
    return std::string(static_cast<std::size_t>(depth), '[') +
           std::string(static_cast<std::size_t>(depth), ']');
  };
  EXPECT_EQ(error_of(nested(64)), "accepted");
  EXPECT_EQ(error_of(nested(65)), "f:1:65: nested deeper than 64 levels");
  EXPECT_NE(error_of(std::string(200'000, '[')), "accepted");
  std::string many;
  for (std::size_t i = 0; i <= kYamlNodesMax; ++i) many += "- 1\n";
  EXPECT_NE(error_of(many).find("more than 500000 values"), std::string::npos);
  EXPECT_EQ(error_of(std::string(kYamlSizeMax + 1, ' ')), "f: larger than 8388608 bytes");
}

TEST(Yaml, AnEmptyFileIsNull) {
  EXPECT_EQ(parse_yaml("", "f").value(), Node{});
  EXPECT_EQ(parse_yaml("# only a comment\n", "f").value(), Node{});
}

TEST(Yaml, ErrorsOfReadersAreLocatedInTheFile) {
  const auto node = parse_yaml("spool:\n  max_bites: 3\n", "agent.yaml");
  std::vector<FieldError> errors;
  codec::MapReader top(*node, "", errors);
  codec::MapReader spool(*top.child("spool"), "spool", errors);
  std::int64_t bytes = 0;
  spool.integer64("max_bytes", 1, 100, bytes);
  spool.finish();
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_EQ(locate("agent.yaml", errors[0]),
            "agent.yaml:2:14: spool.max_bites: unknown key; did you mean 'max_bytes'?");
  EXPECT_EQ(locate("agent.yaml", {"", "no mark"}), "agent.yaml: no mark");
}

}  // namespace
}  // namespace tocsin::io
