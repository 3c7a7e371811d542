// Question answered here: how is a secret that monitors name set, without ever being read back?
//
// A value comes in and is sealed at once; what is kept, committed, listed and audited is the box.

#include "collector/api/answers.h"
#include "collector/api/api.h"
#include "common/base/strings.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

namespace tocsin::collector {

using codec::HttpMethod;
using codec::MapReader;
using codec::Node;
using io::HttpResponse;

namespace {

/// Names that monitors give, each with the keys of those monitors in order.
std::map<std::string, Node> wanted_by(const EngineView& view) {
  std::map<std::string, Node> out;
  for (const auto& [key, entry] : view.catalog->monitors) {
    for (const std::string& name : stored_secrets(entry.spec.probe.target)) {
      out.try_emplace(name, Node::list()).first->second.items.push_back(Node::string(key));
    }
  }
  return out;
}

const SecretRow* find_secret(const EngineView& view, const std::string& name) {
  const auto& rows = *view.secrets;
  const auto at = std::find_if(rows.begin(), rows.end(),
                               [&](const SecretRow& row) { return row.name == name; });
  return at == rows.end() ? nullptr : &*at;
}

/// `row` null: monitors name it, and it was never set.
Node secret_node(const std::string& name, const SecretRow* row, Node monitors,
                 const io::SecretBox& box) {
  const char* state = row == nullptr ? "missing" : box.open(name, row->sealed) ? "set" : "unusable";
  return Node::map(
      {{"key", Node::string(name)},
       {"state", Node::string(state)},
       {"rev", row == nullptr ? Node{} : Node::integer(static_cast<std::int64_t>(row->rev))},
       {"changed_at", row == nullptr ? Node{} : time_node(row->changed)},
       {"changed_by", row == nullptr ? Node{} : Node::string(row->changed_by)},
       {"monitors", std::move(monitors)}});
}

Node monitors_of(const EngineView& view, const std::string& name) {
  std::map<std::string, Node> wanted = wanted_by(view);
  const auto at = wanted.find(name);
  return at == wanted.end() ? Node::list() : std::move(at->second);
}

HttpResponse no_secret(const std::string& name) {
  return problem(404, fmt::format("there is no secret '{}'", printable(name, 63)));
}

/// The value without a line break at its end, which editors and `echo` leave there.
io::Secret read_value(MapReader& reader) {
  std::string value;
  reader.text("value", value);
  while (!value.empty() && (value.back() == '\n' || value.back() == '\r')) value.pop_back();
  if (value.size() < kSecretBytesMin || value.size() > kSecretBytesMax ||
      value.find('\0') != std::string::npos || !is_valid_utf8(value)) {
    reader.error("value", fmt::format("expected {} to {} bytes of UTF-8 without NUL",
                                      kSecretBytesMin, kSecretBytesMax));
  }
  return io::Secret{std::move(value)};
}

}  // namespace

void Api::add_secrets(Router& router) {
  const auto shown = [this](int status, const std::string& name) -> Ok {
    return [this, status, name](const Reply&, const EngineView& view) {
      const SecretRow* row = find_secret(view, name);
      if (row == nullptr) return no_secret(name);
      HttpResponse response = object_answer(
          status, secret_node(name, row, monitors_of(view, name), ports_.box), row->rev);
      if (status == 201) {
        response.headers.push_back({"Location", "/api/v1/secrets/" + name});
      }
      return response;
    };
  };
  add(router, HttpMethod::kGet, "/api/v1/secrets", Action::kRead, "secrets",
      [this](const Call& call) {
        std::map<std::string, Node> wanted = wanted_by(*call.view);
        for (const SecretRow& row : *call.view->secrets) wanted.try_emplace(row.name, Node::list());
        std::vector<Node> items;
        for (auto& [name, monitors] : wanted) {
          items.push_back(
              secret_node(name, find_secret(*call.view, name), std::move(monitors), ports_.box));
        }
        call.answer(json_answer(200, list_node(std::move(items), {})));
      });
  add(router, HttpMethod::kGet, "/api/v1/secrets/{key}", Action::kRead, "secrets",
      [shown](const Call& call) { call.answer(shown(200, call.value("key"))({}, *call.view)); });
  add(router, HttpMethod::kPut, "/api/v1/secrets/{key}", Action::kWrite, "secrets",
      [this, shown](const Call& call) {
        const std::string& name = call.value("key");
        const auto rev = if_match(call.request);
        if (!rev) return call.answer(problem(400, rev.error().text));
        const auto body = read_body(call.request);
        if (!body) return call.answer(body_problem(body.error()));
        std::vector<FieldError> errors;
        if (!is_key(name)) {
          errors.push_back({"key", "expected [a-z0-9-], 1 to 63 characters"});
        }
        MapReader reader{*body, "", errors};
        const io::Secret value = read_value(reader);
        reader.finish();
        if (!errors.empty()) return call.answer(field_problem(errors));
        const int status = find_secret(*call.view, name) == nullptr ? 201 : 200;
        command(call, PutSecret{name, ports_.box.seal(name, value), *rev, call.principal.actor},
                shown(status, name));
      });
  add(router, HttpMethod::kDelete, "/api/v1/secrets/{key}", Action::kWrite, "secrets",
      [this](const Call& call) {
        const auto rev = if_match(call.request);
        if (!rev) return call.answer(problem(400, rev.error().text));
        command(call, DeleteSecret{call.value("key"), *rev, call.principal.actor},
                [](const Reply&, const EngineView&) { return no_content(); });
      });
}

}  // namespace tocsin::collector
