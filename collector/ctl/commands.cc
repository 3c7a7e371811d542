#include "collector/ctl/commands.h"

#include "collector/ctl/api_client.h"
#include "collector/ctl/text.h"
#include "common/base/bytes.h"
#include "common/base/strings.h"
#include "common/codec/json.h"
#include "common/codec/query_string.h"
#include "common/io/file.h"
#include "common/io/random.h"
#include "common/io/secret.h"
#include "common/io/terminal.h"
#include "common/io/yaml.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <set>
#include <sys/stat.h>

namespace tocsin::ctl {

namespace {

using codec::Node;

constexpr const char* kDefaultUrl = "http://127.0.0.1:7400";
constexpr Duration kRunPatience = std::chrono::seconds{40};
constexpr Duration kTestPatience = std::chrono::seconds{30};
/// More than the collector takes, so that it is the one who says so.
constexpr std::size_t kSecretFileMax = std::size_t{128} * 1024;
constexpr Duration kLookEvery = std::chrono::milliseconds{500};

Exit complain(const Error& error) {
  fmt::print(stderr, "tocsinctl: {}\n", error.text);
  return error.code == Errc::kUnavailable || error.code == Errc::kTimeout ? Exit::kTemporary
                                                                          : Exit::kFailure;
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string{} : value;
}

std::string login_path() {
  std::string base = variable("XDG_CONFIG_HOME");
  if (base.empty()) base = variable("HOME") + "/.config";
  return base + "/tocsin/ctl.yaml";
}

struct Login {
  std::string url;
  std::string token;
};

/// What login kept; empty when there is nothing. Others must not be able to read it.
Expected<Login> read_login() {
  const std::string path = login_path();

  struct stat seen {};

  if (::stat(path.c_str(), &seen) != 0) return Login{};
  if ((seen.st_mode & 077) != 0) {
    return fail(Errc::kDenied, "{} can be read by others: chmod 600 {}", path, path);
  }
  TRY_ASSIGN(const Node tree, io::load_yaml(path));
  return Login{text_of(tree, "url"), text_of(tree, "token")};
}

Expected<std::unique_ptr<ApiClient>> connect(const CommandLine& line, Clock& clock) {
  Login login;
  login.token = variable("TOCSIN_TOKEN");
  login.url = line.url.empty() ? variable("TOCSIN_URL") : line.url;
  if (login.token.empty() || login.url.empty()) {
    TRY_ASSIGN(const Login kept, read_login());
    if (login.token.empty()) login.token = kept.token;
    if (login.url.empty()) login.url = kept.url;
  }
  if (login.url.empty()) login.url = kDefaultUrl;
  return ApiClient::open(clock, login.url, login.token);
}

Exit log_in(const CommandLine& line, Clock& clock) {
  std::string token = variable("TOCSIN_TOKEN");
  if (token.empty()) {
    if (::isatty(STDIN_FILENO) != 0) fmt::print(stderr, "token: ");
    std::getline(std::cin, token);
  }
  token = trim(token);
  const std::string url = !line.url.empty()                ? line.url
                          : variable("TOCSIN_URL").empty() ? std::string{kDefaultUrl}
                                                           : variable("TOCSIN_URL");
  auto client = ApiClient::open(clock, url, token);
  if (!client) return complain(client.error());
  if (const auto seen = (*client)->get("/monitors?limit=1"); !seen) return complain(seen.error());
  const std::string path = login_path();
  std::error_code failed;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), failed);
  if (failed) return complain({Errc::kIo, fmt::format("{}: {}", path, failed.message())});
  const std::string text = print_yaml(
      Node::map({{"url", Node::string((*client)->url())}, {"token", Node::string(token)}}));
  if (auto done = io::replace_file(path, as_bytes(text), 0600); !done)
    return complain(done.error());
  fmt::print("logged in at {}; kept in {}\n", (*client)->url(), path);
  return Exit::kOk;
}

