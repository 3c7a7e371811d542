#include "common/io/signals.h"

#include "common/base/check.h"

#include <unistd.h>

#include <sys/signalfd.h>

namespace tocsin::io {

// sigemptyset and sigprocmask fill the sets.
// NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init)
Signals::Signals(EventLoop& loop, std::initializer_list<int> signals,
                 std::function<void(int)> on_signal)
    : on_signal_(std::move(on_signal)) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  CHECK(pthread_sigmask(SIG_BLOCK, &set, &before_) == 0);
  fd_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  CHECK(fd_);
  watch_ = loop.watch(fd_.get(), Interest::kRead, [this](Interest) {
    signalfd_siginfo info{};
    if (::read(fd_.get(), &info, sizeof info) != sizeof info) return;
    on_signal_(static_cast<int>(info.ssi_signo));
  });
}

Signals::~Signals() {
  watch_.reset();
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void ignore_sigpipe() { std::signal(SIGPIPE, SIG_IGN); }

}  // namespace tocsin::io
