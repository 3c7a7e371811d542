#include "collector/app/command_line.h"

#include "common/base/strings.h"

#include <getopt.h>

#include <algorithm>
#include <array>
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
         "         [--expires 24h] [--endpoint tcp://HOST:PORT]...\n"
         "  admin-token           print an API token of an admin, once\n"
         "         [--user KEY]   default admin; made if there is no such user\n"
         "  set-password          set a user's password, read from the terminal or from stdin\n"
         "         [--user KEY]   default admin; made if nobody has a password yet\n"
         "  agents                list the agents\n"
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

Expected<CommandLine> parse_command_line(std::vector<std::string> arguments) {
  enum Option : int { kConfig = 1, kRegion, kExpires, kEndpoint, kUser, kReplace, kVersion, kHelp };

  static constexpr option kOptions[] = {
      {"config", required_argument, nullptr, kConfig},
      {"region", required_argument, nullptr, kRegion},
      {"expires", required_argument, nullptr, kExpires},
      {"endpoint", required_argument, nullptr, kEndpoint},
      {"user", required_argument, nullptr, kUser},
      {"replace", no_argument, nullptr, kReplace},
      {"version", no_argument, nullptr, kVersion},
      {"help", no_argument, nullptr, kHelp},
      {nullptr, 0, nullptr, 0},
  };
  std::string program = "tocsin-collector";
  std::vector<char*> argv = {program.data()};
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);

  CommandLine out;
  bool enroll_option = false;
  optind = 0;  // glibc: begin anew.
  opterr = 0;
  while (true) {
    const int at = optind == 0 ? 1 : optind;
    const int got =
        ::getopt_long(static_cast<int>(argv.size()) - 1, argv.data(), ":h", kOptions, nullptr);
    if (got == -1) break;
    switch (got) {
      case kConfig:
        out.config = optarg;
        break;
      case kRegion:
        out.region = optarg;
        enroll_option = true;
        break;
      case kExpires:
        out.expires = optarg;
        enroll_option = true;
        break;
      case kEndpoint:
        out.endpoints.emplace_back(optarg);
        enroll_option = true;
        break;
      case kUser:
        out.user = optarg;
        break;
      case kReplace:
        out.replace = true;
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
      default:
        return fail(Errc::kInvalid, "unknown option {}",
                    printable(argv[static_cast<std::size_t>(at)]));
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
  if (out.command == "enroll" && out.region.empty()) {
    return fail(Errc::kInvalid, "enroll wants --region: the key of the region the agent is in");
  }
  if (out.command != "admin-token" && out.command != "set-password" && !out.user.empty()) {
    return fail(Errc::kInvalid, "--user belongs to admin-token and set-password");
  }
  if (out.command != "restore" && out.replace) {
    return fail(Errc::kInvalid, "--replace belongs to restore");
  }
  if (out.command != "enroll" && enroll_option) {
    return fail(Errc::kInvalid, "--region, --expires and --endpoint belong to enroll");
  }
  return out;
}

}  // namespace tocsin::collector
