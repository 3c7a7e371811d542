#pragma once
// Question answered here: which signal came, told on the loop and not in a handler?

#include "common/io/event_loop.h"
#include "common/io/fd.h"

#include <csignal>
#include <functional>
#include <initializer_list>

namespace tocsin::io {

/// Takes the given signals off their default action and reports them on the loop. Make it before
/// any thread is started: threads inherit the mask, and one that does not block them would take
/// them away.
class Signals {
 public:
  Signals(EventLoop& loop, std::initializer_list<int> signals, std::function<void(int)> on_signal);
  /// Puts the mask back.
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  sigset_t before_;
  Fd fd_;
  std::function<void(int)> on_signal_;
  WatchHandle watch_;
};

/// A write to a connection whose peer is gone is then an error code and not the process's end.
void ignore_sigpipe();

}  // namespace tocsin::io
