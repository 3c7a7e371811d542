#include "agent/app/enroll_command.h"

#include "agent/app/agent_config.h"
#include "agent/app/bundle.h"
#include "agent/app/enrol.h"
#include "common/base/clock.h"
#include "common/io/event_loop.h"
#include "common/io/file.h"
#include "common/io/log.h"
#include "common/io/privileges.h"
#include "common/io/signals.h"

#include <cstdio>
#include <sys/stat.h>

namespace tocsin::agent {

namespace {

constexpr std::size_t kBundleMax = 64 * 1024;

void print_errors(const std::vector<std::string>& lines) {
  for (const std::string& line : lines) std::fprintf(stderr, "%s\n", line.c_str());
}

int exit_status(Errc code) {
  if (code == Errc::kUnavailable || code == Errc::kTimeout) return kExitTemporary;
  const bool a_person_must_act =
      code == Errc::kInvalid || code == Errc::kDenied || code == Errc::kExists;
  return a_person_must_act ? kExitConfiguration : 1;
}

/// Where this agent keeps its state: the file's word, the option's, or the default of the region.
struct Place {
  EnrolOptions options;
  bool has_file = false;
};

tl::expected<Place, std::vector<std::string>> find_place(const CommandLine& line,
                                                         const Bundle& bundle) {
  AgentConfig config;
  config.state_dir = "/var/lib/tocsin-agent/" + bundle.region;
  Place out;

  struct stat st {};

  if (!line.config.empty() && ::stat(line.config.c_str(), &st) == 0) {
    auto loaded = load_agent_config(line.config, process_environment);
    if (!loaded) return tl::unexpected(std::move(loaded).error());
    config = std::move(*loaded);
    out.has_file = true;
    if (!config.region.empty() && config.region != bundle.region) {
      return tl::unexpected(std::vector<std::string>{
          fmt::format("{}: region: is {}, but the bundle is for {}", config.where("region"),
                      config.region, bundle.region)});
    }
  }
  if (!line.state_dir.empty()) config.state_dir = line.state_dir;
  out.options = {.state_dir = config.state_dir,
                 .identity_path = config.identity_path(),
                 .pending_path = config.pending_path()};
  return out;
}

void print_snippet(const std::string& state_dir) {
  std::printf(
      "# Save this as the agent's file, for instance /etc/tocsin/agent-REGION.yaml.\n"
      "state_dir: %s\n"
      "listen: 127.0.0.1:7402\n"
      "# public: only globally routable targets. private: only what allow lists.\n"
      "egress: {class: public, allow: [], deny: []}\n"
      "log: info\n",
      yaml_quoted(state_dir).c_str());
}

}  // namespace

int enroll_agent(const CommandLine& line) {
  ::umask(077);
  io::ignore_sigpipe();
  log::configure({.level = log::Level::kWarning});
  const std::string path = line.bundle == "-" ? "/dev/stdin" : line.bundle;
  const auto text = io::read_file(path, kBundleMax);
  if (!text) {
    std::fprintf(stderr, "%s\n", text.error().text.c_str());
    return 1;
  }
  const auto bundle = parse_bundle(*text, line.bundle);
  if (!bundle) {
    print_errors(bundle.error());
    return kExitConfiguration;
  }
  const auto place = find_place(line, *bundle);
  if (!place) {
    print_errors(place.error());
    return kExitConfiguration;
  }
  if (const auto became = io::become_owner_of(place->options.state_dir); !became) {
    std::fprintf(stderr, "%s\n", became.error().text.c_str());
    return 1;
  }
  SystemClock clock;
  io::EventLoop loop(clock);
  const auto identity = enrol(loop, *bundle, place->options);
  if (!identity) {
    std::fprintf(stderr, "%s\n", identity.error().text.c_str());
    return exit_status(identity.error().code);
  }
  std::fprintf(stderr, "enrolled as agent %s of region %s; its key stands in %s\n",
               identity->agent.str().c_str(), identity->region.c_str(),
               place->options.identity_path.c_str());
  if (!place->has_file) print_snippet(place->options.state_dir);
  return 0;
}

}  // namespace tocsin::agent
