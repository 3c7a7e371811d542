#pragma once
// Question answered here: how does a secret stay out of logs, diffs and core dumps?

#include <cstddef>
#include <string>
#include <utility>

namespace tocsin::io {

/// Holds a secret text. It has no comparison, no stream operator and no formatter: reading it takes
/// a visible `reveal()`, printing it gives three asterisks. The memory is wiped when it goes.
class Secret {
 public:
  Secret() = default;

  explicit Secret(std::string value)
      : value_(std::move(value)) {}

  Secret(const Secret&) = default;

  Secret& operator=(const Secret& other) {
    if (this != &other) {
      wipe();
      value_ = other.value_;
    }
    return *this;
  }

  Secret(Secret&& other) noexcept
      : value_(std::move(other.value_)) {
    other.wipe();  // A short string is copied by a move.
  }

  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      wipe();
      value_ = std::move(other.value_);
      other.wipe();
    }
    return *this;
  }

  ~Secret() { wipe(); }

  bool empty() const { return value_.empty(); }

  const std::string& reveal() const { return value_; }

 private:
  void wipe() {
    volatile char* bytes = value_.data();
    for (std::size_t i = 0; i < value_.size(); ++i) bytes[i] = 0;
    value_.clear();
  }

  std::string value_;
};

}  // namespace tocsin::io
