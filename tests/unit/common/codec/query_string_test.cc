#include "common/codec/query_string.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace tocsin::codec {
namespace {

Fields good(std::string_view query) {
  const Expected<Fields> fields = parse_query(query);
  EXPECT_TRUE(fields) << (fields ? "" : fields.error().text);
  return fields ? *fields : Fields{};
}

TEST(QueryString, DecodesEachNameAndValueOnceAndKeepsTheirOrder) {
  EXPECT_EQ(good("limit=50&cursor=a%2Bb%3D&q=two+words&flag&x=%252e&y=1=2").all(),
            (std::vector<Field>{{"limit", "50"},
                                {"cursor", "a+b="},
                                {"q", "two words"},
                                {"flag", ""},
                                {"x", "%2e"},
                                {"y", "1=2"}}));
  EXPECT_TRUE(good("").all().empty());
  EXPECT_EQ(good("caf%C3%A9=%E2%82%AC").all(),
            (std::vector<Field>{{"caf\xc3\xa9", "\xe2\x82\xac"}}));
}

struct Bad {
  const char* name;
  std::string query;
  std::string error;
};

void PrintTo(const Bad& b, std::ostream* out) { *out << b.name; }

class QueryStringRefuses : public testing::TestWithParam<Bad> {};

TEST_P(QueryStringRefuses, AndSaysWhatAndWhere) {
  const Expected<Fields> fields = parse_query(GetParam().query);
  ASSERT_FALSE(fields);
  EXPECT_EQ(fields.error().text, GetParam().error);
}

INSTANTIATE_TEST_SUITE_P(
    Table, QueryStringRefuses,
    testing::Values(Bad{"HalfAnEscape", "a=1&limit=5%2",
                        "query: \"limit\": byte 11: expected two hexadecimal digits after '%'"},
                    Bad{"EscapeThatIsNotHexadecimal", "cursor=%zz",
                        "query: \"cursor\": byte 7: expected two hexadecimal digits after '%'"},
                    Bad{"EscapeInAName", "a=1&%=2",
                        "query: field 2: byte 4: expected two hexadecimal digits after '%'"},
                    Bad{"Nul", "a=x%00", "query: \"a\": byte 3: a control character"},
                    Bad{"LineBreak", "a=%0d%0ab", "query: \"a\": byte 2: a control character"},
                    Bad{"NotUtf8", "a=%ff", "query: \"a\": byte 2: not UTF-8"},
                    Bad{"EmptyField", "a=1&&b=2", "query: byte 4: field 2 is empty"},
                    Bad{"TrailingSeparator", "a=1&", "query: byte 4: field 2 is empty"},
                    Bad{"NoName", "=1", "query: byte 0: field 1 has no name"},
                    Bad{"TooLong", "a=" + std::string(8 * 1024, 'x'),
                        "query: 8194 bytes; at most 8192"}),
    [](const auto& c) { return std::string{c.param.name}; });

TEST(QueryString, RefusesMoreFieldsThanItsBound) {
  std::string many = "a";
  for (int i = 1; i < 64; ++i) many += "&a";
  EXPECT_EQ(good(many).each("a").size(), 64U);
  const Expected<Fields> fields = parse_query(many + "&a");
  ASSERT_FALSE(fields);
  EXPECT_EQ(fields.error(), (Error{Errc::kLimit, "query: more than 64 fields"}));
}

TEST(Fields, AFieldThatMayBeThereOnceIsRefusedTwice) {
  const Fields fields = good("a=1&b=2&a=3");
  EXPECT_EQ(*fields.one("b"), "2");
  EXPECT_EQ(*fields.one("c"), std::nullopt);
  ASSERT_FALSE(fields.one("a"));
  EXPECT_EQ(fields.one("a").error().text, "\"a\" is given twice");
  EXPECT_EQ(fields.each("a"), (std::vector<std::string_view>{"1", "3"}));
}

TEST(Fields, ANumberIsPlainDigitsWithinItsRange) {
  EXPECT_EQ(*good("limit=500").number("limit", 1, 500, 50), 500U);
  EXPECT_EQ(*good("limit=1").number("limit", 1, 500, 50), 1U);
  EXPECT_EQ(*good("x=1").number("limit", 1, 500, 50), 50U);
  EXPECT_EQ(*good("limit=0").number("limit", 0, 500, 50), 0U);
  for (const char* bad : {"limit=0", "limit=501", "limit=", "limit=-1", "limit=%2B5", "limit=05",
                          "limit=1e2", "limit=5+", "limit=99999999999999999999"}) {
    const auto number = good(bad).number("limit", 1, 500, 50);
    ASSERT_FALSE(number) << bad;
    EXPECT_TRUE(number.error().text.starts_with("\"limit\": expected a number from 1 to 500, not"))
        << number.error().text;
  }
}

TEST(Fields, AnUnknownFieldIsNamedWithTheNearestKnownOne) {
  EXPECT_TRUE(good("limit=1&cursor=2").only({"limit", "cursor"}));
  EXPECT_EQ(good("limt=1").only({"limit", "cursor"}).error().text,
            "\"limt\" is not known here; did you mean \"limit\"?");
}

TEST(Form, MayHoldLineBreaksInItsValuesAndMoreThanAQuery) {
  const Expected<Fields> form = parse_form("note=one%0D%0Atwo%09&name=" + std::string(20'000, 'x'));
  ASSERT_TRUE(form) << form.error().text;
  EXPECT_EQ(form->all()[0], (Field{"note", "one\r\ntwo\t"}));
  ASSERT_FALSE(parse_form("note=%00"));
  ASSERT_FALSE(parse_form("a%0ab=1"));
  const Expected<Fields> large = parse_form("a=" + std::string(64 * 1024, 'x'));
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, Errc::kLimit);
}

TEST(Form, IsKnownByItsContentType) {
  EXPECT_TRUE(is_form("application/x-www-form-urlencoded"));
  EXPECT_TRUE(is_form("Application/X-WWW-form-urlencoded ; charset=utf-8"));
  EXPECT_FALSE(is_form("application/x-www-form-urlencoded2"));
  EXPECT_FALSE(is_form("application/json"));
  EXPECT_FALSE(is_form(""));
}

TEST(QueryString, WhatIsEncodedDecodesToItself) {
  const std::string text = "a b&c=d/%+\xc3\xa9~-._";
  EXPECT_EQ(percent_encode(text), "a%20b%26c%3Dd%2F%25%2B%C3%A9~-._");
  EXPECT_EQ(good("x=" + percent_encode(text)).all()[0].value, text);
}

}  // namespace
}  // namespace tocsin::codec
