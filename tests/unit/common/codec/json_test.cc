#include "common/codec/json.h"

#include <gtest/gtest.h>

namespace tocsin::codec {
namespace {

Node parsed(std::string_view text) {
  auto node = parse_json(text);
  EXPECT_TRUE(node) << (node ? "" : node.error().text);
  return node ? *node : Node{};
}

Error refused(std::string_view text, const JsonLimits& limits = {}) {
  auto node = parse_json(text, limits);
  EXPECT_FALSE(node) << "accepted: " << text;
  return node ? Error{} : node.error();
}

TEST(Json, ReadsEveryKindOfValue) {
  const Node node =
      parsed(R"({"a": null, "b": true, "c": [1, -2.5e1], "d": "x\u00e4\ud83d\ude00"})");
  EXPECT_EQ(node, Node::map({{"a", Node{}},
                             {"b", Node::boolean(true)},
                             {"c", Node::list({Node::integer(1), Node::number(-25)})},
                             {"d", Node::string("x\xc3\xa4\xf0\x9f\x98\x80")}}));
}

TEST(Json, MarksEveryValueWithItsLineAndColumn) {
  const Node node =
      parsed("{\n  \"a\": 12,\n  \"b\": [true,{\"c\" : \"x\\\"[\"}, -1],\n \"d\":{}}");
  EXPECT_EQ(node.mark, (Mark{1, 1}));
  EXPECT_EQ(node.find("a")->mark, (Mark{2, 8}));
  const Node& list = *node.find("b");
  EXPECT_EQ(list.mark, (Mark{3, 8}));
  EXPECT_EQ(list.items[0].mark, (Mark{3, 9}));
  EXPECT_EQ(list.items[1].mark, (Mark{3, 14}));
  EXPECT_EQ(list.items[1].find("c")->mark, (Mark{3, 21}));
  EXPECT_EQ(list.items[2].mark, (Mark{3, 30}));
  EXPECT_EQ(node.find("d")->mark, (Mark{4, 6}));
}

TEST(Json, KeepsIntegersOf64BitsAsWritten) {
  const Node node = parsed("[9223372036854775807, -9223372036854775808, 18446744073709551615]");
  EXPECT_EQ(node.items[0].text, "9223372036854775807");
  EXPECT_EQ(node.items[1].text, "-9223372036854775808");
  EXPECT_EQ(node.items[2].text, "18446744073709551615");
  EXPECT_EQ(print_json(node), "[9223372036854775807,-9223372036854775808,18446744073709551615]");
}

TEST(Json, RefusesAKeyThatStandsTwice) {
  const Error e = refused("{\"a\": 1,\n \"a\": 2}");
  EXPECT_EQ(e.code, Errc::kInvalid);
  EXPECT_EQ(e.text, "line 2, column 2: the key 'a' stands twice in the same map");
  EXPECT_TRUE(parse_json(R"([{"a":1},{"a":1,"b":{"a":1}}])"));
}

TEST(Json, RefusesWhatIsNotUtf8) {
  EXPECT_EQ(refused("\"a\xff\"").code, Errc::kInvalid);
  EXPECT_EQ(refused("\"\xc0\xaf\"").code, Errc::kInvalid);
  EXPECT_EQ(refused("\"\xed\xa0\x80\"").code, Errc::kInvalid);
  EXPECT_EQ(refused(R"("\ud800")").code, Errc::kInvalid);
}

TEST(Json, RefusesWhatRfc8259DoesNotAllow) {
  for (const char* text : {"", " ", "{", "[1,]", "{\"a\":1,}", "// x\n1", "NaN", "01", "1 2", "'a'",
                           "{a:1}", "[1e999]", "\"\n\"", "+1", ".5", "tru"}) {
    EXPECT_EQ(refused(text).code, Errc::kInvalid) << text;
  }
}

TEST(Json, SaysWhereAndWhatWasWrong) {
  const Error e = refused("{\"a\":\n  [1, 2 3]}");
  EXPECT_TRUE(e.text.starts_with("line 2, column ")) << e.text;
  EXPECT_EQ(e.text.find("json.exception"), std::string::npos) << e.text;
  EXPECT_NE(e.text.find("unexpected number literal"), std::string::npos) << e.text;
}

TEST(Json, RefusesAtEachBoundAndAcceptsJustBelow) {
  const std::string deep32 = std::string(32, '[') + std::string(32, ']');
  EXPECT_TRUE(parse_json(deep32));
  EXPECT_EQ(refused("[" + deep32 + "]").code, Errc::kLimit);
  EXPECT_EQ(refused(std::string(200'000, '[')).code, Errc::kLimit);
  EXPECT_TRUE(parse_json("\"ab\"", {.bytes_max = 4}));
  EXPECT_EQ(refused("\"abc\"", {.bytes_max = 4}).code, Errc::kLimit);
  EXPECT_TRUE(parse_json("[1,2]", {.nodes_max = 3}));
  EXPECT_EQ(refused("[1,2,3]", {.nodes_max = 3}).code, Errc::kLimit);
}

TEST(Json, PrintsWhatItReadsBack) {
  const char* text =
      R"({"z":[],"a":{"k":"\"\\\n\u0001/"},"n":[0,-1,2.5,1e+30],"t":[true,false,null]})";
  const Node node = parsed(text);
  EXPECT_EQ(print_json(node),
            R"({"z":[],"a":{"k":"\"\\\n\u0001/"},"n":[0,-1,2.5,1e+30],"t":[true,false,null]})");
  EXPECT_EQ(parsed(print_json(node)), node);
  EXPECT_EQ(parsed(print_json(node, 2)), node);
}

TEST(Json, ReplacesInvalidUtf8WhenPrinting) {
  EXPECT_EQ(print_json(Node::string("a\xff"
                                    "b")),
            "\"a\xef\xbf\xbd"
            "b\"");
  EXPECT_TRUE(parse_json(print_json(Node::map({{"\xc3", Node::string("\xed\xa0\x80")}}))));
}

TEST(Json, WhatWouldMoveATerminalIsWrittenAsAnEscapeOfTheSameValue) {
  const Node node =
      Node::string("a\x7f\xc2\x9b\xe2\x80\xae\xe2\x81\xa6\xd8\x9c\xe2\x80\xa8\xef\xbb\xbfé日");
  EXPECT_EQ(print_json(node), R"("a\u007f\u009b\u202e\u2066\u061c\u2028\ufeffé日")");
  EXPECT_EQ(parsed(print_json(node)), node);
  EXPECT_EQ(print_json(Node::list({Node::string("x")}), 2), "[\n  \"x\"\n]");
}

TEST(Json, PrintsANumberThatOnlyYamlSpellsByItsValue) {
  Node n = Node::number(16);
  n.text = "0x10";
  EXPECT_EQ(print_json(n), "16.0");
  EXPECT_EQ(print_json(Node::number(1.0 / 0.0)), "null");
}

}  // namespace
}  // namespace tocsin::codec
