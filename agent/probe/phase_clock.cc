#include "agent/probe/phase_clock.h"

#include <algorithm>

namespace tocsin::agent {

namespace {

std::uint32_t& slot(Phases& phases, Phase phase) {
  switch (phase) {
    case Phase::kDns:
      return phases.dns_us;
    case Phase::kConnect:
      return phases.connect_us;
    case Phase::kTls:
      return phases.tls_us;
    case Phase::kSend:
      return phases.send_us;
    case Phase::kWait:
      return phases.wait_us;
    case Phase::kReceive:
      return phases.receive_us;
  }
  return phases.receive_us;
}

}  // namespace

const char* to_string(Phase phase) {
  switch (phase) {
    case Phase::kDns:
      return "dns";
    case Phase::kConnect:
      return "connect";
    case Phase::kTls:
      return "tls";
    case Phase::kSend:
      return "send";
    case Phase::kWait:
      return "wait";
    case Phase::kReceive:
      return "receive";
  }
  return "?";
}

void PhaseClock::enter(Phase next, MonoTime now) {
  const std::int64_t passed = std::clamp<std::int64_t>((now - since_).count(), 0, 0x7fff'ffff);
  slot(phases_, phase_) += static_cast<std::uint32_t>(passed);
  phases_.total_us += static_cast<std::uint32_t>(passed);
  phase_ = next;
  since_ = now;
}

Phases PhaseClock::so_far(MonoTime now) {
  enter(phase_, now);
  return phases_;
}

Phases between(const Phases& earlier, const Phases& later) {
  return {later.dns_us - earlier.dns_us,    later.connect_us - earlier.connect_us,
          later.tls_us - earlier.tls_us,    later.send_us - earlier.send_us,
          later.wait_us - earlier.wait_us,  later.receive_us - earlier.receive_us,
          later.total_us - earlier.total_us};
}

Phases PhaseClock::finish(MonoTime now) {
  enter(phase_, now);
  return phases_;
}

}  // namespace tocsin::agent
