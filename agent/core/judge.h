#pragma once
// Question answered here: what evidence of an attempt is kept?
//
// The verdict on one attempt is the evaluator's (common/assert); here it becomes an Attempt:
// phases, facts in short form and, after a failure, an excerpt of head and body with secrets struck
// out.

#include "common/base/time.h"
#include "common/model/check_result.h"
#include "common/model/monitor_spec.h"
#include "common/model/observation.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tocsin::agent {

inline constexpr std::size_t kExcerptMax = 4096;

/// Header fields whose values never leave the agent.
bool is_secret_header(std::string_view name);

/// What the spec itself says that nobody else may read: the values of secret header fields, and the
/// credentials in them as the server may repeat them.
std::vector<std::string> secrets_of(const ProbeSpec& spec);

/// `with_evidence`: the first failed attempt of a check keeps an excerpt and what TLS showed, the
/// others do not. No secret of `spec` is left in what comes out.
Attempt make_attempt(const ProbeSpec& spec, const Observation& observation, Finding finding,
                     Duration start_offset, bool with_evidence);

}  // namespace tocsin::agent
