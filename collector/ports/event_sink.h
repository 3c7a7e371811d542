#pragma once
// Question answered here: how do the other threads speak with the engine?
//
// Two narrow doors: events and commands go in through EventSink, what must happen on the link comes
// out through LinkSink. Both are bounded, and full is said to the caller, who keeps its value.

#include "collector/core/engine.h"

#include <functional>
#include <variant>
#include <vector>

namespace tocsin::collector {

struct EngineInput {
  Event event;
  /// For commands: called once, on the engine's thread, after the commit. Must not block.
  std::function<void(Reply)> answer;
};

/// Into the engine; any thread.
class EventSink {
 public:
  virtual ~EventSink() = default;

  /// False when full or stopping: `input` is unchanged. Slow down and try again.
  [[nodiscard]] virtual bool push(EngineInput&& input) = 0;
};

/// Every session is over: the engine was restored and knows none of them.
struct SessionsForgotten {};

using LinkOrder = std::variant<Effect, SessionsForgotten>;

/// Out to the agents; from the engine's thread, in order, only after the commit.
class LinkSink {
 public:
  virtual ~LinkSink() = default;

  /// False when full: `orders` is unchanged.
  [[nodiscard]] virtual bool push(std::vector<LinkOrder>&& orders) = 0;
};

}  // namespace tocsin::collector
