// Question answered here: how are the objects of the catalogue listed, made, changed and deleted?

#include "collector/api/answers.h"
#include "collector/api/api.h"
#include "collector/api/json_views.h"
#include "collector/api/list_filter.h"
#include "collector/ports/catalog_node.h"
#include "common/base/strings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace tocsin::collector {

using codec::HttpMethod;
using codec::Node;
using io::HttpResponse;

namespace {

constexpr std::array kKinds = {ObjectKind::kRegion, ObjectKind::kMonitor, ObjectKind::kService,
                               ObjectKind::kPolicy, ObjectKind::kChannel, ObjectKind::kPage,
                               ObjectKind::kUser};

const char* key_field(ObjectKind kind) { return kind == ObjectKind::kPage ? "slug" : "key"; }

std::string path_of(ObjectKind kind, const std::string& key) {
  return fmt::format("/api/v1/{}/{}", collection_of(kind), key);
}

HttpResponse not_found(ObjectKind kind, const std::string& key) {
  return problem(404, fmt::format("there is no {} '{}'", to_string(kind), printable(key, 63)));
}

HttpResponse object_of(int status, const EngineView& view, ObjectKind kind,
                       const std::string& key) {
  auto node = object_node(view, kind, key);
  if (!node) return not_found(kind, key);
  const ObjectMeta* meta = view.catalog->find_meta(kind, key);
  HttpResponse response = object_answer(status, *node, meta == nullptr ? 0 : meta->rev);
  if (status == 201) response.headers.push_back({"Location", path_of(kind, key)});
  return response;
}

/// "monitors[shop].": what paths begin with when one object is read as the whole form.
std::string prefix_of(ObjectKind kind, std::string_view key) {
  return fmt::format("{}[{}].", collection_of(kind), key);
}

void strip_paths(std::vector<FieldError>& errors, const std::string& prefix) {
  for (FieldError& error : errors) {
    if (error.path.starts_with(prefix)) error.path.erase(0, prefix.size());
  }
}

HttpResponse changes_answer(const Reply& reply, bool dry_run) {
  Node changes = Node::list();
  for (const CatalogChange& change : reply.changes) changes.items.push_back(change_node(change));
  return json_answer(
      200, Node::map({{"dry_run", Node::boolean(dry_run)}, {"changes", std::move(changes)}}));
}

}  // namespace

void Api::add_catalog(Router& router) {
  for (const ObjectKind kind : kKinds) add_collection(router, kind);
  // What may be applied depends on what is in it.
  add(router, HttpMethod::kPost, "/api/v1/apply", Action::kRead, "monitors",
      [this](const Call& call) { apply(call); });
  add(router, HttpMethod::kGet, "/api/v1/export", Action::kRead, "monitors", [](const Call& call) {
    Catalog shown = *call.view->catalog;
    if (authorize(call.principal, Action::kRead, {"users", {}})) shown.users.clear();
    call.answer(json_answer(200, to_node(shown)));
  });
}

void Api::add_collection(Router& router, ObjectKind kind) {
  const std::string_view collection = collection_of(kind);
  const std::string all = fmt::format("/api/v1/{}", collection);
  const std::string one = all + "/{key}";

  add(router, HttpMethod::kGet, all, Action::kRead, collection, [kind](const Call& call) {
    const auto query = codec::parse_query(call.request.query);
    if (!query) return call.answer(problem(400, query.error().text));
    const auto page = read_page_query(*query, ListFilter::names(kind));
    if (!page) return call.answer(problem(400, page.error().text));
    const auto filter = ListFilter::read(*query, kind);
    if (!filter) return call.answer(problem(400, filter.error().text));
    const std::vector<std::string> keys = keys_of(*call.view->catalog, kind);
    auto it = std::upper_bound(keys.begin(), keys.end(), page->after);
    if (page->after.empty()) it = keys.begin();
    std::vector<Node> items;
    std::string last;
    std::string next;
    for (; it != keys.end() && next.empty(); ++it) {
      if (!filter->matches(*call.view, kind, *it)) continue;
      if (items.size() == page->limit) {
        next = last;
      } else {
        items.push_back(*object_node(*call.view, kind, *it));
        last = *it;
      }
    }
    call.answer(json_answer(200, list_node(std::move(items), next)));
  });

  add(router, HttpMethod::kGet, one, Action::kRead, collection, [kind](const Call& call) {
    call.answer(object_of(200, *call.view, kind, call.value("key")));
  });

  add(router, HttpMethod::kPost, all, Action::kWrite, collection, [this, kind](const Call& call) {
    const auto body = read_body(call.request);
    if (!body) return call.answer(body_problem(body.error()));
    const Node* key = body->find(key_field(kind));
    std::vector<Precondition> preconditions;
    if (key != nullptr) preconditions.push_back({{kind, key->text}, std::uint64_t{0}});
    put_object(call, kind, *body, std::move(preconditions), true);
  });

  const auto change = [this, kind](const Call& call, bool patch) {
    const std::string& key = call.value("key");
    auto body = read_body(call.request);
    if (!body) return call.answer(body_problem(body.error()));
    const auto rev = if_match(call.request);
    if (!rev) return call.answer(problem(400, rev.error().text));
    auto present = form_node(*call.view, kind, key);
    if (!present && (patch || call.request.header("if-match"))) {
      return call.answer(not_found(kind, key));
    }
    std::vector<Precondition> preconditions;
    const ObjectMeta* meta = call.view->catalog->find_meta(kind, key);
    if (rev->has_value()) {
      preconditions.push_back({{kind, key}, *rev});
    } else if (patch && meta != nullptr) {
      preconditions.push_back({{kind, key}, meta->rev});  // What it was merged with.
    }
    if (body->kind != Node::Kind::kMap) {
      return call.answer(problem(422, "expected an object"));
    }
    Node form = patch ? *std::move(present) : Node::map();
    merge_patch(form, *body);
    const Node* named = form.find(key_field(kind));
    if (named == nullptr) {
      form.set(key_field(kind), Node::string(key));
    } else if (named->text != key) {
      return call.answer(problem(422, fmt::format("{}: expected '{}', as in the path: a key is the "
                                                  "identity and cannot change",
                                                  key_field(kind), key)));
    }
    put_object(call, kind, form, std::move(preconditions), meta == nullptr && !patch);
  };
  add(router, HttpMethod::kPut, one, Action::kWrite, collection,
      [change](const Call& call) { change(call, false); });
  add(router, HttpMethod::kPatch, one, Action::kWrite, collection,
      [change](const Call& call) { change(call, true); });

  add(router, HttpMethod::kDelete, one, Action::kWrite, collection, [this, kind](const Call& call) {
    const std::string& key = call.value("key");
    if (!form_node(*call.view, kind, key)) return call.answer(not_found(kind, key));
    const auto rev = if_match(call.request);
    if (!rev) return call.answer(problem(400, rev.error().text));
    CatalogEdit edit;
    edit.removals = {{kind, key}};
    if (rev->has_value()) edit.preconditions = {{{kind, key}, *rev}};
    command(call, ApplyCatalog{std::move(edit), call.principal.actor},
            [](const Reply&, const EngineView&) { return no_content(); });
  });
}

