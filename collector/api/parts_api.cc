// Question answered here: how is a part of an object read and changed by itself?
//
// Parts live inside an object of the catalogue: contact methods and notification rules in a user,
// components in a status page. A change of one is an edit of the whole object, on the revision that
// it was read from, so nobody's change is lost; their ETag is the object's.

#include "collector/api/answers.h"
#include "collector/api/api.h"
#include "collector/api/json_views.h"
#include "collector/ports/catalog_node.h"
#include "common/base/strings.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace tocsin::collector {

using codec::HttpMethod;
using codec::Node;
using io::HttpResponse;

namespace {

/// What differs between the two kinds of a user's parts.
struct ContactPart {
  using Spec = ContactMethod;
  using Id = ContactMethodId;
  static constexpr const char* kCollection = "contact-methods";
  static constexpr const char* kField = "contact_methods";
  static constexpr const char* kWord = "contact method";
  static constexpr auto kMember = &UserSpec::contacts;

  static Spec read(const Node& node, std::vector<FieldError>& errors) {
    return read_contact(node, "", errors);
  }

  static bool same(const Spec& a, const Spec& b) { return a.key == b.key; }
};

struct RulePart {
  using Spec = NotificationRule;
  using Id = NotificationRuleId;
  static constexpr const char* kCollection = "notification-rules";
  static constexpr const char* kField = "notification_rules";
  static constexpr const char* kWord = "notification rule";
  static constexpr auto kMember = &UserSpec::rules;

  static Spec read(const Node& node, std::vector<FieldError>& errors) {
    return read_rule(node, "", errors);
  }

  static bool same(const Spec& a, const Spec& b) {
    return a.contact == b.contact && a.delay == b.delay && a.urgency == b.urgency;
  }
};

template <class Part>
std::string path_of(const typename Part::Spec& part) {
  return fmt::format("/api/v1/{}/{}", Part::kCollection, part.id.str());
}

std::uint64_t rev_of(const EngineView& view, ObjectKind kind, const std::string& key) {
  const ObjectMeta* meta = view.catalog->find_meta(kind, key);
  return meta == nullptr ? 0 : meta->rev;
}

template <class Spec>
Node node_of(const EngineView& view, const UserSpec& user, const Spec& part) {
  Node out = Node::map({{"id", Node::string(part.id.str())}, {"user", Node::string(user.key)}});
  for (auto& [name, value] : to_node(part).entries) out.set(name, std::move(value));
  out.set("rev",
          Node::integer(static_cast<std::int64_t>(rev_of(view, ObjectKind::kUser, user.key))));
  return out;
}

/// A part and whose it is; null pointers when there is none of that id.
template <class Part>
struct Found {
  const UserSpec* user = nullptr;
  const typename Part::Spec* part = nullptr;
  std::size_t index = 0;
};

template <class Part>
Found<Part> find_part(const EngineView& view, std::string_view id) {
  const auto wanted = Part::Id::parse(id);
  if (!wanted) return {};
  for (const auto& [key, user] : view.catalog->users) {
    const auto& parts = user.*Part::kMember;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (parts[i].id == *wanted) return {&user, &parts[i], i};
    }
  }
  return {};
}

template <class Part>
HttpResponse no_part() {
  return problem(404, fmt::format("there is no such {}", Part::kWord));
}

/// The revision that a change of the object is made on: the one asked for, or the one it was read
/// from.
Expected<std::vector<Precondition>> preconditions_of(const codec::HttpRequest& request,
                                                     const EngineView& view, ObjectKind kind,
                                                     const std::string& key) {
  TRY_ASSIGN(const auto rev, if_match(request));
  return std::vector<Precondition>{{{kind, key}, rev.value_or(rev_of(view, kind, key))}};
}

/// Takes a member out of a map.
Node take(Node& map, std::string_view name) {
  const auto it = std::find_if(map.entries.begin(), map.entries.end(),
                               [&](const Node::Entry& entry) { return entry.first == name; });
  if (it == map.entries.end()) return {};
  Node out = std::move(it->second);
  map.entries.erase(it);
  return out;
}

// --- components ---

struct Place {
  std::size_t group = 0;
  std::size_t component = 0;
};

