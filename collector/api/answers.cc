#include "collector/api/answers.h"

#include "common/base/bytes.h"
#include "common/base/digest.h"
#include "common/base/ip_address.h"
#include "common/base/strings.h"
#include "common/codec/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace tocsin::collector {

using codec::Node;
using io::HttpResponse;

namespace {

/// Cursors are hexadecimal: they need no escaping in a URL.
bool from_hex(std::string_view text, std::string& out) {
  if (text.size() % 2 != 0) return false;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    int byte = 0;
    const auto [end, error] = std::from_chars(text.data() + i, text.data() + i + 2, byte, 16);
    if (error != std::errc{} || end != text.data() + i + 2) return false;
    out += static_cast<char>(byte);
  }
  return true;
}

}  // namespace

HttpResponse problem(int status, std::string_view detail, const std::vector<FieldError>& fields) {
  Node out = Node::map();
  out.set("type", Node::string("about:blank"));
  out.set("title", Node::string(io::http_phrase(status)));
  out.set("status", Node::integer(status));
  out.set("detail", Node::string(printable(detail, 1024)));
  if (!fields.empty()) {
    Node& list = out.set("errors", Node::list());
    for (const FieldError& field : fields) {
      list.items.push_back(Node::map({{"path", Node::string(printable(field.path, 256))},
                                      {"text", Node::string(printable(field.text, 1024))}}));
    }
  }
  HttpResponse response = HttpResponse::json(status, codec::print_json(out) + "\n");
  response.content_type = "application/problem+json";
  if (status == 503) response.headers.push_back({"Retry-After", "2"});
  if (status == 401) response.headers.push_back({"WWW-Authenticate", "Bearer"});
  return response;
}

int status_of(Errc code) {
  switch (code) {
    case Errc::kInvalid:
      return 422;
    case Errc::kNotFound:
      return 404;
    case Errc::kExists:
    case Errc::kLimit:
      return 409;
    case Errc::kDenied:
      return 403;
    case Errc::kUnsupported:
      return 415;
    case Errc::kIo:
    case Errc::kNoSpace:
    case Errc::kCorrupt:
    case Errc::kTimeout:
    case Errc::kUnavailable:
      return 503;
  }
  return 503;
}

std::optional<HttpResponse> refusal(const Reply& reply, bool creating, std::string_view strip) {
  if (!reply.error) return std::nullopt;
  std::vector<FieldError> fields = reply.fields;
  int status = status_of(reply.error->code);
  const auto begins = [&](std::string_view with) {
    return reply.error->text.starts_with(with) ||
           std::any_of(fields.begin(), fields.end(),
                       [&](const FieldError& f) { return f.text.starts_with(with); });
  };
  if (begins(kManagedByFile)) status = 409;
  if (begins(kChangedMeanwhile)) status = creating ? 409 : 412;
  for (FieldError& field : fields) {
    if (!strip.empty() && field.path.starts_with(strip)) field.path.erase(0, strip.size());
  }
  std::string detail = reply.error->text;
  if (!fields.empty()) detail = fmt::format("{}: {}", fields[0].path, fields[0].text);
  return problem(status, detail, fields);
}

HttpResponse json_answer(int status, const Node& node) {
  HttpResponse response = HttpResponse::json(status, codec::print_json(node) + "\n");
  response.headers.push_back({"Cache-Control", "no-store"});
  return response;
}

HttpResponse object_answer(int status, const Node& node, std::uint64_t rev) {
  HttpResponse response = json_answer(status, node);
  response.headers.push_back({"ETag", fmt::format("\"{}\"", rev)});
  return response;
}

std::string client_key(const codec::HttpRequest& request) {
  constexpr std::size_t kNetworkBytes = 8;
  const auto parsed = IpAddress::parse(request.peer);
  if (!parsed) return request.peer;
  const IpAddress address = parsed->unmapped();
  if (address.is_v4()) return address.str();
  return to_hex(as_bytes(address.bytes().substr(0, kNetworkBytes))) + "/64";
}

