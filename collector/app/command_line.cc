#include "collector/app/command_line.h"

#include "common/base/strings.h"

#include <getopt.h>

#include <algorithm>
#include <array>
#include <functional>
#include <string_view>

namespace tocsin::collector {
namespace {

struct Command {
  std::string_view name;
  std::size_t operands;
  const char* operand;  ///< What is missing when it is.
  std::size_t optional = 0;
};

constexpr std::array kCommands = {
    Command{"serve", 0, ""},
    Command{"init", 0, ""},
    Command{"check-config", 0, ""},
    Command{"enroll", 0, ""},
    Command{"admin-token", 0, ""},
    Command{"set-password", 0, ""},
    Command{"agents", 0, ""},
    Command{"export-status", 0, ""},
    Command{"revoke-agent", 1, "the agent's id (see tocsin-collector agents)"},
    Command{"ack", 1, "the incident, such as INC-42"},
    Command{"resolve", 1, "the incident, such as INC-42"},
    Command{"backup", 1, "the directory to write, which must not exist yet"},
    Command{"verify", 0, "", 1},
    Command{"restore", 1, "the directory that backup wrote"},
};

}  // namespace

const char* usage() {
  return "usage: tocsin-collector [COMMAND] [--config FILE]\n"
         "\n"
         "  serve                 run (the default)\n"
         "  init                  make the state directory, the keys and the database\n"
         "                        (as the owner of that directory when root runs it)\n"
         "  check-config          read the configuration and the monitors file, print every error\n"
         "  enroll --region R     print a bundle that lets one new agent in\n"
         "  enroll --agent ID     print a bundle that gives that agent a new key\n"
         "         [--expires 24h] [--endpoint tcp://HOST:PORT]...\n"
         "  admin-token           print an API token of an admin, once\n"
         "         [--user KEY]   default admin; made if there is no such user\n"
         "  set-password          set a user's password, read from the terminal or from stdin\n"
         "         [--user KEY]   default admin; made if nobody has a password yet\n"
         "  agents                list the agents\n"
         "  export-status --page SLUG --out DIR\n"
         "                        publish a status page as a directory of files\n"
         "         [--every 30s]  again and again, until SIGTERM\n"
         "         [--url URL]    how readers reach DIR, for links in feeds\n"
         "  revoke-agent ID       shut an agent out at once\n"
         "  ack INCIDENT          acknowledge an incident\n"
         "  resolve INCIDENT      resolve an incident by hand\n"
         "  backup DIR            write everything into a new directory; the collector may run\n"
         "  verify [DIR]          read all of a backup, or of the state directory\n"
         "  restore DIR           put a backup in place; the collector must not run\n"
         "          [--replace]   move what is there aside\n"
         "\n"
         "  --config FILE         default /etc/tocsin/collector.yaml\n"
         "  --version, --help\n"
         "\n"
         "exit codes: 0 ok, 1 failure, 2 usage, 75 try again later, 78 configuration\n";
}

namespace {

/// Values of getopt_long; kCommandOptions + N is the N-th of kOptions.
enum Value : int { kConfig = 1, kVersion, kHelp, kCommandOptions };

struct Option {
  const char* name;
  std::vector<std::string> commands;  ///< That it belongs to.
  bool has_value;
  std::function<Expected<void>(CommandLine& out, std::string value)> take;
};

Expected<void> take_every(CommandLine& out, const std::string& value) {
  const auto every = parse_duration(value);
  if (!every || *every < kExportEveryMin || *every > kExportEveryMax) {
    return fail(Errc::kInvalid, "--every wants {} to {}, such as 30s, not {}",
                format_duration(kExportEveryMin), format_duration(kExportEveryMax),
                printable(value, 64));
  }
  out.every = *every;
  return {};
}

Expected<void> take_url(CommandLine& out, std::string value) {
  while (value.ends_with('/')) value.pop_back();
  if (!value.starts_with("http://") && !value.starts_with("https://")) {
    return fail(Errc::kInvalid, "--url wants http://... or https://..., not {}", printable(value));
  }
  out.url = std::move(value);
  return {};
}

auto into(std::string CommandLine::*field) {
  return [field](CommandLine& out, std::string value) -> Expected<void> {
    out.*field = std::move(value);
    return {};
  };
}

const std::vector<Option>& options() {
  static const std::vector<Option> table = {
      {"region", {"enroll"}, true, into(&CommandLine::region)},
      {"agent", {"enroll"}, true, into(&CommandLine::agent)},
      {"expires", {"enroll"}, true, into(&CommandLine::expires)},
      {"endpoint",
       {"enroll"},
       true,
       [](CommandLine& out, std::string value) -> Expected<void> {
         out.endpoints.push_back(std::move(value));
         return {};
       }},
      {"user", {"admin-token", "set-password"}, true, into(&CommandLine::user)},
      {"replace",
       {"restore"},
       false,
       [](CommandLine& out, const std::string&) -> Expected<void> {
         out.replace = true;
         return {};
       }},
      {"page", {"export-status"}, true, into(&CommandLine::page)},
      {"out", {"export-status"}, true, into(&CommandLine::out)},
      {"every", {"export-status"}, true, take_every},
      {"url", {"export-status"}, true, take_url},
  };
  return table;
}

std::vector<option> getopt_table() {
  std::vector<option> out = {{"config", required_argument, nullptr, kConfig},
                             {"version", no_argument, nullptr, kVersion},
                             {"help", no_argument, nullptr, kHelp}};
  int value = kCommandOptions;
  for (const Option& one : options()) {
    out.push_back({one.name, one.has_value ? required_argument : no_argument, nullptr, value++});
  }
  out.push_back({nullptr, 0, nullptr, 0});
  return out;
}

/// What the command wants beside its operands.
Expected<void> check_options(const CommandLine& line, const std::vector<const Option*>& given) {
  for (const Option* one : given) {
    if (std::find(one->commands.begin(), one->commands.end(), line.command) ==
        one->commands.end()) {
      return fail(Errc::kInvalid, "--{} belongs to {}", one->name, join(one->commands, " and "));
    }
  }
  if (line.command == "enroll" && line.region.empty() == line.agent.empty()) {
    return fail(
        Errc::kInvalid,
        "enroll wants --region, the key of the region a new agent is in, or --agent, the id "
        "of the one whose key is renewed");
  }
  if (line.command != "export-status") return {};
  if (line.page.empty()) return fail(Errc::kInvalid, "export-status wants --page: a page's slug");
  if (line.out.empty()) {
    return fail(Errc::kInvalid, "export-status wants --out: the directory to publish");
  }
  return {};
}

}  // namespace

Expected<CommandLine> parse_command_line(std::vector<std::string> arguments) {
  std::string program = "tocsin-collector";
  std::vector<char*> argv = {program.data()};
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);

