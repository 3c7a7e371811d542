#pragma once
// Question answered here: does an observation satisfy its spec, and if not, what was expected and
// what was seen?
//
// Pure and deterministic. Compile once per spec, judge every attempt.
//
// Rules, in order:
//  1. A failure of the probe is the finding: down when the reason blames the target, no_data when
//  it
//     blames ourselves or our policy.
//  2. All assertions must hold; the first that does not is the finding, down.
//     None given: HTTP needs status in 200..299, TCP needs nothing more. DNS needs the rcode that
//     its target names (else dns.nxdomain and its like) and with NOERROR an answer of the asked
//     type (else dns.nodata) whatever is given, unless it is about the rcode or the count itself.
//  3. The first `degraded` condition that holds makes the finding degraded.
//  4. Otherwise up.
// What was not observed never satisfies anything: a body that was cut fails every assertion that
// the missing part could decide, a JSON path that leads nowhere fails everything but `not exists`,
// a connection without a certificate fails `certificate expires in`. A header that is not there
// satisfies only the negations.

#include "common/base/expected.h"
#include "common/base/time.h"
#include "common/model/check_result.h"
#include "common/model/monitor_spec.h"
#include "common/model/observation.h"

#include <memory>

namespace tocsin::assertion {

class Evaluator {
 public:
  /// Refuses (kInvalid, kUnsupported) what it cannot evaluate; never skips a condition.
  static Expected<Evaluator> compile(const ProbeSpec& spec);

  /// `now` is when the attempt ended; certificates are judged by it. Thread-safe.
  Finding judge(const Observation& observation, WallTime now) const;

 private:
  struct Program;
  explicit Evaluator(std::shared_ptr<const Program> program);

  /// Shared by copies: compiled regular expressions are costly and never change.
  std::shared_ptr<const Program> program_;
};

/// Whether a condition of the spec looks at the body, so that the probe keeps 1 MiB instead of
/// 64 KiB of it.
bool looks_at_body(const ProbeSpec& spec);

}  // namespace tocsin::assertion
