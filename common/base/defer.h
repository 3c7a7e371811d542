#pragma once
// Question answered here: how is something done when the scope ends, whichever way it ends?

#include <utility>

namespace tocsin {

template <class F>
class Defer {
 public:
  explicit Defer(F f)
      : f_(std::move(f)) {}

  ~Defer() { f_(); }

  Defer(const Defer&) = delete;
  Defer& operator=(const Defer&) = delete;

 private:
  F f_;
};

}  // namespace tocsin
