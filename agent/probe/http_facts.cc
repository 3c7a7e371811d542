#include "agent/probe/http_facts.h"

#include "common/base/strings.h"
#include "common/codec/content_coding.h"

#include <algorithm>

namespace tocsin::agent {

HttpFacts http_facts(http1::Response response) {
  HttpFacts out;
  out.status = response.status;
  out.version = std::move(response.version);
  out.headers = std::move(response.headers);
  out.body = std::move(response.body);
  out.body_bytes = response.body_bytes;
  out.body_cut = response.body_cut;
  return out;
}

std::optional<Failure> decode_body(HttpFacts& facts, bool asserted, std::size_t most) {
  if (!asserted || facts.body.empty()) return std::nullopt;
  std::string codings;  // A header that comes more than once is one list (RFC 9110 section 5.3).
  for (const Header& h : facts.headers) {
    if (h.name == "content-encoding") codings += (codings.empty() ? "" : ", ") + h.value;
  }
  if (codings.empty() || iequals(codings, "identity")) return std::nullopt;
  auto decoded = codec::decode_content(facts.body, codings, {.most = most, .cut = facts.body_cut});
  if (!decoded) {
    const bool bomb = decoded.error().kind == codec::DecodeError::Kind::kBomb;
    return Failure{bomb ? Reason::kHttpDecodedTooLarge : Reason::kHttpBadEncoding,
                   std::move(decoded).error().text};
  }
  facts.body = std::move(decoded->body);
  facts.body_cut = decoded->cut;
  facts.decoded = printable(codings, 60);
  return std::nullopt;
}

}  // namespace tocsin::agent
