#include "common/io/metrics.h"

#include "common/base/check.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <set>
#include <sstream>

namespace tocsin::io {

namespace {

bool is_name(std::string_view name) {
  return name.starts_with("tocsin_") &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos;
}

}  // namespace

void Counter::add(double by) { static_cast<prometheus::Counter*>(impl_)->Increment(by); }

void Counter::raise_to(double total) {
  const double by = total - value();
  if (by > 0) add(by);
}

double Counter::value() const { return static_cast<prometheus::Counter*>(impl_)->Value(); }

void Gauge::set(double value) { static_cast<prometheus::Gauge*>(impl_)->Set(value); }

double Gauge::value() const { return static_cast<prometheus::Gauge*>(impl_)->Value(); }

void Histogram::observe(double value) {
  static_cast<prometheus::Histogram*>(impl_)->Observe(value);
}

void Histogram::raise_to(const Latencies& total) {
  auto* histogram = static_cast<prometheus::Histogram*>(impl_);
  const auto now = histogram->Collect().histogram;
  if (now.bucket.size() != total.counts.size()) return;  // The hidden one.
  std::vector<double> more(total.counts.size());
  std::uint64_t upto = 0;
  std::uint64_t before = 0;
  bool any = false;
  for (std::size_t i = 0; i < more.size(); ++i) {
    upto = now.bucket[i].cumulative_count - before;
    before = now.bucket[i].cumulative_count;
    if (total.counts[i] <= upto) continue;
    more[i] = static_cast<double>(total.counts[i] - upto);
    any = true;
  }
  if (!any) return;
  const double sum = std::chrono::duration<double>(total.sum).count();
  histogram->ObserveMultiple(more, std::max(0.0, sum - now.sample_sum));
}

struct Metrics::Impl {
  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& refused_family =
      prometheus::BuildCounter()
          .Name("tocsin_metrics_series_refused_total")
          .Help("Series that were not made because there are too many")
          .Register(registry);
  prometheus::Counter& refused = refused_family.Add({});
  prometheus::Counter hidden_counter;
  prometheus::Gauge hidden_gauge;
  prometheus::Histogram hidden_histogram{prometheus::Histogram::BucketBoundaries{}};
  std::set<std::pair<std::string, Labels>> series;

  /// True when the series exists or may be made.
  bool admit(std::string_view name, const Labels& labels) {
    CHECK(is_name(name));
    std::pair<std::string, Labels> key(name, labels);
    if (series.contains(key)) return true;
    if (series.size() >= kSeriesMax) {
      refused.Increment();
      return false;
    }
    series.insert(std::move(key));
    return true;
  }
};

Metrics::Metrics()
    : impl_(std::make_unique<Impl>()) {}

Metrics::~Metrics() = default;

Counter Metrics::counter(std::string_view name, std::string_view help, const Labels& labels) {
  if (!impl_->admit(name, labels)) return Counter(&impl_->hidden_counter);
  return Counter(&prometheus::BuildCounter()
                      .Name(std::string(name))
                      .Help(std::string(help))
                      .Register(impl_->registry)
                      .Add(labels));
}

Gauge Metrics::gauge(std::string_view name, std::string_view help, const Labels& labels) {
  if (!impl_->admit(name, labels)) return Gauge(&impl_->hidden_gauge);
  return Gauge(&prometheus::BuildGauge()
                    .Name(std::string(name))
                    .Help(std::string(help))
                    .Register(impl_->registry)
                    .Add(labels));
}

Histogram Metrics::histogram(std::string_view name, std::string_view help,
                             const std::vector<double>& bounds, const Labels& labels) {
  if (!impl_->admit(name, labels)) return Histogram(&impl_->hidden_histogram);
  return Histogram(&prometheus::BuildHistogram()
                        .Name(std::string(name))
                        .Help(std::string(help))
                        .Register(impl_->registry)
                        .Add(labels, bounds));
}

Histogram Metrics::latencies(std::string_view name, std::string_view help, const Labels& labels) {
  static const std::vector<double> bounds = [] {
    std::vector<double> out;
    for (const Duration d : Latencies::kBounds) {
      out.push_back(std::chrono::duration<double>(d).count());
    }
    return out;
  }();
  return histogram(name, help, bounds, labels);
}

std::string Metrics::text() const {
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, impl_->registry.Collect());
  return std::move(out).str();
}

}  // namespace tocsin::io