/// The collector names what it complains about by path; here the file is known, so the line is too.
Exit complain_about(const std::string& file, const Node& tree, const Answer& answer) {
  const Node* errors = answer.body.find("errors");
  if (errors == nullptr || errors->items.empty()) return complain(problem_error(answer));
  for (const Node& error : errors->items) {
    const std::string path = text_of(error, "path");
    std::string text = text_of(error, "text");
    // The mark in the collector's words is of the JSON that was sent.
    const std::size_t colon = text.find(": ");
    if (text.starts_with("line ") && colon != std::string::npos) text.erase(0, colon + 2);
    fmt::print(stderr, "{}\n",
               io::locate(file, {path, codec::describe(codec::find_mark(tree, path)) + text}));
  }
  fmt::print(stderr, "tocsinctl: nothing was changed\n");
  return Exit::kFailure;
}

bool confirmed() {
  if (::isatty(STDIN_FILENO) == 0) {
    fmt::print(stderr, "tocsinctl: nobody to ask: give --yes to apply\n");
    return false;
  }
  fmt::print("Apply? [y/N] ");
  std::fflush(stdout);
  std::string word;
  std::getline(std::cin, word);
  return word == "y" || word == "yes" || word == "Y";
}

/// What was applied may name secrets that nobody has set yet. Whoever may not list them hears
/// nothing of it.
void tell_missing_secrets(ApiClient& client) {
  const auto secrets = client.get("/secrets");
  const Node* items = secrets ? secrets->find("items") : nullptr;
  if (items == nullptr) return;
  for (const Node& secret : items->items) {
    if (text_of(secret, "state") != "missing") continue;
    const std::string key = text_of(secret, "key");
    fmt::print(stderr,
               "tocsinctl: secret {0} is named and was never set: tocsinctl secret set {0}\n", key);
  }
}

Exit apply(const CommandLine& line, ApiClient& client) {
  const auto tree = io::load_yaml(line.file);
  if (!tree) return complain(tree.error());
  const std::string prune = line.prune ? "&prune=true" : "";
  const Node empty = Node::map();
  const Node& form = tree->kind == Node::Kind::kNull ? empty : *tree;
  const auto planned = client.ask("POST", "/apply?dry_run=true" + prune, &form);
  if (!planned) return complain(planned.error());
  if (planned->status >= 300) return complain_about(line.file, form, *planned);
  const Node* changes = planned->body.find("changes");
  const bool none = changes == nullptr || changes->items.empty();
  if (line.command == "diff" || none) {
    if (line.json) {
      fmt::print("{}", planned->text);
    } else {
      fmt::print("{}", none ? "nothing to change\n" : print_changes(*changes));
    }
    return Exit::kOk;
  }
  if (!line.json) fmt::print("{}", print_changes(*changes));
  if (!line.yes && !confirmed()) {
    fmt::print(stderr, "tocsinctl: nothing was changed\n");
    return Exit::kFailure;
  }
  const std::string once = format_uuid(io::random_uuid());
  auto done = client.ask("POST", "/apply?dry_run=false" + prune, &form, once);
  // Whether it happened is unknown then; the key makes a second try harmless.
  if (!done) done = client.ask("POST", "/apply?dry_run=false" + prune, &form, once);
  if (!done) return complain(done.error());
  if (done->status >= 300) return complain_about(line.file, form, *done);
  if (line.json) {
    fmt::print("{}", done->text);
  } else {
    fmt::print("applied\n");
  }
  tell_missing_secrets(client);
  return Exit::kOk;
}

Exit export_all(const CommandLine& line, ApiClient& client) {
  auto exported = client.get("/export");
  if (!exported) return complain(exported.error());
  const std::string text =
      line.json ? codec::print_json(*exported, 2) + "\n" : print_yaml(*exported);
  if (line.file.empty()) {
    fmt::print("{}", text);
    return Exit::kOk;
  }
  if (auto done = io::replace_file(line.file, as_bytes(text), 0644); !done)
    return complain(done.error());
  fmt::print(stderr, "{} is written\n", line.file);
  return Exit::kOk;
}

