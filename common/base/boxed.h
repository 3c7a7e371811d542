#pragma once
// Question answered here: how does a value hold another that is large and mostly absent?

#include <memory>
#include <utility>

namespace tocsin {

/// An optional value that takes a pointer's room when it is absent. A value: copies copy what is
/// inside, equality compares it.
template <class T>
class Boxed {
 public:
  Boxed() = default;

  Boxed(T value)  // As an optional: what it holds converts to it.
      : value_(std::make_unique<T>(std::move(value))) {}

  Boxed(const Boxed& other)
      : value_(other.value_ ? std::make_unique<T>(*other.value_) : nullptr) {}

  Boxed(Boxed&&) noexcept = default;

  Boxed& operator=(const Boxed& other) {
    if (this != &other) value_ = other.value_ ? std::make_unique<T>(*other.value_) : nullptr;
    return *this;
  }

  Boxed& operator=(Boxed&&) noexcept = default;
  ~Boxed() = default;

  explicit operator bool() const { return value_ != nullptr; }

  bool has_value() const { return value_ != nullptr; }

  T& emplace() {
    value_ = std::make_unique<T>();
    return *value_;
  }

  void reset() { value_.reset(); }

  const T& operator*() const { return *value_; }

  T& operator*() { return *value_; }

  const T* operator->() const { return value_.get(); }

  T* operator->() { return value_.get(); }

  friend bool operator==(const Boxed& a, const Boxed& b) {
    return a.value_ && b.value_ ? *a.value_ == *b.value_ : !a.value_ == !b.value_;
  }

 private:
  std::unique_ptr<T> value_;
};

}  // namespace tocsin
