#include "common/assert/json_path.h"

#include <gtest/gtest.h>

namespace tocsin::assertion {
namespace {

TEST(JsonPath, ReadsNamesIndexesAndQuotedNames) {
  EXPECT_EQ(parse_json_path("$")->steps, std::vector<JsonPath::Step>{});
  EXPECT_EQ(
      parse_json_path("$.a.b-c[0][\"x y\"]")->steps,
      (std::vector<JsonPath::Step>{std::string{"a"}, std::string{"b-c"}, 0U, std::string{"x y"}}));
  EXPECT_EQ(parse_json_path(R"($["q\"\\"])")->steps,
            (std::vector<JsonPath::Step>{std::string{"q\"\\"}}));
  EXPECT_EQ(parse_json_path(R"($['it\'s "x"'])")->steps,
            (std::vector<JsonPath::Step>{std::string{"it's \"x\""}}));
}

TEST(JsonPath, RefusesTheRestWithThePlace) {
  for (const char* text :
       {"", "a", "$.", "$a", "$[", "$[]", "$[-1]", "$[*]", "$..a", "$[\"a]", "$[\"a\\n\"]", "$['a]",
        "$['a\"]", "$[0:1]", "$[?@.a]", "$[12345678]", "$[0", "$.a b"}) {
    EXPECT_FALSE(parse_json_path(text)) << text;
  }
  EXPECT_EQ(parse_json_path("$.a[x]").error().text,
            "JSON path '$.a[x]': expected an index or a name in quotes after '[' at byte 5");
  std::string deep = "$";
  for (int i = 0; i < 32; ++i) deep += "[0]";
  EXPECT_TRUE(parse_json_path(deep));
  EXPECT_FALSE(parse_json_path(deep + "[0]"));
}

}  // namespace
}  // namespace tocsin::assertion