std::optional<Place> find_component(const StatusPageSpec& page, std::string_view key) {
  for (std::size_t g = 0; g < page.groups.size(); ++g) {
    const auto& components = page.groups[g].components;
    for (std::size_t c = 0; c < components.size(); ++c) {
      if (components[c].key() == key) return Place{g, c};
    }
  }
  return std::nullopt;
}

/// The group of that name, made at the end when there is none.
PageGroup& group_of(StatusPageSpec& page, const std::string& name) {
  for (PageGroup& group : page.groups) {
    if (group.name == name) return group;
  }
  return page.groups.emplace_back(PageGroup{name, {}});
}

Node component_node(const EngineView& view, const StatusPageSpec& page, const Place& place) {
  const PageGroup& group = page.groups[place.group];
  const PageComponent& component = group.components[place.component];
  Node out = Node::map({{"key", Node::string(component.key())},
                        {"page", Node::string(page.slug)},
                        {"group", Node::string(group.name)}});
  for (auto& [name, value] : to_node(component).entries) out.set(name, std::move(value));
  Node status;
  if (const MonitorView* monitor = find_monitor(view, component.monitor)) {
    status = Node::string(to_string(monitor->state.status));
  }
  out.set("status", std::move(status));
  out.set("rev",
          Node::integer(static_cast<std::int64_t>(rev_of(view, ObjectKind::kPage, page.slug))));
  return out;
}

const StatusPageSpec* find_page(const EngineView& view, const std::string& slug) {
  const auto it = view.catalog->pages.find(slug);
  return it == view.catalog->pages.end() ? nullptr : &it->second;
}

HttpResponse no_page(const std::string& slug) {
  return problem(404, fmt::format("there is no status-page '{}'", printable(slug, 63)));
}

HttpResponse no_component(const std::string& key) {
  return problem(404, fmt::format("there is no component '{}'", printable(key, 63)));
}

HttpResponse component_of(int status, const EngineView& view, const std::string& slug,
                          const std::string& key) {
  const StatusPageSpec* page = find_page(view, slug);
  const auto place = page == nullptr ? std::nullopt : find_component(*page, key);
  if (!place) return no_component(key);
  HttpResponse response = object_answer(status, component_node(view, *page, *place),
                                        rev_of(view, ObjectKind::kPage, slug));
  if (status == 201) {
    response.headers.push_back(
        {"Location", fmt::format("/api/v1/status-pages/{}/components/{}", slug, key)});
  }
  return response;
}

}  // namespace

