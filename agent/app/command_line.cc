#include "agent/app/command_line.h"

#include "common/base/strings.h"

#include <getopt.h>

#include <map>
#include <string_view>

namespace tocsin::agent {

namespace {

const std::map<std::string_view, Command>& commands() {
  static const std::map<std::string_view, Command> table{{"run", Command::kRun},
                                                         {"enroll", Command::kEnroll},
                                                         {"check-config", Command::kCheckConfig},
                                                         {"check", Command::kCheck}};
  return table;
}

Expected<Command> find_command(std::string_view word) {
  const auto at = commands().find(word);
  if (at != commands().end()) return at->second;
  std::vector<std::string_view> known;
  for (const auto& [name, command] : commands()) known.push_back(name);
  const std::string_view near = did_you_mean(word, known);
  return fail(Errc::kInvalid, "unknown command \"{}\"{}", printable(word, 40),
              near.empty() ? std::string{} : fmt::format("; did you mean {}?", near));
}

Expected<void> read_options(std::vector<std::string>& words, CommandLine& out,
                            std::vector<std::string>& rest) {
  static const option kOptions[] = {{"config", required_argument, nullptr, 'c'},
                                    {"state-dir", required_argument, nullptr, 's'},
                                    {"version", no_argument, nullptr, 'V'},
                                    {"help", no_argument, nullptr, 'h'},
                                    {nullptr, 0, nullptr, 0}};
  std::string program = "tocsin-agent";
  std::vector<char*> argv{program.data()};
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const int argc = static_cast<int>(argv.size()) - 1;
  optind = 0;  // glibc: begin anew, also for a second call in one process.
  while (true) {
    const int c = ::getopt_long(argc, argv.data(), ":c:Vh", kOptions, nullptr);
    if (c < 0) break;
    const std::string given = optind > 0 ? argv[static_cast<std::size_t>(optind) - 1] : "";
    switch (c) {
      case 'c':
        out.config = optarg;
        break;
      case 's':
        out.state_dir = optarg;
        break;
      case 'V':
        out.command = Command::kVersion;
        break;
      case 'h':
        out.command = Command::kHelp;
        break;
      case ':':
        return fail(Errc::kInvalid, "{} needs a value", printable(given, 40));
      default:
        return fail(Errc::kInvalid, "unknown option {}", printable(given, 40));
    }
  }
  for (int i = optind; i < argc; ++i) rest.emplace_back(argv[static_cast<std::size_t>(i)]);
  return {};
}

Expected<void> check_arguments(const CommandLine& line, const std::vector<std::string>& rest) {
  const std::size_t wanted = line.command == Command::kEnroll ? 1 : 0;
  if (line.command == Command::kVersion || line.command == Command::kHelp) return {};
  if (rest.size() > wanted) {
    return fail(Errc::kInvalid, "unexpected argument \"{}\"", printable(rest[wanted], 40));
  }
  if (rest.size() < wanted) return fail(Errc::kInvalid, "enroll needs the bundle's file, or -");
  if (line.config.empty() && line.command != Command::kEnroll) {
    return fail(Errc::kInvalid, "--config FILE is missing");
  }
  if (!line.state_dir.empty() && line.command != Command::kEnroll) {
    return fail(Errc::kInvalid, "--state-dir belongs to enroll; elsewhere it is a key of the file");
  }
  return {};
}

}  // namespace

Expected<CommandLine> parse_command_line(const std::vector<std::string>& arguments) {
  CommandLine out;
  std::vector<std::string> words = arguments;
  if (!words.empty() && !words.front().starts_with('-')) {
    TRY_ASSIGN(out.command, find_command(words.front()));
    words.erase(words.begin());
  }
  if (out.command == Command::kCheck) {
    out.check_arguments = std::move(words);
    return out;
  }
  std::vector<std::string> rest;
  TRY(read_options(words, out, rest));
  TRY(check_arguments(out, rest));
  if (out.command == Command::kEnroll) out.bundle = rest.front();
  return out;
}

const char* usage() {
  return "tocsin-agent: runs the checks of one region and reports to a collector\n"
         "\n"
         "  tocsin-agent [run] --config FILE        run until SIGTERM; SIGHUP reads FILE again\n"
         "  tocsin-agent enroll BUNDLE [--config FILE | --state-dir DIR]\n"
         "                                          become known to a collector; BUNDLE is what\n"
         "                                          tocsin-collector enroll printed, - is stdin\n"
         "  tocsin-agent check-config --config FILE say what is wrong with FILE\n"
         "  tocsin-agent check URL [...]            one check now, with a waterfall of its "
         "phases;\n"
         "                                          see tocsin-agent check --help\n"
         "  tocsin-agent --version | --help\n"
         "\n"
         "Exit status: 0 done, 1 failed, 2 wrong usage, 75 try again later, 78 wrong "
         "configuration;\n"
         "of check: 0 up, 1 degraded, 2 down, 3 could not check.\n";
}

}  // namespace tocsin::agent