Exit get(const CommandLine& line, ApiClient& client) {
  const std::string& collection = line.operands[0];
  if (line.operands.size() == 2) {
    const auto object = client.get(fmt::format("/{}/{}", collection, line.operands[1]));
    if (!object) return complain(object.error());
    fmt::print("{}", line.json ? codec::print_json(*object, 2) + "\n" : print_yaml(*object));
    return Exit::kOk;
  }
  std::vector<Node> items;
  std::string cursor;
  do {
    auto page = client.get(
        fmt::format("/{}?limit=500{}", collection, cursor.empty() ? "" : "&cursor=" + cursor));
    if (!page) return complain(page.error());
    const Node* list = page->find("items");
    if (list == nullptr) return complain({Errc::kInvalid, collection + " is no collection"});
    items.insert(items.end(), list->items.begin(), list->items.end());
    cursor = text_of(*page, "next_cursor");
  } while (!cursor.empty());
  if (line.json) {
    fmt::print("{}\n", codec::print_json(Node::list(std::move(items)), 2));
  } else {
    fmt::print("{}", print_table(collection, items));
  }
  return Exit::kOk;
}

/// Asks for a run from every region and shows each result as it comes.
Exit run_now(const CommandLine& line, ApiClient& client, Clock& clock) {
  const std::string& key = line.operands[0];
  const auto monitor = client.get("/monitors/" + key);
  if (!monitor) return complain(monitor.error());
  const auto asked = client.post(fmt::format("/monitors/{}/run", key), Node::map());
  if (!asked) return complain(asked.error());
  const std::string request = text_of(*asked, "request");
  const Node* regions = monitor->find("regions");
  std::size_t wanted = 0;
  if (regions != nullptr && !regions->items.empty()) {
    wanted = regions->items.size();
  } else if (const auto all = client.get("/regions")) {
    wanted = all->find("items") == nullptr ? 0 : all->find("items")->items.size();
  }
  fmt::print(stderr, "waiting for {} regions\n", wanted);
  std::set<std::string> seen;
  bool down = false;
  const MonoTime until = clock.now().mono + kRunPatience;
  while (seen.size() < wanted && clock.now().mono < until) {
    const auto page = client.get(fmt::format("/monitors/{}/results?limit=100", key));
    if (!page) return complain(page.error());
    for (const Node& result : page->find("items")->items) {
      if (text_of(result, "request") != request) continue;
      const std::string region = text_of(result, "region");
      if (!seen.insert(region).second) continue;
      const std::string outcome = text_of(result, "outcome");
      down = down || outcome == "down";
      if (line.json) {
        fmt::print("{}\n", codec::print_json(result));
      } else {
        const std::string reason = text_of(result, "reason");
        fmt::print(
            "{:<16} {:<9} {}{}\n", region, outcome,
            format_duration_short(Duration{std::atoll(text_of(result, "duration_us").c_str())}),
            reason.empty() ? "" : "  " + reason);
      }
    }
    if (seen.size() < wanted) client.wait(kLookEvery);
  }
  if (seen.size() < wanted) {
    fmt::print(stderr, "tocsinctl: {} of {} regions answered within {}\n", seen.size(), wanted,
               format_duration(kRunPatience));
    return Exit::kTemporary;
  }
  return down ? Exit::kFailure : Exit::kOk;
}

Exit phases(const CommandLine& line, ApiClient& client, Clock& clock) {
  const WallTime from = clock.now().wall - line.since;
  const auto page = client.get(
      fmt::format("/monitors/{}/phases?from={}", line.operands[0], format_rfc3339(from)));
  if (!page) return complain(page.error());
  const Node* items = page->find("items");
  if (items == nullptr) return complain({Errc::kInvalid, "the answer has no items"});
  fmt::print("{}", line.json ? codec::print_json(*items, 2) + "\n" : print_phases(items->items));
  return Exit::kOk;
}

