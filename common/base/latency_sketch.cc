#include "common/base/latency_sketch.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>

namespace tocsin {

namespace {

constexpr double kGamma = (1 + LatencySketch::kError) / (1 - LatencySketch::kError);

/// Bucket 0 is zero itself; bucket n + 1 is (gamma^(n-1), gamma^n].
std::uint16_t bucket_of(std::uint32_t us) {
  static const double log_gamma = std::log(kGamma);
  if (us == 0) return 0;
  return static_cast<std::uint16_t>(1 + std::ceil(std::log(static_cast<double>(us)) / log_gamma));
}

/// As far from the lower end of the bucket as from the upper one, relatively.
std::uint32_t middle_of(std::uint16_t bucket) {
  if (bucket == 0) return 0;
  const double middle = 2 * std::pow(kGamma, bucket - 1) / (kGamma + 1);
  return static_cast<std::uint32_t>(std::min<double>(std::round(middle), UINT32_MAX));
}

/// LEB128.
void put_number(Bytes& out, std::uint64_t n) {
  for (; n >= 0x80; n >>= 7) out += static_cast<char>(n | 0x80);
  out += static_cast<char>(n);
}

/// Nothing when it does not end within 64 bits.
std::optional<std::uint64_t> get_number(ByteReader& in) {
  std::uint64_t out = 0;
  for (unsigned shift = 0; shift < 63; shift += 7) {
    const std::uint8_t byte = in.u8();
    if (!in.ok()) return std::nullopt;
    out |= std::uint64_t{byte & 0x7fU} << shift;
    if ((byte & 0x80) == 0) return out;
  }
  return std::nullopt;
}

}  // namespace

void LatencySketch::add(std::uint32_t us) {
  const std::uint16_t number = bucket_of(us);
  const auto at = std::lower_bound(buckets_.begin(), buckets_.end(), Bucket{number, 0});
  if (at != buckets_.end() && at->first == number) {
    ++at->second;
  } else {
    buckets_.insert(at, {number, 1});
  }
}

LatencySketch& LatencySketch::operator+=(const LatencySketch& other) {
  std::vector<Bucket> all;
  all.reserve(buckets_.size() + other.buckets_.size());
  std::merge(buckets_.begin(), buckets_.end(), other.buckets_.begin(), other.buckets_.end(),
             std::back_inserter(all));
  buckets_.clear();
  for (const Bucket& bucket : all) {
    if (!buckets_.empty() && buckets_.back().first == bucket.first) {
      buckets_.back().second += bucket.second;
    } else {
      buckets_.push_back(bucket);
    }
  }
  return *this;
}

std::uint64_t LatencySketch::count() const {
  std::uint64_t out = 0;
  for (const Bucket& bucket : buckets_) out += bucket.second;
  return out;
}

std::uint32_t LatencySketch::quantile(double share) const {
  if (buckets_.empty()) return 0;
  const double wanted = std::ceil(share * static_cast<double>(count()));
  std::uint64_t seen = 0;
  for (const Bucket& bucket : buckets_) {
    seen += bucket.second;
    if (static_cast<double>(seen) >= wanted) return middle_of(bucket.first);
  }
  return middle_of(buckets_.back().first);
}

void LatencySketch::encode(Bytes& out) const {
  put_number(out, buckets_.size());
  std::uint64_t last = 0;
  for (const auto& [number, count] : buckets_) {
    put_number(out, number - last);
    put_number(out, count);
    last = number;
  }
}

Expected<LatencySketch> LatencySketch::decode(ByteReader& in) {
  const auto corrupt = [] { return fail(Errc::kCorrupt, "these bytes are not a latency sketch"); };
  const auto size = get_number(in);
  if (!size || *size > kBucketsMax) return corrupt();
  LatencySketch out;
  out.buckets_.reserve(*size);
  std::uint64_t number = 0;
  for (std::uint64_t i = 0; i < *size; ++i) {
    const auto step = get_number(in);
    const auto count = get_number(in);
    if (!step || !count || *count == 0 || (*step == 0 && i > 0) || *step >= kBucketsMax) {
      return corrupt();
    }
    number += *step;
    if (number >= kBucketsMax) return corrupt();
    out.buckets_.emplace_back(static_cast<std::uint16_t>(number), *count);
  }
  return out;
}

}  // namespace tocsin