/// Commands are the edit of `spec`'s whole object.
template <class Part>
void Api::add_user_parts(Router& router) {
  using Spec = typename Part::Spec;
  const std::string all = fmt::format("/api/v1/{}", Part::kCollection);
  const std::string one = all + "/{id}";
  const auto may = [](const Call& call, Action action, const std::string& user) {
    return authorize(call.principal, action, {Part::kCollection, user});
  };
  // Naming a file of the collector's disk is not for everybody.
  const auto check_secret = []([[maybe_unused]] const Call& call, [[maybe_unused]] const auto& part,
                               [[maybe_unused]] std::vector<FieldError>& errors) {
    if constexpr (std::is_same_v<Part, ContactPart>) {
      if (!part.secret_file.empty() && call.principal.role < Role::kEditor) {
        errors.push_back({"secret", "expected none: naming a secret's file is for an editor"});
      }
    }
  };
  const auto change = [this](const Call& call, UserSpec user, std::size_t index, Ok ok) {
    auto preconditions = preconditions_of(call.request, *call.view, ObjectKind::kUser, user.key);
    if (!preconditions) return call.answer(problem(400, preconditions.error().text));
    auto once = idempotency(call.request, call.principal.actor);
    if (!once) return call.answer(problem(400, once.error().text));
    ApplyCatalog event{{}, call.principal.actor};
    std::string strip = fmt::format("users[{}].{}[{}].", user.key, Part::kField, index);
    event.edit.users.push_back(std::move(user));
    event.edit.preconditions = *std::move(preconditions);
    if (call.request.method == HttpMethod::kPost) event.once = *std::move(once);
    command(call, std::move(event), std::move(ok), std::move(strip));
  };
  const auto answer_part = [](int status, const std::string& user_key, const Spec& wanted) -> Ok {
    return [status, user_key, wanted](const Reply&, const EngineView& view) {
      const auto user = view.catalog->users.find(user_key);
      if (user == view.catalog->users.end()) return no_part<Part>();
      for (const Spec& part : user->second.*Part::kMember) {
        // By what it is: an answer that is given again is of the one made then.
        if (!Part::same(part, wanted)) continue;
        HttpResponse response = object_answer(status, node_of(view, user->second, part),
                                              rev_of(view, ObjectKind::kUser, user_key));
        if (status == 201) response.headers.push_back({"Location", path_of<Part>(part)});
        return response;
      }
      return no_part<Part>();
    };
  };

  add(
      router, HttpMethod::kGet, all, Action::kRead, Part::kCollection,
      [may](const Call& call) {
        const auto query = codec::parse_query(call.request.query);
        if (!query) return call.answer(problem(400, query.error().text));
        const auto page = read_page_query(*query, {"user"});
        if (!page) return call.answer(problem(400, page.error().text));
        const auto user = query->one("user");
        if (!user) return call.answer(problem(400, user.error().text));
        // In the order of users and, within one, their own: where to go on is USER/NUMBER.
        std::string from_user = page->after;
        std::size_t from = 0;
        if (const auto slash = page->after.find('/'); slash != std::string::npos) {
          from_user.resize(slash);
          from = static_cast<std::size_t>(
              parse_number(std::string_view{page->after}.substr(slash + 1)).value_or(0));
        }
        const auto& users = call.view->catalog->users;
        std::vector<Node> items;
        std::string next;
        for (auto it = users.lower_bound(from_user); it != users.end() && next.empty(); ++it) {
          if (*user && it->first != **user) continue;
          if (may(call, Action::kRead, it->first)) continue;
          const auto& parts = it->second.*Part::kMember;
          for (std::size_t i = it->first == from_user ? from : 0; i < parts.size(); ++i) {
            if (items.size() == page->limit) {
              next = fmt::format("{}/{}", it->first, i);
              break;
            }
            items.push_back(node_of(*call.view, it->second, parts[i]));
          }
        }
        call.answer(json_answer(200, list_node(std::move(items), next)));
      },
      kCaller);

  add(
      router, HttpMethod::kGet, one, Action::kRead, Part::kCollection,
      [may](const Call& call) {
        const auto found = find_part<Part>(*call.view, call.value("id"));
        if (found.part == nullptr || may(call, Action::kRead, found.user->key)) {
          return call.answer(no_part<Part>());
        }
        call.answer(object_answer(200, node_of(*call.view, *found.user, *found.part),
                                  rev_of(*call.view, ObjectKind::kUser, found.user->key)));
      },
      kCaller);

  add(
      router, HttpMethod::kPost, all, Action::kWrite, Part::kCollection,
      [this, may, check_secret, change, answer_part](const Call& call) {
        auto body = read_body(call.request);
        if (!body) return call.answer(body_problem(body.error()));
        if (body->kind != Node::Kind::kMap) return call.answer(problem(422, "expected an object"));
        const Node named = take(*body, "user");
        const std::string key = named.kind == Node::Kind::kNull ? call.principal.user : named.text;
        std::vector<FieldError> errors;
        Spec part = Part::read(*body, errors);
        part.id = typename Part::Id{ports_.new_id()};
        check_secret(call, part, errors);
        const auto user = call.view->catalog->users.find(key);
        if (user == call.view->catalog->users.end()) {
          errors.push_back({"user", "expected the key of a user"});
        } else if (const auto why = may(call, Action::kWrite, key)) {
          return call.answer(problem(403, *why));
        }
        if (!errors.empty()) return call.answer(field_problem(errors));
        UserSpec after = user->second;
        auto& parts = after.*Part::kMember;
        const bool exists = std::any_of(parts.begin(), parts.end(),
                                        [&](const Spec& p) { return Part::same(p, part); });
        if (exists && !call.request.header("idempotency-key")) {
          return call.answer(
              problem(409, fmt::format("{} has such a {} already", key, Part::kWord)));
        }
        parts.push_back(part);
        const std::size_t index = parts.size() - 1;
        change(call, std::move(after), index, answer_part(201, key, part));
      },
      kCaller);

  add(
      router, HttpMethod::kPatch, one, Action::kWrite, Part::kCollection,
      [may, check_secret, change, answer_part](const Call& call) {
        const auto found = find_part<Part>(*call.view, call.value("id"));
        if (found.part == nullptr || may(call, Action::kRead, found.user->key)) {
          return call.answer(no_part<Part>());
        }
        if (const auto why = may(call, Action::kWrite, found.user->key)) {
          return call.answer(problem(403, *why));
        }
        const auto body = read_body(call.request);
        if (!body) return call.answer(body_problem(body.error()));
        if (body->kind != Node::Kind::kMap) return call.answer(problem(422, "expected an object"));
        Node form = to_node(*found.part);
        merge_patch(form, *body);
        std::vector<FieldError> errors;
        const Node named = take(form, "user");
        if (named.kind != Node::Kind::kNull && named.text != found.user->key) {
          errors.push_back({"user", "expected the user it belongs to: that cannot change"});
        }
        Spec part = Part::read(form, errors);
        part.id = found.part->id;
        bool another_secret = false;
        if constexpr (std::is_same_v<Part, ContactPart>) {
          another_secret = part.secret_file != found.part->secret_file;
          if (part.key != found.part->key && errors.empty()) {
            errors.push_back({"key", "expected its key: that cannot change"});
          }
        }
        if (another_secret) check_secret(call, part, errors);
        if (!errors.empty()) return call.answer(field_problem(errors));
        UserSpec after = *found.user;
        (after.*Part::kMember)[found.index] = part;
        change(call, std::move(after), found.index, answer_part(200, found.user->key, part));
      },
      kCaller);

  add(
      router, HttpMethod::kDelete, one, Action::kWrite, Part::kCollection,
      [may, change](const Call& call) {
        const auto found = find_part<Part>(*call.view, call.value("id"));
        if (found.part == nullptr || may(call, Action::kRead, found.user->key)) {
          return call.answer(no_part<Part>());
        }
        if (const auto why = may(call, Action::kWrite, found.user->key)) {
          return call.answer(problem(403, *why));
        }
        if constexpr (std::is_same_v<Part, ContactPart>) {
          for (const NotificationRule& rule : found.user->rules) {
            if (rule.contact != found.part->key) continue;
            return call.answer(
                problem(409, fmt::format("the notification rule {} uses it: delete that one first",
                                         rule.id.str())));
          }
        }
        UserSpec after = *found.user;
        auto& parts = after.*Part::kMember;
        parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(found.index));
        change(call, std::move(after), found.index,
               [](const Reply&, const EngineView&) { return no_content(); });
      },
      kCaller);
}