Exit act(const CommandLine& line, ApiClient& client) {
  const bool ack = line.command == "ack";
  Node body = Node::map();
  if (!ack && !line.note.empty()) body.set("note", Node::string(line.note));
  const auto done = client.post(
      fmt::format("/incidents/{}/{}", line.operands[0], ack ? "acknowledge" : "resolve"), body);
  if (!done) return complain(done.error());
  if (line.json) {
    fmt::print("{}\n", codec::print_json(*done, 2));
  } else {
    fmt::print("{} is {}: {}\n", text_of(*done, "name"), text_of(*done, "state"),
               text_of(*done, "title"));
  }
  return Exit::kOk;
}

Exit test_notify(const CommandLine& line, ApiClient& client, Clock& clock) {
  const auto sent = client.post(fmt::format("/channels/{}/test", line.operands[0]), Node::map());
  if (!sent) return complain(sent.error());
  const std::string id = text_of(*sent, "notification");
  const MonoTime until = clock.now().mono + kTestPatience;
  std::size_t shown = 0;
  while (true) {
    const auto message = client.get("/deliveries/" + id);
    if (!message) return complain(message.error());
    const auto& tries = message->find("deliveries")->items;
    for (; shown < tries.size(); ++shown) {
      fmt::print(stderr, "attempt {}: {} {}\n", text_of(tries[shown], "attempt"),
                 text_of(tries[shown], "outcome"), text_of(tries[shown], "detail"));
    }
    const std::string state = text_of(*message, "state");
    const bool over = state == "sent" || state == "dead" || state == "cancelled";
    if (over || clock.now().mono >= until) {
      if (line.json) {
        fmt::print("{}\n", codec::print_json(*message, 2));
      } else {
        fmt::print("the test message to {} is {}\n", line.operands[0], state);
      }
      return state == "sent" ? Exit::kOk : over ? Exit::kFailure : Exit::kTemporary;
    }
    client.wait(kLookEvery);
  }
}

/// From a file ("-": standard input), from a pipe, or asked for without showing it.
Expected<io::Secret> read_secret(const CommandLine& line) {
  std::string text;
  if (!line.file.empty() && line.file != "-") {
    TRY_ASSIGN(text, io::read_file(line.file, kSecretFileMax));
  } else if (io::at_terminal()) {
    return io::ask_secret("secret: ");
  } else {
    text.resize(kSecretFileMax);
    std::cin.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(std::cin.gcount()));
  }
  return io::Secret{std::move(text)};
}

Exit secret(const CommandLine& line, ApiClient& client) {
  const std::string& name = line.operands[1];
  const bool set = line.operands[0] == "set";
  Node body;
  if (set) {
    const auto value = read_secret(line);
    if (!value) return complain(value.error());
    body = Node::map({{"value", Node::string(value->reveal())}});
  }
  const auto done = client.ask(set ? "PUT" : "DELETE", "/secrets/" + codec::percent_encode(name),
                               set ? &body : nullptr);
  if (!done) return complain(done.error());
  if (done->status >= 300) return complain(problem_error(*done));
  if (line.json && set) {
    fmt::print("{}", done->text);
  } else {
    fmt::print("secret {} is {}\n", name, set ? "set" : "deleted");
  }
  return Exit::kOk;
}

}  // namespace

Exit run(const CommandLine& line, Clock& clock) {
  if (line.command == "completion") {
    fmt::print("{}", bash_completion());
    return Exit::kOk;
  }
  if (line.command == "login") return log_in(line, clock);
  auto client = connect(line, clock);
  if (!client) return complain(client.error());
  if (line.command == "apply" || line.command == "diff") return apply(line, **client);
  if (line.command == "export") return export_all(line, **client);
  if (line.command == "get") return get(line, **client);
  if (line.command == "run") return run_now(line, **client, clock);
  if (line.command == "phases") return phases(line, **client, clock);
  if (line.command == "secret") return secret(line, **client);
  if (line.command == "test-notify") return test_notify(line, **client, clock);
  return act(line, **client);
}

}  // namespace tocsin::ctl
