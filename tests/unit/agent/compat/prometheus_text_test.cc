#include "agent/compat/prometheus_text.h"

#include "agent/compat/yaml_text.h"
#include "common/io/yaml.h"

#include <gtest/gtest.h>

#include <cmath>

namespace tocsin::agent {
namespace {

TEST(MetricSheet, FamiliesAndSeriesComeInOrderWithHelpAndType) {
  MetricSheet sheet;
  sheet.gauge("b", "Second.", 2, {{"phase", "tls"}});
  sheet.gauge("b", "Ignored.", 1, {{"phase", "connect"}});
  sheet.counter("a_total", "First.", 337);
  sheet.gauge("c", "Odd.", 1, {{"x", "say \"hi\"\\\nbye"}, {"y", "z"}});
  EXPECT_EQ(sheet.text(),
            "# HELP a_total First.\n"
            "# TYPE a_total counter\n"
            "a_total 337\n"
            "# HELP b Second.\n"
            "# TYPE b gauge\n"
            "b{phase=\"connect\"} 1\n"
            "b{phase=\"tls\"} 2\n"
            "# HELP c Odd.\n"
            "# TYPE c gauge\n"
            "c{x=\"say \\\"hi\\\"\\\\\\nbye\",y=\"z\"} 1\n");
}

TEST(MetricSheet, NumbersLookAsGoWritesThem) {
  EXPECT_EQ(go_number(0), "0");
  EXPECT_EQ(go_number(1), "1");
  EXPECT_EQ(go_number(-1), "-1");
  EXPECT_EQ(go_number(48890), "48890");
  EXPECT_EQ(go_number(1.1), "1.1");
  EXPECT_EQ(go_number(3668918509), "3.668918509e+09");
  EXPECT_EQ(go_number(-62135596800), "-6.21355968e+10");
  EXPECT_EQ(go_number(0.000183664), "0.000183664");
  EXPECT_EQ(go_number(1.4661e-05), "1.4661e-05");
  EXPECT_EQ(go_number(std::nan("")), "NaN");
  EXPECT_EQ(go_number(INFINITY), "+Inf");
}

TEST(YamlText, IsReadBackAsTheSameTree) {
  const std::string text =
      "modules:\n"
      "  a: {prober: http, http: {valid_status_codes: [200, 301], headers: {Host: \"a b\"}}}\n"
      "  \"odd: name\": {list: [[1], {}, [], null, true, \"yes\", 1.5, \"line\\nbreak\"]}\n";
  const auto tree = io::parse_yaml(text, "x");
  ASSERT_TRUE(tree) << tree.error().text;
  const std::string shown = yaml_text(*tree);
  const auto again = io::parse_yaml(shown, "y");
  ASSERT_TRUE(again) << again.error().text << "\n" << shown;
  EXPECT_EQ(*again, *tree) << shown;
}

}  // namespace
}  // namespace tocsin::agent