void Api::add_components(Router& router) {
  const std::string all = "/api/v1/status-pages/{key}/components";
  const std::string one = all + "/{component}";
  const std::string_view collection = collection_of(ObjectKind::kPage);

  const auto change = [this](const Call& call, StatusPageSpec page, Ok ok) {
    auto preconditions = preconditions_of(call.request, *call.view, ObjectKind::kPage, page.slug);
    if (!preconditions) return call.answer(problem(400, preconditions.error().text));
    auto once = idempotency(call.request, call.principal.actor);
    if (!once) return call.answer(problem(400, once.error().text));
    ApplyCatalog event{{}, call.principal.actor};
    event.edit.pages.push_back(std::move(page));
    event.edit.preconditions = *std::move(preconditions);
    if (call.request.method == HttpMethod::kPost) event.once = *std::move(once);
    command(call, std::move(event), std::move(ok));
  };
  /// Reads `form`, "group" included; false: answered with what is wrong.
  const auto read = [](const Call& call, Node form, std::string& group, PageComponent& out) {
    std::vector<FieldError> errors;
    const Node named = take(form, "group");
    if (named.kind != Node::Kind::kNull && named.kind != Node::Kind::kString) {
      errors.push_back({"group", "expected the name of a group"});
    }
    group = named.text;
    if (group.size() > kComponentGroupMax || !is_valid_utf8(group)) {
      errors.push_back(
          {"group", fmt::format("expected at most {} bytes of UTF-8", kComponentGroupMax)});
    }
    out = read_component(form, "", errors);
    if (errors.empty() && !out.monitor.empty() &&
        !call.view->catalog->monitors.contains(out.monitor)) {
      errors.push_back({"monitor", "expected the key of a monitor"});
    }
    if (errors.empty()) return true;
    call.answer(field_problem(errors));
    return false;
  };

  add(router, HttpMethod::kGet, all, Action::kRead, collection, [](const Call& call) {
    const StatusPageSpec* page = find_page(*call.view, call.value("key"));
    if (page == nullptr) return call.answer(no_page(call.value("key")));
    std::vector<Node> items;
    for (std::size_t g = 0; g < page->groups.size(); ++g) {
      for (std::size_t c = 0; c < page->groups[g].components.size(); ++c) {
        items.push_back(component_node(*call.view, *page, {g, c}));
      }
    }
    call.answer(json_answer(200, list_node(std::move(items), {})));
  });

  add(router, HttpMethod::kGet, one, Action::kRead, collection, [](const Call& call) {
    call.answer(component_of(200, *call.view, call.value("key"), call.value("component")));
  });

  add(router, HttpMethod::kPost, all, Action::kWrite, collection, [change, read](const Call& call) {
    const StatusPageSpec* page = find_page(*call.view, call.value("key"));
    if (page == nullptr) return call.answer(no_page(call.value("key")));
    auto body = read_body(call.request);
    if (!body) return call.answer(body_problem(body.error()));
    if (body->kind != Node::Kind::kMap) return call.answer(problem(422, "expected an object"));
    std::string group;
    PageComponent component;
    if (!read(call, *std::move(body), group, component)) return;
    const std::string key = component.key();
    if (find_component(*page, key) && !call.request.header("idempotency-key")) {
      return call.answer(problem(409, fmt::format("'{}' is a component already", key)));
    }
    StatusPageSpec after = *page;
    group_of(after, group).components.push_back(std::move(component));
    change(call, std::move(after), [slug = page->slug, key](const Reply&, const EngineView& view) {
      return component_of(201, view, slug, key);
    });
  });

  add(router, HttpMethod::kPatch, one, Action::kWrite, collection,
      [change, read](const Call& call) {
        const std::string& key = call.value("component");
        const StatusPageSpec* page = find_page(*call.view, call.value("key"));
        const auto place = page == nullptr ? std::nullopt : find_component(*page, key);
        if (!place) return call.answer(no_component(key));
        const auto body = read_body(call.request);
        if (!body) return call.answer(body_problem(body.error()));
        if (body->kind != Node::Kind::kMap) return call.answer(problem(422, "expected an object"));
        const PageGroup& old = page->groups[place->group];
        Node form = to_node(old.components[place->component]);
        form.set("group", Node::string(old.name));
        merge_patch(form, *body);
        std::string group;
        PageComponent component;
        if (!read(call, std::move(form), group, component)) return;
        if (component.key() != key) {
          return call.answer(problem(422,
                                     "expected a monitor or name of the same key: reports "
                                     "and readers know the component by it"));
        }
        StatusPageSpec after = *page;
        PageGroup& from = after.groups[place->group];
        if (group == from.name) {
          from.components[place->component] = std::move(component);
        } else {
          from.components.erase(from.components.begin() +
                                static_cast<std::ptrdiff_t>(place->component));
          if (from.components.empty()) {
            after.groups.erase(after.groups.begin() + static_cast<std::ptrdiff_t>(place->group));
          }
          group_of(after, group).components.push_back(std::move(component));
        }
        change(call, std::move(after), [slug = page->slug, key](const Reply&, const EngineView& v) {
          return component_of(200, v, slug, key);
        });
      });

  add(router, HttpMethod::kDelete, one, Action::kWrite, collection, [change](const Call& call) {
    const std::string& key = call.value("component");
    const StatusPageSpec* page = find_page(*call.view, call.value("key"));
    const auto place = page == nullptr ? std::nullopt : find_component(*page, key);
    if (!place) return call.answer(no_component(key));
    StatusPageSpec after = *page;
    auto& components = after.groups[place->group].components;
    components.erase(components.begin() + static_cast<std::ptrdiff_t>(place->component));
    change(call, std::move(after), [](const Reply&, const EngineView&) { return no_content(); });
  });
}

void Api::add_parts(Router& router) {
  add_user_parts<ContactPart>(router);
  add_user_parts<RulePart>(router);
  add_components(router);
}

}  // namespace tocsin::collector
