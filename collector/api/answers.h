#pragma once
// Question answered here: in which form does the API say yes and no?

#include "collector/core/engine.h"
#include "common/codec/http_request.h"
#include "common/codec/node.h"
#include "common/codec/query_string.h"
#include "common/io/http_server.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::collector {

/// RFC 9457, with the errors of fields.
io::HttpResponse problem(int status, std::string_view detail,
                         const std::vector<FieldError>& fields = {});

/// The status that goes with an error of the engine or the store.
int status_of(Errc code);

/// What a command that failed is answered with; nothing when it did not fail. `creating`: somebody
/// else's object of that name is a conflict, not a stale ETag. `strip` is taken from the front of
/// paths ("monitors[shop].").
std::optional<io::HttpResponse> refusal(const Reply& reply, bool creating,
                                        std::string_view strip = {});

io::HttpResponse json_answer(int status, const codec::Node& node);
/// With its ETag.
io::HttpResponse object_answer(int status, const codec::Node& node, std::uint64_t rev);

/// Whom limits of strangers count: an IPv4 address or an IPv6 /64. A proxy in front that is not
/// trusted (HttpServerOptions::trusted_proxies) is one address.
std::string client_key(const codec::HttpRequest& request);

/// The body as JSON; kUnsupported for another content type, kInvalid for what is not JSON.
Expected<codec::Node> read_body(const codec::HttpRequest& request);
/// What its error is answered with: 415 or 400.
io::HttpResponse body_problem(const Error& error);
/// 422 with all of them; at least one.
io::HttpResponse field_problem(const std::vector<FieldError>& errors);
io::HttpResponse no_content();

/// RFC 7396: null takes a member away, a map is merged, anything else replaces.
void merge_patch(codec::Node& target, const codec::Node& patch);

/// The revision of If-Match; nothing when there is no such header, kInvalid when it is no ETag of
/// ours. "*" is nothing too: it only has to exist.
Expected<std::optional<std::uint64_t>> if_match(const codec::HttpRequest& request);

/// The Idempotency-Key of the request, bound to the principal and to what is asked.
Expected<std::optional<Once>> idempotency(const codec::HttpRequest& request,
                                          std::string_view actor);

/// The whole text as a decimal number.
std::optional<std::uint64_t> parse_number(std::string_view text);

struct Page {
  std::size_t limit = 50;
  std::string after;  ///< Of the cursor; empty: from the beginning.
};

/// `limit` and `cursor`, besides which only `known` may stand in the query.
Expected<Page> read_page_query(const codec::Fields& query,
                               std::vector<std::string_view> known = {});

/// {"items": [...], "next_cursor": "..." or null}
codec::Node list_node(std::vector<codec::Node> items, const std::string& next_after);

codec::Node time_node(WallTime t);
codec::Node time_node(const std::optional<WallTime>& t);

}  // namespace tocsin::collector
