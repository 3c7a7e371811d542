// Question answered here: which command was asked for, and with which exit code does it end?

#include "collector/app/admin_commands.h"
#include "collector/app/admin_socket.h"
#include "collector/app/backup.h"
#include "collector/app/collector.h"
#include "collector/app/collector_config.h"
#include "collector/app/command_line.h"
#include "collector/app/monitors_file.h"
#include "collector/app/state_dir.h"
#include "collector/app/status_export.h"
#include "collector/app/watched_clock.h"
#include "common/io/build_info.h"
#include "common/io/log.h"
#include "common/io/sd_notify.h"
#include "common/io/signals.h"
#include "common/io/terminal.h"
#include "common/io/tls_context.h"
#include "common/io/yaml.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>

namespace tocsin::collector {
namespace {

constexpr Duration kAdminPatience = std::chrono::seconds{30};

/// How often and how long a command waits for a collector that is starting: ten seconds in all.
constexpr int kStartingTries = 100;
constexpr int kStartingWaitMs = 100;

Exit complain(Exit code, const std::vector<std::string>& lines) {
  for (const std::string& line : lines) fmt::print(stderr, "{}\n", line);
  return code;
}

Exit complain(const StartError& error) { return complain(error.code, error.lines); }

tl::expected<CollectorConfig, std::vector<std::string>> load_config(const std::string& path) {
  const auto tree = io::load_yaml(path);
  if (!tree) return tl::unexpected(std::vector<std::string>{tree.error().text});
  return read_collector_config(*tree, path, [](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    if (value == nullptr) return std::nullopt;
    return value;
  });
}

void tell_manager(std::string_view state) {
  if (const auto told = io::sd_notify(state); !told) {
    log::warning("the service manager was not told", {{"error", told.error()}});
  }
}

Exit serve(const CollectorConfig& config) {
  io::ignore_sigpipe();
  WatchedClock clock("net");
  io::EventLoop loop(clock);
  std::unique_ptr<Collector> collector;
  // Before any thread: they inherit the mask.
  const io::Signals signals(loop, {SIGTERM, SIGINT, SIGHUP}, [&](int signal) {
    if (!collector) return;
    if (signal == SIGHUP) {
      tell_manager("RELOADING=1");
      collector->reload();
      tell_manager("READY=1");
      return;
    }
    tell_manager("STOPPING=1");
    collector->drain([&loop] { loop.stop(); });
  });
  auto started = Collector::start(config, loop);
  if (!started) return complain(started.error());
  collector = *std::move(started);
  tell_manager("READY=1");
  loop.run();
  collector.reset();
  return Exit::kOk;
}

Exit check_config(const CollectorConfig& config) {
  if (!config.http.certificate.empty()) {
    const auto tls = io::TlsContext::server(config.http.certificate, config.http.key);
    if (!tls) {
      return complain(Exit::kConfig,
                      {fmt::format("{}: http: {}", config.where("http"), tls.error().text)});
    }
  }
  if (config.monitors_file.empty()) {
    fmt::print("{} is good; it names no monitors_file\n", config.file);
    return Exit::kOk;
  }
  WatchedClock clock("main");
  const WallTime now = clock.now().wall;
  const auto file = read_monitors_file(config.monitors_file, now);
  if (!file) return complain(Exit::kConfig, file.error());
  const auto planned = plan(empty_catalog(), file->edit, now);
  if (!planned) return complain(Exit::kConfig, locate_errors(*file, planned.error()));
  fmt::print("{} and {} are good: {} monitors, {} regions, {} services, {} channels\n", config.file,
             config.monitors_file, planned->after.monitors.size(), planned->after.regions.size(),
             planned->after.services.size(), planned->after.channels.size());
  return Exit::kOk;
}

Exit init(const CollectorConfig& config) {
  const auto done = initialise(config);
  if (!done) return complain(done.error());
  for (const std::string& line : *done) fmt::print("{}\n", line);
  return Exit::kOk;
}

/// One line of stdin; on a terminal asked for twice and not shown.
Expected<io::Secret> read_password() {
  TRY_ASSIGN(io::Secret once, io::ask_secret("New password: "));
  if (!io::at_terminal()) return once;
  TRY_ASSIGN(const io::Secret again, io::ask_secret("Again: "));
  if (again.reveal() != once.reveal()) return fail(Errc::kInvalid, "the two are not the same");
  return once;
}

codec::Node request_of(const CommandLine& line, const std::string& password) {
  using codec::Node;
  Node request = Node::map({{"command", Node::string(line.command)}});
  if (line.command == "enroll") {
    request.set("region", Node::string(line.region));
    request.set("agent", Node::string(line.agent));
    request.set("expires", Node::string(line.expires));
    Node endpoints = Node::list();
    for (const std::string& one : line.endpoints) endpoints.items.push_back(Node::string(one));
    request.set("endpoints", std::move(endpoints));
  } else if (line.command == "admin-token") {
    if (!line.user.empty()) request.set("user", Node::string(line.user));
  } else if (line.command == "set-password") {
    if (!line.user.empty()) request.set("user", Node::string(line.user));
    request.set("password", Node::string(password));
  } else if (line.command == "revoke-agent") {
    request.set("agent", Node::string(line.operands[0]));
  } else if (line.command == "ack" || line.command == "resolve") {
    request.set("incident", Node::string(line.operands[0]));
  }
  return request;
}

void print_answer(const CommandLine& line, const codec::Node& answer) {
  const auto text = [&](const char* key) {
    const codec::Node* node = answer.find(key);
    return node == nullptr ? std::string{} : node->text;
  };
  if (line.command == "enroll") {
    fmt::print("{}", text("bundle"));
  } else if (line.command == "admin-token") {
    fmt::print("{}\n", text("token"));
  } else if (line.command == "set-password") {
    fmt::print("user {} has a new password; their sessions have ended\n", text("user"));
  } else if (line.command == "agents") {
    fmt::print("{}", format_agents(answer));
  } else if (line.command == "revoke-agent") {
    fmt::print("agent {} is revoked\n", text("agent"));
  } else {
    fmt::print("{} is {}\n", text("incident"), line.command == "ack" ? "acknowledged" : "resolved");
  }
}

/// Through the running collector, or else on its state directory.
Exit ask(const CommandLine& line, const CollectorConfig& config) {
  io::Secret password;
  if (line.command == "set-password") {
    auto read = read_password();
    if (!read) {
      return complain(Exit::kFailure, {"tocsin-collector set-password: " + read.error().text});
    }
    password = *std::move(read);
  }
  const codec::Node request = request_of(line, password.reveal());
  auto answer = call_admin(config.admin_socket_path(), request, kAdminPatience);
  for (int tries = 1; !answer; ++tries) {
    // Nobody serves: the log belongs to the daemon, here people read.
    log::configure({log::Level::kWarning, log::Format::kText});
    auto offline = ask_offline(config, request);
    if (offline) {
      answer = read_admin_answer(*std::move(offline));
      break;
    }
    // A collector that starts has the directory before it listens, another command only briefly.
    if (offline.error().code != Exit::kTemporary || tries == kStartingTries) {
      return complain(offline.error());
    }
    ::poll(nullptr, 0, kStartingWaitMs);
    answer = call_admin(config.admin_socket_path(), request, kAdminPatience);
  }
  if (!*answer) {
    const Error& error = answer->error();
    const bool later = error.code == Errc::kUnavailable || error.code == Errc::kTimeout;
    return complain(later ? Exit::kTemporary : Exit::kFailure,
                    {fmt::format("tocsin-collector {}: {}", line.command, error.text)});
  }
  print_answer(line, **answer);
  return Exit::kOk;
}

Exit complain(const CommandLine& line, const Error& error) {
  return complain(error.code == Errc::kUnavailable ? Exit::kTemporary : Exit::kFailure,
                  {fmt::format("tocsin-collector {}: {}", line.command, error.text)});
}

void print_backup(const BackupInfo& backup, const std::string& where) {
  const DatabaseFacts& facts = backup.database;
  std::uint64_t bytes = 0;
  for (const BackupFile& file : backup.files) bytes += file.bytes;
  fmt::print("{}: {} files, {} bytes, made {} by version {}\n", where, backup.files.size(), bytes,
             format_rfc3339(backup.created), backup.version);
  fmt::print("last commit {} ({}), {} monitors, {} incidents, {} results\n", facts.commit_seq,
             facts.commit_seq == 0 ? "never" : format_rfc3339(facts.last_commit), facts.monitors,
             facts.incidents, facts.results);
}

Exit backup(const CommandLine& line, const CollectorConfig& config) {
  WatchedClock clock("main");
  const auto made = make_backup(config.state_dir, line.operands[0], clock.now().wall);
  if (!made) return complain(line, made.error());
  print_backup(*made, line.operands[0]);
  return Exit::kOk;
}

Exit verify(const CommandLine& line, const CollectorConfig& config) {
  if (!line.operands.empty()) {
    const auto found = verify_backup(line.operands[0]);
    if (!found) return complain(line, found.error());
    print_backup(*found, line.operands[0]);
    return Exit::kOk;
  }
  if (const auto keys = load_keys(config.public_key_path(), config.secret_key_path()); !keys) {
    return complain(line, keys.error());
  }
  const auto facts = verify_database(config.database_path());
  if (!facts) return complain(line, facts.error());
  fmt::print("{} is whole: schema {}, last commit {} ({}), {} monitors, {} incidents, {} results\n",
             config.database_path(), facts->schema, facts->commit_seq,
             facts->commit_seq == 0 ? "never" : format_rfc3339(facts->last_commit), facts->monitors,
             facts->incidents, facts->results);
  return Exit::kOk;
}

Exit restore(const CommandLine& line, const CollectorConfig& config) {
  WatchedClock clock("main");
  const auto done =
      restore_backup(line.operands[0], config.state_dir, line.replace, clock.now().wall);
  if (!done) return complain(line, done.error());
  print_backup(done->backup, line.operands[0]);
  if (!done->kept.empty()) fmt::print("what was there before is in {}\n", done->kept);
  fmt::print("restored into {}; start the collector\n", config.state_dir);
  return Exit::kOk;
}

Exit run(const CommandLine& line) {
  const auto config = load_config(line.config);
  if (!config) return complain(Exit::kConfig, config.error());
  log::configure({*log::parse_level(config->log_level), *log::parse_format(config->log_format)});
  if (line.command == "serve") return serve(*config);
  if (line.command == "init") return init(*config);
  if (line.command == "check-config") return check_config(*config);
  if (line.command == "backup") return backup(line, *config);
  if (line.command == "verify") return verify(line, *config);
  if (line.command == "restore") return restore(line, *config);
  if (line.command == "export-status") return export_status(line, *config);
  return ask(line, *config);
}

}  // namespace
}  // namespace tocsin::collector

int main(int argc, char** argv) {
  using namespace tocsin;
  using collector::Exit;
  const auto line = collector::parse_command_line({argv + 1, argv + argc});
  if (!line) {
    fmt::print(stderr, "tocsin-collector: {}\n\n{}", line.error().text, collector::usage());
    return static_cast<int>(Exit::kUsage);
  }
  if (line->help) {
    fmt::print("{}", collector::usage());
    return static_cast<int>(Exit::kOk);
  }
  if (line->version) {
    fmt::print("{}", io::describe_build("tocsin-collector"));
    return static_cast<int>(Exit::kOk);
  }
  return static_cast<int>(collector::run(*line));
}