Expected<Node> read_body(const codec::HttpRequest& request) {
  const std::string_view type = request.header("content-type").value_or("application/json");
  if (to_lower(trim(type.substr(0, type.find(';')))) != "application/json") {
    return fail(Errc::kUnsupported, "expected Content-Type: application/json, not {}",
                printable(type, 80));
  }
  return codec::parse_json(request.body);
}

HttpResponse body_problem(const Error& error) {
  return problem(error.code == Errc::kUnsupported ? 415 : 400, error.text);
}

HttpResponse field_problem(const std::vector<FieldError>& errors) {
  return problem(422, fmt::format("{}: {}", errors[0].path, errors[0].text), errors);
}

HttpResponse no_content() {
  HttpResponse response;
  response.status = 204;
  return response;
}

void merge_patch(Node& target, const Node& patch) {
  if (patch.kind != Node::Kind::kMap) {
    target = patch;
    return;
  }
  if (target.kind != Node::Kind::kMap) target = Node::map();
  for (const auto& [name, value] : patch.entries) {
    const auto it = std::find_if(target.entries.begin(), target.entries.end(),
                                 [&](const Node::Entry& e) { return e.first == name; });
    if (value.kind == Node::Kind::kNull) {
      if (it != target.entries.end()) target.entries.erase(it);
    } else if (it != target.entries.end()) {
      merge_patch(it->second, value);
    } else {
      Node fresh;
      merge_patch(fresh, value);
      target.set(name, std::move(fresh));
    }
  }
}

Expected<std::optional<std::uint64_t>> if_match(const codec::HttpRequest& request) {
  const auto header = request.header("if-match");
  if (!header || *header == "*") return std::nullopt;
  std::string_view tag = *header;
  std::uint64_t rev = 0;
  if (tag.size() > 2 && tag.front() == '"' && tag.back() == '"') {
    tag = tag.substr(1, tag.size() - 2);
    const auto [end, error] = std::from_chars(tag.data(), tag.data() + tag.size(), rev);
    if (error == std::errc{} && end == tag.data() + tag.size()) return rev;
  }
  return fail(Errc::kInvalid, "If-Match: expected the ETag of an object, such as \"17\"");
}

Expected<std::optional<Once>> idempotency(const codec::HttpRequest& request,
                                          std::string_view actor) {
  const auto header = request.header("idempotency-key");
  if (!header) return std::nullopt;
  if (header->empty() || header->size() > 128 || printable(*header) != *header) {
    return fail(Errc::kInvalid, "Idempotency-Key: expected 1 to 128 printable characters");
  }
  const std::string what = fmt::format("{} {}?{}\n{}", codec::to_string(request.method),
                                       request.path, request.query, request.body);
  return Once{fmt::format("{} {}", actor, *header), to_hex(sha256(as_bytes(what)))};
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return n;
}

Expected<Page> read_page_query(const codec::Fields& query, std::vector<std::string_view> known) {
  known.push_back("limit");
  known.push_back("cursor");
  TRY(query.only(known));
  Page page;
  TRY_ASSIGN(page.limit, query.number("limit", 1, 500, 50));
  TRY_ASSIGN(const auto cursor, query.one("cursor"));
  if (cursor) {
    if (!from_hex(*cursor, page.after) || page.after.empty() || page.after.size() > 256) {
      return fail(Errc::kInvalid, "cursor: expected the next_cursor of an answer");
    }
  }
  return page;
}

Node list_node(std::vector<Node> items, const std::string& next_after) {
  return Node::map(
      {{"items", Node::list(std::move(items))},
       {"next_cursor", next_after.empty() ? Node{} : Node::string(to_hex(as_bytes(next_after)))}});
}

Node time_node(WallTime t) {
  return t == WallTime::never() ? Node{} : Node::string(format_rfc3339(t));
}

Node time_node(const std::optional<WallTime>& t) { return t ? time_node(*t) : Node{}; }

}  // namespace tocsin::collector