void Api::put_object(const Call& call, ObjectKind kind, const Node& body,
                     std::vector<Precondition> preconditions, bool created) {
  const Node* key_node = body.find(key_field(kind));
  const std::string key = key_node == nullptr ? std::string{} : key_node->text;
  const std::string prefix = prefix_of(kind, key);
  auto edit = read_catalog(Node::map({{collection_of(kind), Node::list({body})}}), ports_.new_id);
  if (!edit) {
    std::vector<FieldError> errors = std::move(edit.error());
    strip_paths(errors, prefix);
    strip_paths(errors, fmt::format("{}[0].", collection_of(kind)));
    return call.answer(field_problem(errors));
  }
  edit->preconditions = std::move(preconditions);
  auto once = idempotency(call.request, call.principal.actor);
  if (!once) return call.answer(problem(400, once.error().text));
  const int status = created ? 201 : 200;
  const bool creating = call.request.method == HttpMethod::kPost;
  ApplyCatalog event{*std::move(edit), call.principal.actor};
  if (creating) event.once = *std::move(once);
  command(
      call, std::move(event),
      [kind, key, status](const Reply&, const EngineView& view) {
        return object_of(status, view, kind, key);
      },
      prefix);
}

void Api::apply(const Call& call) {
  const auto query = codec::parse_query(call.request.query);
  if (!query) return call.answer(problem(400, query.error().text));
  if (const auto known = query->only({"dry_run", "prune"}); !known) {
    return call.answer(problem(400, known.error().text));
  }
  bool flags[2] = {false, false};
  const char* names[2] = {"dry_run", "prune"};
  for (std::size_t i = 0; i < 2; ++i) {
    const auto value = query->one(names[i]);
    const std::string_view word = value && *value ? **value : "false";
    if (!value || (word != "true" && word != "false")) {
      return call.answer(problem(400, fmt::format("{}: expected true or false", names[i])));
    }
    flags[i] = word == "true";
  }
  const auto body = read_body(call.request);
  if (!body) return call.answer(body_problem(body.error()));
  auto edit = read_catalog(*body, ports_.new_id);
  if (!edit) {
    const auto& errors = edit.error();
    return call.answer(field_problem(errors));
  }
  edit->origin = Origin::kApply;
  edit->prune = flags[1];
  for (const ObjectKind kind : kKinds) {
    // Pruning may delete of every kind.
    if (body->find(collection_of(kind)) == nullptr && !edit->prune) continue;
    if (const auto why = authorize(call.principal, Action::kWrite, {collection_of(kind), {}})) {
      return call.answer(problem(403, *why));
    }
  }
  auto once = idempotency(call.request, call.principal.actor);
  if (!once) return call.answer(problem(400, once.error().text));
  ApplyCatalog event{*std::move(edit), call.principal.actor, flags[0]};
  if (!flags[0]) event.once = *std::move(once);
  command(call, std::move(event), [dry_run = flags[0]](const Reply& reply, const EngineView&) {
    return changes_answer(reply, dry_run);
  });
}

}  // namespace tocsin::collector
