#pragma once
// Question answered here: how does the agent's core have an attempt made?

#include "common/model/monitor_spec.h"
#include "common/model/observation.h"

#include <functional>
#include <memory>

namespace tocsin::agent {

/// An attempt under way. Destroying it cancels: after the destructor returned, `done` will not run.
class ProbeHandle {
 public:
  virtual ~ProbeHandle() = default;
};

/// One thread: the loop's.
class ProbeRunner {
 public:
  using Done = std::function<void(Observation)>;

  virtual ~ProbeRunner() = default;

  /// Makes one attempt: fresh resolve, fresh connection. It ends within `timeout` whatever the
  /// target does; `done` runs at most once, never inside this call, and may destroy the handle.
  /// `spec` is shared with the assignment because a configuration change may replace it while
  /// attempts run.
  virtual std::unique_ptr<ProbeHandle> start(std::shared_ptr<const ProbeSpec> spec,
                                             Duration timeout, Done done) = 0;
};

}  // namespace tocsin::agent