  CommandLine out;
  const std::vector<option> table = getopt_table();
  std::vector<const Option*> given;
  optind = 0;  // glibc: begin anew.
  opterr = 0;
  while (true) {
    const int at = optind == 0 ? 1 : optind;
    const int got =
        ::getopt_long(static_cast<int>(argv.size()) - 1, argv.data(), ":h", table.data(), nullptr);
    if (got == -1) break;
    switch (got) {
      case kConfig:
        out.config = optarg;
        break;
      case kVersion:
        out.version = true;
        break;
      case 'h':
      case kHelp:
        out.help = true;
        break;
      case ':':
        return fail(Errc::kInvalid, "{} wants a value", argv[static_cast<std::size_t>(at)]);
      case '?':
        return fail(Errc::kInvalid, "unknown option {}",
                    printable(argv[static_cast<std::size_t>(at)]));
      default: {
        const Option& one = options()[static_cast<std::size_t>(got - kCommandOptions)];
        TRY(one.take(out, optarg == nullptr ? std::string{} : std::string{optarg}));
        given.push_back(&one);
      }
    }
  }
  std::vector<std::string> words(argv.begin() + optind, argv.end() - 1);
  if (out.help || out.version) return out;
  if (!words.empty()) {
    out.command = words.front();
    out.operands.assign(words.begin() + 1, words.end());
  }
  const auto command = std::find_if(kCommands.begin(), kCommands.end(),
                                    [&](const Command& c) { return c.name == out.command; });
  if (command == kCommands.end()) {
    std::vector<std::string_view> names;
    for (const Command& c : kCommands) names.push_back(c.name);
    const auto near = did_you_mean(out.command, names);
    return fail(Errc::kInvalid, "unknown command {}{}", printable(out.command, 64),
                near.empty() ? std::string{} : fmt::format("; did you mean {}?", near));
  }
  if (out.operands.size() < command->operands) {
    return fail(Errc::kInvalid, "{} wants {}", out.command, command->operand);
  }
  if (out.operands.size() > command->operands + command->optional) {
    return fail(Errc::kInvalid, "{}: what is {} for?", out.command,
                printable(out.operands[command->operands + command->optional], 64));
  }
  TRY(check_options(out, given));
  return out;
}

}  // namespace tocsin::collector
