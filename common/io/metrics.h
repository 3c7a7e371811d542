#pragma once
// Question answered here: which numbers does this process publish about itself?
//
// A registry of counters, gauges and histograms, written in the Prometheus text format 0.0.4. A
// thin front of prometheus-cpp's core. Handles are small values that stay good as long as their
// registry; they may be used from any thread. Asking again for the same name and labels gives the
// same series.

#include "common/base/latencies.h"

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::io {

using Labels = std::map<std::string, std::string>;

class Counter {
 public:
  void add(double by = 1);

  /// For totals that are counted elsewhere: raises the counter to `total`; less than it has is
  /// ignored.
  void raise_to(double total);

  double value() const;

 private:
  friend class Metrics;

  explicit Counter(void* impl)
      : impl_(impl) {}

  void* impl_;
};

class Gauge {
 public:
  void set(double value);
  double value() const;

 private:
  friend class Metrics;

  explicit Gauge(void* impl)
      : impl_(impl) {}

  void* impl_;
};

class Histogram {
 public:
  void observe(double value);

  /// For what is counted elsewhere: raises every bucket to `total`. Made by Metrics::latencies.
  void raise_to(const Latencies& total);

 private:
  friend class Metrics;

  explicit Histogram(void* impl)
      : impl_(impl) {}

  void* impl_;
};

class Metrics {
 public:
  /// Series in all. Beyond it new ones share one hidden series and
  /// tocsin_metrics_series_refused_total counts them: labels must never come from strangers.
  static constexpr std::size_t kSeriesMax = 10'000;
  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  /// Names are tocsin_* in snake case with the unit last (_seconds, _bytes); counters end in
  /// _total. A name keeps its type and help.
  Counter counter(std::string_view name, std::string_view help, const Labels& labels = {});
  Gauge gauge(std::string_view name, std::string_view help, const Labels& labels = {});
  /// `bounds` are upper ends in rising order, without infinity.
  Histogram histogram(std::string_view name, std::string_view help,
                      const std::vector<double>& bounds, const Labels& labels = {});
  /// With the bounds of Latencies, in seconds.
  Histogram latencies(std::string_view name, std::string_view help, const Labels& labels = {});

  std::string text() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tocsin::io
