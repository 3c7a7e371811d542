#pragma once
// Question answered here: what is the same in every attempt, whatever it speaks?
//
// One deadline for the whole attempt, one clock of phases, one observation, and the promise that
// the callback runs at most once and never inside start().

#include "agent/ports/probe_runner.h"
#include "agent/probe/connection.h"
#include "agent/probe/phase_clock.h"
#include "agent/probe/probe_context.h"
#include "agent/probe/probe_wishes.h"
#include "common/model/observation.h"

#include <memory>
#include <optional>

namespace tocsin::agent {

/// One thread: the loop's.
class Probe : public ProbeHandle {
 public:
  static constexpr std::size_t kDetailMax = 250;  ///< Failure promises 256; an ellipsis may follow.

  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;
  ~Probe() override;

  /// Before start().
  void set_wishes(ProbeWishes wishes) {
    wishes_ = std::make_unique<const ProbeWishes>(std::move(wishes));
  }

  /// Once. `done` runs later, never in here.
  void start(ProbeRunner::Done done);

 protected:
  Probe(ProbeContext& context, std::shared_ptr<const ProbeSpec> spec, Duration timeout);

  /// Begins the work; may call finish().
  virtual void begin() = 0;

  /// What it means that time has run out now.
  virtual Failure timed_out() const = 0;

  /// Closes what is open. Facts known so far are put into seen() here.
  virtual void stop() = 0;

  /// What it has open now, for the evidence; null: nothing.
  virtual const Connection* connection() const { return nullptr; }

  /// Can a condition of the monitor make a failure of what passes here?
  bool has_conditions() const;

  /// Takes down what the kernel knows of it; finish() does so of what is still open then.
  void note_tcp(const Connection& connection);

  /// Reports and ends the attempt; the last thing a caller does, because this object may be gone
  /// when it returns. Nothing: the protocol ran to its end.
  void finish(std::optional<Failure> failure);

  ProbeContext& context() { return context_; }

  const ProbeContext& context() const { return context_; }

  const ProbeSpec& spec() const { return *spec_; }

  /// Those of a monitor's attempt are none.
  const ProbeWishes& wishes() const;

  MonoTime deadline() const { return deadline_; }

  PhaseClock& phases() { return phases_; }

  const PhaseClock& phases() const { return phases_; }

  Observation& seen() { return seen_; }

  const Observation& seen() const { return seen_; }

 private:
  void deliver();

  ProbeContext& context_;
  std::shared_ptr<const ProbeSpec> spec_;
  std::unique_ptr<const ProbeWishes> wishes_;  ///< Null: none.
  MonoTime deadline_;
  PhaseClock phases_;
  Observation seen_;
  ProbeRunner::Done done_;
  io::TimerHandle timer_;
  bool starting_ = false;
  bool finished_ = false;
};

}  // namespace tocsin::agent
