#pragma once
// Question answered here: how are a few gauges written as Prometheus reads them?
//
// The text format 0.0.4, families by name, numbers as Go's strconv writes them ('g', shortest), so
// that what blackbox_exporter's users compare with their eyes looks the same.

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tocsin::agent {

/// A value. Not for many series: io::Metrics is.
class MetricSheet {
 public:
  using Labels = std::vector<std::pair<std::string_view, std::string>>;

  /// Sets the series of these labels, whose names are in rising order. A family keeps its first
  /// help.
  void gauge(std::string_view name, std::string_view help, double value, const Labels& labels = {});
  void counter(std::string_view name, std::string_view help, double value,
               const Labels& labels = {});

  std::string text() const;

 private:
  struct Family {
    std::string_view type;
    std::string help;
    std::map<std::string, double> series;  ///< By `{label="value"}`; empty: without labels.
  };

  void set(std::string_view type, std::string_view name, std::string_view help, double value,
           const Labels& labels);

  std::map<std::string, Family, std::less<>> families_;
};

/// "337", "3.668918509e+09", "0.00042", "NaN".
std::string go_number(double value);

}  // namespace tocsin::agent
