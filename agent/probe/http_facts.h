#pragma once
// Question answered here: what does an observation say about a response?

#include "common/codec/http1.h"
#include "common/model/observation.h"

#include <optional>

namespace tocsin::agent {

HttpFacts http_facts(http1::Response response);

/// Takes the content codings off a body that a condition looks at (`asserted`); others stay as they
/// came, because nobody reads them. At most `most` bytes are kept. http.bad_encoding when the body
/// is not what its content-encoding says or the coding is unknown, http.decoded_too_large for a
/// bomb; the body is then as it came.
std::optional<Failure> decode_body(HttpFacts& facts, bool asserted, std::size_t most);

}  // namespace tocsin::agent
