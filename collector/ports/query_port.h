#pragma once
// Question answered here: how does `net` read the store without waiting for it?

#include "collector/ports/store.h"

#include <functional>

namespace tocsin::collector {

/// Any thread.
class QueryPort {
 public:
  using Job = std::function<void(StoreReader&)>;

  virtual ~QueryPort() = default;

  /// Runs `job` on the thread `query`; it must say its answer by a post of its own. False when full
  /// or when there is nothing to read from: `job` is unchanged.
  [[nodiscard]] virtual bool try_read(Job&& job) = 0;
};

}  // namespace tocsin::collector
