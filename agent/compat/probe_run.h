#pragma once
// Question answered here: how does one question of Prometheus become an attempt, and its
// observation an answer?
//
//   kIdle -> kLookingUp -> kProbing -> kDone
//
// As the exporter does: the target's name is looked up first, one address is chosen, and that one
// alone is tried. The attempt itself is the probe engine's (agent/probe), egress policy included.

#include "agent/compat/blackbox_modules.h"
#include "agent/compat/probe_report.h"
#include "agent/probe/probe_pool.h"
#include "common/io/event_loop.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::agent {

struct ProbeQuestion {
  std::shared_ptr<const BlackboxModule> module;  ///< Not an unsupported one.
  std::string target;
  std::string hostname;  ///< The parameter of that name; empty: none.
  Duration timeout{0};   ///< For everything, the lookup included.
};

struct ProbeAnswer {
  ProbeVerdict verdict;
  MetricSheet metrics;
  std::vector<std::string> log;  ///< What happened, one line each, for debug=true.
};

/// One thread: the loop's. Destroying it cancels.
class ProbeRun {
 public:
  using Done = std::function<void(ProbeAnswer)>;

  /// The pool is shared with the other runs that began before a reload.
  ProbeRun(io::EventLoop& loop, std::shared_ptr<ProbePool> pool, ProbeQuestion question, Done done);
  ProbeRun(const ProbeRun&) = delete;
  ProbeRun& operator=(const ProbeRun&) = delete;

  /// Once. `done` runs at most once, never in here, and must not destroy the pool.
  void start();

 private:
  void note(std::string_view level, std::string text);
  bool read_target();
  Expected<void> read_url();
  Expected<void> read_place();
  bool looks_up() const;
  void look_up();
  void on_looked_up(io::ResolveResult result);
  void use(const IpAddress& address);
  void probe();
  Expected<std::shared_ptr<const ProbeSpec>> make_spec() const;
  Expected<HttpTarget> make_http() const;
  Expected<ProbeWishes> make_wishes() const;
  Expected<std::string> read_ca() const;
  void on_observed(const Observation& seen);
  void note_observed(const Observation& seen);
  void end_early(Reason reason, std::string detail);
  void end(ProbeVerdict verdict, MetricSheet metrics);

  io::EventLoop& loop_;
  std::shared_ptr<ProbePool> pool_;
  const ProbeQuestion question_;
  const BlackboxModule& module_;
  Done done_;
  MonoTime began_{};     ///< By latency_clock().
  MonoTime deadline_{};  ///< By the loop's clock.
  std::string url_;      ///< Only http.
  std::string host_;
  std::uint16_t port_ = 0;
  bool looks_up_ = false;  ///< The lookup's figures are part of the answer.
  TargetLookup lookup_;
  std::vector<std::string> log_;
  io::TimerHandle timer_;
  std::unique_ptr<ProbeHandle> handle_;
};

/// What X-Prometheus-Scrape-Timeout-Seconds leaves for a probe: it less half a second, at most the
/// module's own timeout and kProbeTimeoutMax. Empty: 120. kInvalid when it is no number.
Expected<Duration> probe_timeout(std::string_view header, Duration module_timeout);

inline constexpr Duration kProbeTimeoutMax = std::chrono::seconds{120};

}  // namespace tocsin::agent
