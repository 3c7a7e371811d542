#pragma once
// Question answered here: how does a Prometheus that is used to blackbox_exporter ask this agent?
//
// The paths of blackbox_exporter 0.23.0: /probe, /metrics, /config, /-/healthy, /-/reload and a
// page with links. Everything a request can say is which target and which module; what the agent
// may reach is said by its own file, and what a module asks by the modules file.

#include "agent/compat/blackbox_modules.h"
#include "agent/compat/probe_run.h"
#include "agent/probe/probe_pool.h"
#include "common/io/event_loop.h"
#include "common/io/http_server.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::agent {

/// One thread: the loop's.
class ProbeServer {
 public:
  /// Probes under way; beyond it the answer is 503 and Prometheus' next scrape asks again.
  static constexpr std::size_t kProbesMax = 256;
  static constexpr std::size_t kConnectionsMax = 512;

  /// A pool whose monitors may name these proxies and no others.
  using MakePool =
      std::function<Expected<std::unique_ptr<ProbePool>>(const std::vector<ProxySettings>&)>;

  struct Options {
    std::string listen;        ///< "127.0.0.1:9115"
    std::string modules_file;  ///< Empty: the exporter's default modules.
    MakePool make_pool;
  };

  /// Reads the modules, then listens. kInvalid: the modules file, every error on a line of its own;
  /// kExists: the address is taken.
  static Expected<std::unique_ptr<ProbeServer>> open(io::EventLoop& loop, Options options);
  /// Cancels what is under way.
  ~ProbeServer();
  ProbeServer(const ProbeServer&) = delete;
  ProbeServer& operator=(const ProbeServer&) = delete;

  std::uint16_t port() const { return http_->port(); }

  /// Takes the modules over as they are now, and with them another way to make pools (egress and
  /// resolvers may have changed). After an error everything is as before. Probes under way end as
  /// they began.
  Expected<void> reload(std::string modules_file, MakePool make_pool);

 private:
  struct Session {
    std::optional<io::HttpResponder> responder;  ///< Empty once answered.
    std::unique_ptr<ProbeRun> run;
  };

  ProbeServer(io::EventLoop& loop, Options options);

  Expected<void> load();
  void answer(const codec::HttpRequest& request, io::HttpResponder responder);
  void probe(const codec::HttpRequest& request, io::HttpResponder responder);
  void begin(ProbeQuestion question, bool debug, io::HttpResponder responder);
  /// `shown`: with what happened and this module's configuration; null: the figures alone.
  void on_done(std::uint64_t id, const BlackboxModule* shown, const ProbeAnswer& answer);
  void forget(std::uint64_t id);
  void reload_on_request(io::HttpResponder responder);
  std::string metrics() const;
  std::string config() const;

  io::EventLoop& loop_;
  std::string modules_file_;
  MakePool make_pool_;
  BlackboxModules modules_;
  std::shared_ptr<ProbePool> pool_;  ///< Shared with runs under way, which outlive a reload.
  std::map<std::uint64_t, Session> sessions_;
  std::uint64_t next_ = 1;
  std::vector<Session> ended_;  ///< They may be on the stack: gone in a later turn.
  io::TimerHandle sweep_;
  bool loaded_ = false;  ///< The last reading of the modules went well,
  WallTime loaded_at_;   ///< at this moment.
  std::uint64_t succeeded_ = 0;
  std::uint64_t failed_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t cancelled_ = 0;
  std::uint64_t unknown_modules_ = 0;
  std::unique_ptr<io::HttpServer> http_;  ///< First to go.
};

}  // namespace tocsin::agent
