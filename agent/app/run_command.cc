#include "agent/app/run_command.h"

#include "agent/app/agent.h"
#include "agent/app/command_line.h"
#include "agent/compat/probe_server.h"
#include "agent/probe/probe_pool.h"
#include "common/io/build_info.h"
#include "common/io/sd_notify.h"
#include "common/io/signals.h"

#include <algorithm>
#include <cstdio>
#include <sys/resource.h>
#include <sys/stat.h>

namespace tocsin::agent {

namespace {

void print_errors(const std::vector<std::string>& lines) {
  for (const std::string& line : lines) std::fprintf(stderr, "%s\n", line.c_str());
}

/// What the agent's file says of every probe, whoever asks for it.
Expected<ProbePoolOptions> pool_options(const std::string& region, const AgentConfig& config) {
  ProbePoolOptions options;
  options.egress = config.egress;
  options.region = region;
  options.secrets_dir = config.secrets_dir;
  options.proxies = config.proxies;
  for (const std::string& resolver : config.resolvers) {
    TRY_ASSIGN(const io::DnsServer server, io::DnsServer::parse(resolver));
    options.dns_servers.push_back(server);
  }
  return options;
}

Expected<std::unique_ptr<ProbeRunner>> make_probes(io::EventLoop& loop, const std::string& region,
                                                   const AgentConfig& config,
                                                   const SecretStore& secrets) {
  TRY_ASSIGN(ProbePoolOptions options, pool_options(region, config));
  options.stored = &secrets;
  TRY_ASSIGN(auto pool, ProbePool::open(loop, std::move(options)));
  return std::unique_ptr<ProbeRunner>(std::move(pool));
}

/// A pool for /probe: its proxies are those of the modules file, and it has no secrets of monitors.
ProbeServer::MakePool probe_pools(io::EventLoop& loop, const std::string& region,
                                  const AgentConfig& config) {
  return [&loop, region, config](
             const std::vector<ProxySettings>& proxies) -> Expected<std::unique_ptr<ProbePool>> {
    TRY_ASSIGN(ProbePoolOptions options, pool_options(region, config));
    options.secrets_dir.clear();
    options.proxies = proxies;
    return ProbePool::open(loop, std::move(options));
  };
}

/// What the file and the identity must agree on before anything starts.
Expected<void> check_together(const AgentConfig& config, const Identity& identity) {
  if (!config.region.empty() && config.region != identity.region) {
    return fail(Errc::kInvalid,
                "{}: region: is {}, but {} was enrolled for {}; correct the file or enrol anew",
                config.where("region"), config.region, config.identity_path(), identity.region);
  }
  if (config.endpoints.empty() && identity.endpoints.empty()) {
    return fail(Errc::kInvalid, "{}: collector.endpoints: missing, and the enrolment named none",
                config.file);
  }
  if (config.server_keys.empty() && identity.server_keys.empty()) {
    return fail(Errc::kInvalid, "{}: collector.server_keys: missing, and the enrolment named none",
                config.file);
  }
  return {};
}

Expected<Identity> find_identity(const AgentConfig& config) {
  auto identity = load_identity(config.identity_path());
  if (!identity && identity.error().code == Errc::kNotFound) {
    return fail(Errc::kNotFound,
                "{} was not enrolled yet: run tocsin-collector enroll --region REGION on the "
                "collector, then tocsin-agent enroll BUNDLE --config {} here",
                config.state_dir, config.file);
  }
  if (identity) TRY(check_together(config, *identity));
  return identity;
}

/// Each attempt under way needs a descriptor, and the soft limit of most systems is 1024.
void raise_descriptor_limit(const AgentConfig& config) {
  constexpr rlim_t kBeside = 192;  // Spool, link, HTTP, resolver, log, and some spare.
  rlim_t wanted = static_cast<rlim_t>(config.max_in_flight) + kBeside;
  // Prometheus' connections, and those of the probes that they ask for.
  if (config.probe) wanted += ProbeServer::kConnectionsMax + 2 * ProbeServer::kProbesMax;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min(limit.rlim_max, wanted);
  if (::setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= wanted) return;
  log::warning("fewer descriptors than max_in_flight needs: raise LimitNOFILE or lower it",
               {{"wanted", wanted}, {"have", limit.rlim_cur}});
}

void tell_service_manager(std::string_view state) {
  const auto told = io::sd_notify(state);
  if (!told) log::warning("service manager not told", {{"error", told.error()}});
}

/// A state directory that another process holds may be free soon; a taken port is a mistake in a
/// file.
int exit_status(Errc code) {
  if (code == Errc::kUnavailable) return kExitTemporary;
  return code == Errc::kExists || code == Errc::kInvalid ? kExitConfiguration : 1;
}

/// The running service: signals and the service manager's watchdog around an Agent.
class Service {
 public:
  Service(io::EventLoop& loop, std::string config_file)
      : loop_(loop),
        config_file_(std::move(config_file)),
        signals_(loop, {SIGTERM, SIGINT, SIGHUP}, [this](int signal) { on_signal(signal); }) {}

