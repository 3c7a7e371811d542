#include "agent/probe/probe.h"

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/strings.h"
#include "common/io/tcp_facts.h"

namespace tocsin::agent {

Probe::Probe(ProbeContext& context, std::shared_ptr<const ProbeSpec> spec, Duration timeout)
    : context_(context),
      spec_(std::move(spec)),
      deadline_(context.loop().now().mono + timeout),
      phases_(Phase::kDns, latency_clock()) {}

Probe::~Probe() = default;

const ProbeWishes& Probe::wishes() const {
  static const ProbeWishes none;
  return wishes_ ? *wishes_ : none;
}

void Probe::start(ProbeRunner::Done done) {
  CHECK(!done_ && done);
  done_ = std::move(done);
  timer_ = context_.loop().at(deadline_, [this] { finish(timed_out()); });
  starting_ = true;
  begin();
  starting_ = false;
}

void Probe::finish(std::optional<Failure> failure) {
  CHECK(!finished_);
  finished_ = true;
  seen_.phases = phases_.finish(latency_clock());
  if (failure) failure->detail = printable(failure->detail, kDetailMax);
  seen_.failure = std::move(failure);
  const Connection* open = connection();
  if (open != nullptr && (seen_.failure || has_conditions())) note_tcp(*open);
  timer_.reset();
  stop();
  if (starting_) {
    timer_ = context_.loop().after(Duration{0}, [this] { deliver(); });
    return;
  }
  deliver();
}

bool Probe::has_conditions() const {
  return !spec_->assertions.all.empty() || !spec_->degraded.empty();
}

void Probe::note_tcp(const Connection& connection) { seen_.tcp = io::tcp_facts(connection.fd()); }

void Probe::deliver() {
  const ProbeRunner::Done done = std::move(done_);
  Observation seen = std::move(seen_);
  done(std::move(seen));  // May destroy this object.
}

}  // namespace tocsin::agent
