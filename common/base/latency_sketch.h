#pragma once
// Question answered here: how are percentiles told of durations that are no longer there?
//
// DDSketch (Masson, Rim, Lee, PVLDB 12(12), 2019): counts in buckets whose bounds grow by a factor,
// so that an answer is within kError of a value that was added, however many there were. Merging
// loses nothing. A value; microseconds.

#include "common/base/bytes.h"
#include "common/base/expected.h"

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace tocsin {

class LatencySketch {
 public:
  static constexpr double kError = 0.01;
  /// More there cannot be: zero, and the logarithms of what fits 32 bits.
  static constexpr std::size_t kBucketsMax = 1111;

  void add(std::uint32_t us);
  LatencySketch& operator+=(const LatencySketch& other);

  bool empty() const { return buckets_.empty(); }

  std::uint64_t count() const;

  /// The value that at least that share of the values do not exceed, `share` in (0, 1]: within
  /// kError of it, then rounded to a microsecond. Zero without values.
  std::uint32_t quantile(double share) const;

  /// A byte per small number: some two bytes for each bucket in use.
  void encode(Bytes& out) const;

  /// kCorrupt for what encode() cannot have written.
  static Expected<LatencySketch> decode(ByteReader& in);

  friend bool operator==(const LatencySketch&, const LatencySketch&) = default;

 private:
  using Bucket = std::pair<std::uint16_t, std::uint64_t>;  ///< Its number and its count, not 0.

  std::vector<Bucket> buckets_;  ///< By number.
};

}  // namespace tocsin