  int run(SystemClock& clock, AgentConfig config, Identity identity) {
    const std::string region = identity.region;
    const std::string agent_id = identity.agent.str();
    region_ = region;
    if (!open_probe_server(config)) return kExitConfiguration;
    auto opened =
        Agent::open({.loop = loop_,
                     .clock = clock,
                     .config = std::move(config),
                     .identity = std::move(identity),
                     .make_runner =
                         [this, region](const AgentConfig& c, const SecretStore& secrets) {
                           return make_probes(loop_, region, c, secrets);
                         },
                     .on_drained = [this] { loop_.stop(); }});
    if (!opened) {
      log::error("agent cannot start", {{"error", opened.error()}});
      return exit_status(opened.error().code);
    }
    agent_ = std::move(*opened);
    log::info("agent started", {{"version", io::version()},
                                {"agent", agent_id},
                                {"region", region},
                                {"listen", agent_->http_port()}});
    tell_service_manager("READY=1");
    feed_watchdog();
    loop_.run();
    probe_server_.reset();
    agent_.reset();
    log::info("agent stopped");
    return 0;
  }

 private:
  void on_signal(int signal) {
    if (!agent_) return loop_.stop();
    if (signal == SIGHUP) return reload();
    if (stopping_) {
      log::warning("second signal: stopping at once");
      return loop_.stop();
    }
    stopping_ = true;
    probe_server_.reset();
    tell_service_manager("STOPPING=1");
    agent_->drain(signal == SIGTERM ? "SIGTERM" : "SIGINT");
  }

  void reload() {
    auto config = load_agent_config(config_file_, process_environment);
    if (!config) {
      for (const std::string& line : config.error()) {
        log::error("configuration not taken over", {{"error", line}});
      }
      return;
    }
    reload_probe_server(*config);
    agent_->reload(std::move(*config));
  }

  /// False: it cannot be opened, and the log says why.
  bool open_probe_server(const AgentConfig& config) {
    probe_ = config.probe;
    if (!probe_) return true;
    ProbeServer::Options options;
    options.listen = probe_->listen;
    options.modules_file = probe_->modules_file;
    options.make_pool = probe_pools(loop_, region_, config);
    auto opened = ProbeServer::open(loop_, std::move(options));
    if (!opened) {
      log::error("probe endpoint cannot start",
                 {{"where", config.where("probe")}, {"error", opened.error()}});
      return false;
    }
    probe_server_ = std::move(*opened);
    log::info("answering probes", {{"listen", probe_->listen}, {"port", probe_server_->port()}});
    return true;
  }

  void reload_probe_server(const AgentConfig& config) {
    const bool same = config.probe.has_value() == probe_.has_value() &&
                      (!probe_ || config.probe->listen == probe_->listen);
    if (!same) log::warning("a changed probe.listen needs a restart");
    if (!probe_server_ || !config.probe) return;
    const auto loaded =
        probe_server_->reload(config.probe->modules_file, probe_pools(loop_, region_, config));
    if (!loaded) log::error("probe modules not taken over", {{"error", loaded.error()}});
  }

  void feed_watchdog() {
    const auto every = io::sd_watchdog();
    if (!every) return;
    tell_service_manager("WATCHDOG=1");
    watchdog_ = loop_.after(*every / 2, [this] { feed_watchdog(); });
  }

  io::EventLoop& loop_;
  const std::string config_file_;
  io::Signals signals_;
  std::string region_;
  std::optional<ProbeEndpoint> probe_;  ///< As it was at the start.
  std::unique_ptr<ProbeServer> probe_server_;
  std::unique_ptr<Agent> agent_;
  io::TimerHandle watchdog_;
  bool stopping_ = false;
};

/// False, with the errors said, when the agent would not start with it.
bool check_probe_modules(const std::string& file) {
  const auto modules = load_blackbox_modules(file);
  if (!modules) {
    print_errors(modules.error());
    return false;
  }
  for (const std::string& notice : modules->notices) std::printf("note: %s\n", notice.c_str());
  return true;
}

}  // namespace

int run_agent(const std::string& config_file) {
  ::umask(077);
  io::ignore_sigpipe();
  auto config = load_agent_config(config_file, process_environment);
  if (!config) {
    print_errors(config.error());
    return kExitConfiguration;
  }
  log::configure(config->log);
  raise_descriptor_limit(*config);
  auto identity = find_identity(*config);
  if (!identity) {
    std::fprintf(stderr, "%s\n", identity.error().text.c_str());
    return kExitConfiguration;
  }
  SystemClock clock;
  io::EventLoop loop(clock);
  Service service(loop, config_file);
  return service.run(clock, std::move(*config), std::move(*identity));
}

int check_agent_config(const std::string& config_file) {
  const auto config = load_agent_config(config_file, process_environment);
  if (!config) {
    print_errors(config.error());
    return kExitConfiguration;
  }
  for (const std::string& resolver : config->resolvers) {
    const auto server = io::DnsServer::parse(resolver);
    if (server) continue;
    std::fprintf(stderr, "%s: resolvers: %s\n", config->where("resolvers").c_str(),
                 server.error().text.c_str());
    return kExitConfiguration;
  }
  if (config->probe && !check_probe_modules(config->probe->modules_file)) {
    return kExitConfiguration;
  }
  const auto identity = find_identity(*config);
  if (!identity && identity.error().code == Errc::kInvalid) {
    std::fprintf(stderr, "%s\n", identity.error().text.c_str());
    return kExitConfiguration;
  }
  if (!identity) std::printf("note: %s\n", identity.error().text.c_str());
  std::printf("%s: ok\n", config_file.c_str());
  return 0;
}

}  // namespace tocsin::agent
