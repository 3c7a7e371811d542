#pragma once
// Question answered here: what evidence of an attempt is kept?
//
// The verdict on one attempt is the evaluator's (common/assert); here it becomes an Attempt:
// phases, facts in short form and, after a failure, an excerpt of head and body with secrets struck
// out.

#include "common/base/time.h"
#include "common/model/check_result.h"
#include "common/model/observation.h"

#include <cstdint>

namespace tocsin::agent {

inline constexpr std::size_t kExcerptMax = 4096;

/// Header fields whose values never leave the agent.
bool is_secret_header(std::string_view name);

/// `with_excerpt`: the first failed attempt of a check keeps one, the others do not.
Attempt make_attempt(const Observation& observation, Finding finding, Duration start_offset,
                     bool with_excerpt);

}  // namespace tocsin::agent
