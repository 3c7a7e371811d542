#include "collector/ctl/command_line.h"

#include "common/base/strings.h"

#include <fmt/format.h>
#include <getopt.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace tocsin::ctl {

namespace {

struct Command {
  std::string_view name;
  std::size_t operands_min;
  std::size_t operands_max;
  const char* operand;  ///< What is missing when it is.
};

constexpr std::array kCommands = {
    Command{"login", 0, 0, ""},
    Command{"apply", 0, 0, ""},
    Command{"diff", 0, 0, ""},
    Command{"export", 0, 0, ""},
    Command{"get", 1, 2, "what to get, such as monitors"},
    Command{"run", 1, 1, "the key of a monitor"},
    Command{"phases", 1, 1, "the key of a monitor"},
    Command{"ack", 1, 1, "the incident, such as INC-42"},
    Command{"resolve", 1, 1, "the incident, such as INC-42"},
    Command{"test-notify", 1, 1, "the key of a channel"},
    Command{"secret", 2, 2, "set NAME or delete NAME"},
    Command{"completion", 1, 1, "the shell: bash"},
};

constexpr std::string_view kCollections =
    "monitors regions services escalation-policies channels status-pages users contact-methods "
    "notification-rules incidents agents enrolments deliveries tokens secrets audit";

}  // namespace

const char* usage() {
  return "usage: tocsinctl COMMAND [OPTIONS]\n"
         "\n"
         "  login                 keep the URL and a token (read from standard input)\n"
         "  apply -f FILE         show what FILE changes, ask, change it all or nothing\n"
         "        [--prune]       delete what an earlier apply made and FILE lacks\n"
         "        [--yes]         do not ask\n"
         "  diff -f FILE          only show it\n"
         "  export [-o FILE]      everything in the form that apply reads\n"
         "  get COLLECTION [KEY]  list or show: monitors, incidents, agents ...\n"
         "  run MONITOR           check now from every region of the monitor\n"
         "  phases MONITOR        where the time of its checks went, by region\n"
         "        [--since 24h]   how far back, 92 days at most\n"
         "  ack INCIDENT          acknowledge it\n"
         "  resolve INCIDENT      resolve it by hand; [--note TEXT]\n"
         "  test-notify CHANNEL   send a test message and wait for its fate\n"
         "  secret set NAME       keep a secret for monitors, read from -f FILE or asked for\n"
         "  secret delete NAME    forget it\n"
         "  completion bash       print a completion script\n"
         "\n"
         "  --url URL             default http://127.0.0.1:7400, $TOCSIN_URL or login's\n"
         "  --json                answers of the API as they are\n"
         "  --version, --help\n"
         "\n"
         "The token comes from $TOCSIN_TOKEN or from login's file.\n"
         "exit codes: 0 ok, 1 failure, 2 usage, 75 try again later\n";
}

std::string bash_completion() {
  std::string names;
  for (const Command& command : kCommands) names += std::string{command.name} + " ";
  return fmt::format(
      "_tocsinctl() {{\n"
      "  local word=${{COMP_WORDS[COMP_CWORD]}} command=${{COMP_WORDS[1]}}\n"
      "  case $command in\n"
      "    apply|diff|export) COMPREPLY=($(compgen -f -W '-f -o --prune --yes --json' -- "
      "\"$word\")) "
      ";;\n"
      "    get) ((COMP_CWORD == 2)) && COMPREPLY=($(compgen -W '{}' -- \"$word\")) ;;\n"
      "    secret) ((COMP_CWORD == 2)) && COMPREPLY=($(compgen -W 'set delete' -- \"$word\")) ;;\n"
      "    completion) COMPREPLY=($(compgen -W bash -- \"$word\")) ;;\n"
      "    *) ((COMP_CWORD == 1)) && COMPREPLY=($(compgen -W '{}' -- \"$word\")) ;;\n"
      "  esac\n"
      "}}\n"
      "complete -o filenames -F _tocsinctl tocsinctl\n",
      kCollections, names);
}

Expected<CommandLine> parse_command_line(std::vector<std::string> arguments) {
  enum Option : int { kUrl = 1, kNote, kSince, kJson, kYes, kPrune, kVersion };

  static constexpr option kOptions[] = {
      {"url", required_argument, nullptr, kUrl},
      {"file", required_argument, nullptr, 'f'},
      {"out", required_argument, nullptr, 'o'},
      {"note", required_argument, nullptr, kNote},
      {"since", required_argument, nullptr, kSince},
      {"json", no_argument, nullptr, kJson},
      {"yes", no_argument, nullptr, kYes},
      {"prune", no_argument, nullptr, kPrune},
      {"version", no_argument, nullptr, kVersion},
      {"help", no_argument, nullptr, 'h'},
      {nullptr, 0, nullptr, 0},
  };
  std::string program = "tocsinctl";
  std::vector<char*> argv = {program.data()};
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);

  CommandLine out;
  optind = 0;  // glibc: begin anew.
  opterr = 0;
  while (true) {
    const int at = optind == 0 ? 1 : optind;
    const int got =
        ::getopt_long(static_cast<int>(argv.size()) - 1, argv.data(), ":hf:o:", kOptions, nullptr);
    if (got == -1) break;
    switch (got) {
      case kUrl:
        out.url = optarg;
        break;
      case 'f':
      case 'o':
        out.file = optarg;
        break;
      case kNote:
        out.note = optarg;
        break;
      case kSince: {
        const auto since = parse_duration(optarg);
        if (!since) return fail(Errc::kInvalid, "--since: {}", since.error().text);
        if (*since <= Duration{0}) return fail(Errc::kInvalid, "--since: expected more than 0");
        out.since = *since;
        break;
      }
      case kJson:
        out.json = true;
        break;
      case kYes:
        out.yes = true;
        break;
      case kPrune:
        out.prune = true;
        break;
      case kVersion:
        out.version = true;
        break;
      case 'h':
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
  if (words.empty()) return fail(Errc::kInvalid, "expected a command");
  out.command = words.front();
  out.operands.assign(words.begin() + 1, words.end());
  const auto command = std::find_if(kCommands.begin(), kCommands.end(),
                                    [&](const Command& c) { return c.name == out.command; });
  if (command == kCommands.end()) {
    std::vector<std::string_view> names;
    for (const Command& c : kCommands) names.push_back(c.name);
    const auto near = did_you_mean(out.command, names);
    return fail(Errc::kInvalid, "unknown command {}{}", printable(out.command, 64),
                near.empty() ? std::string{} : fmt::format("; did you mean {}?", near));
  }
  if (out.operands.size() < command->operands_min) {
    return fail(Errc::kInvalid, "{} wants {}", out.command, command->operand);
  }
  if (out.operands.size() > command->operands_max) {
    return fail(Errc::kInvalid, "{}: what is {} for?", out.command,
                printable(out.operands[command->operands_max], 64));
  }
  if ((out.command == "apply" || out.command == "diff") && out.file.empty()) {
    return fail(Errc::kInvalid, "{} wants -f FILE", out.command);
  }
  if (out.command == "secret" && out.operands[0] != "set" && out.operands[0] != "delete") {
    return fail(Errc::kInvalid, "secret wants set or delete, not {}",
                printable(out.operands[0], 64));
  }
  if (out.command == "completion" && out.operands[0] != "bash") {
    return fail(Errc::kInvalid, "completion knows bash, not {}", printable(out.operands[0], 64));
  }
  return out;
}

}  // namespace tocsin::ctl
