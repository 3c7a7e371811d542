#include "agent/compat/prometheus_text.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>

namespace tocsin::agent {

namespace {

std::string escaped(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

std::string go_number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  if (value == 0) return "0";
  std::array<char, 64> text{};
  const auto shortest =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::scientific);
  const std::string_view scientific{text.data(),
                                    static_cast<std::size_t>(shortest.ptr - text.data())};
  const int exponent = std::atoi(std::string{scientific.substr(scientific.find('e') + 1)}.c_str());
  // Where Go's 'g' with the shortest precision goes over to an exponent.
  constexpr int kSmallest = -4;
  constexpr int kLargest = 6;
  if (exponent < kSmallest || exponent >= kLargest) return std::string{scientific};
  const auto fixed =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  return {text.data(), static_cast<std::size_t>(fixed.ptr - text.data())};
}

void MetricSheet::gauge(std::string_view name, std::string_view help, double value,
                        const Labels& labels) {
  set("gauge", name, help, value, labels);
}

void MetricSheet::counter(std::string_view name, std::string_view help, double value,
                          const Labels& labels) {
  set("counter", name, help, value, labels);
}

void MetricSheet::set(std::string_view type, std::string_view name, std::string_view help,
                      double value, const Labels& labels) {
  auto family = families_.find(name);
  if (family == families_.end()) {
    family = families_.emplace(std::string{name}, Family{type, std::string{help}, {}}).first;
  }
  std::string key;
  for (const auto& [label, text] : labels) {
    key += key.empty() ? '{' : ',';
    key.append(label).append("=\"").append(escaped(text)).append("\"");
  }
  if (!key.empty()) key += '}';
  family->second.series.insert_or_assign(std::move(key), value);
}

std::string MetricSheet::text() const {
  std::string out;
  for (const auto& [name, family] : families_) {
    out.append("# HELP ").append(name).append(" ").append(family.help).append("\n");
    out.append("# TYPE ").append(name).append(" ").append(family.type).append("\n");
    for (const auto& [labels, value] : family.series) {
      out.append(name).append(labels).append(" ").append(go_number(value)).append("\n");
    }
  }
  return out;
}

}  // namespace tocsin::agent
