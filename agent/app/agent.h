#pragma once
// Question answered here: how do the agent's parts become one program?
//
// The conductor decides; this carries out. Events go in at one place, one after the other; the
// commands that come out are done in order before the next event is looked at. Everything here is
// on the loop's thread; the spool's syncs and the link have threads of their own behind mailboxes.

#include "agent/app/agent_config.h"
#include "agent/app/agent_metrics.h"
#include "agent/app/identity.h"
#include "agent/core/conductor.h"
#include "agent/ports/probe_runner.h"
#include "agent/probe/secret_store.h"
#include "agent/spool/file_disk.h"
#include "agent/spool/frame_writer.h"
#include "agent/uplink/uplink.h"
#include "common/base/clock.h"
#include "common/base/rng.h"
#include "common/io/event_loop.h"
#include "common/io/file.h"
#include "common/io/http_server.h"
#include "common/io/log.h"

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tocsin::agent {

/// How the agent gets the part that makes attempts; asked again when the configuration is reloaded.
/// The secrets outlive it.
using MakeRunner =
    std::function<Expected<std::unique_ptr<ProbeRunner>>(const AgentConfig&, const SecretStore&)>;

class Agent {
 public:
  /// Between two looks at the machine: spool, descriptors, wall clock.
  static constexpr Duration kMeasureEvery = std::chrono::seconds{1};

  struct Parts {
    io::EventLoop& loop;  ///< Outlives the agent, as does the clock.
    SystemClock& clock;   ///< The loop's.
    AgentConfig config;
    Identity identity;
    MakeRunner make_runner;
    std::function<void()> on_drained;  ///< The agent may be destroyed; called once, from the loop.
  };

  /// Takes the state directory's lock, recovers the spool, loads the cached assignment, listens and
  /// starts connecting. kUnavailable: another process has the state directory. kExists: the
  /// `listen` address is taken; the text names where it was configured.
  static Expected<std::unique_ptr<Agent>> open(Parts parts);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  /// SIGHUP: takes over what can change in a running agent (log level and format, egress,
  /// resolvers) and says in the log what cannot.
  void reload(AgentConfig config);

  /// SIGTERM: starts nothing new, lets attempts under way end, spools, sends, says Goodbye, then
  /// calls on_drained; at the latest after shutdown_grace.
  void drain(std::string why);

  std::uint16_t http_port() const { return http_->port(); }

 private:
  /// Reads the frame writer for the conductor.
  class View;

  /// A runner and how many of its attempts are under way. After a reload the old one stays until
  /// its last attempt has ended.
  struct Runner {
    std::unique_ptr<ProbeRunner> probes;
    std::size_t under_way = 0;
  };

  /// The attempt under way of a run.
  struct Attempting {
    Runner* runner = nullptr;
    std::unique_ptr<ProbeHandle> handle;
  };

  Agent(Parts parts, io::FileLock lock);

  Expected<void> start();
  Expected<void> open_spool();
  Expected<void> open_http();
  void open_uplink();
  void load_cached_assignment();

  void feed(AgentEvent event);
  void process();
  void step_all();
  void settle();
  void arm();

  void carry_out(StartAttempt command);
  void carry_out(const CancelRun& command);
  void carry_out(const SpoolResult& command);
  void carry_out(const SendFrame& command);
  void carry_out(const SendMessage& command);
  void carry_out(const ReleaseFrames& command);
  void carry_out(const RestreamFrames& command);
  void carry_out(const DropLink& command);
  void carry_out(const AssignmentChanged& command);
  void carry_out(const Notice& command);

  void on_spool(SpoolEvent event);
  void on_uplink(UplinkEvent event);
  void on_link_down(const UplinkDown& down);
  void end_attempt(RunId run);
  void retire_runners();

  void measure();
  void notice_spool_state();
  void store_assignment_soon();
  void keep_slots_done(WallTime until);
  WallTime load_slots_done() const;
  void answer(const codec::HttpRequest& request, io::HttpResponder responder);
  io::HttpResponse readiness();

  void check_drained();
  void finish();

  io::EventLoop& loop_;
  SystemClock& clock_;
  AgentConfig config_;
  const Identity identity_;
  const MakeRunner make_runner_;
  std::function<void()> on_drained_;
  const io::FileLock lock_;
  Rng rng_;
  AgentMetrics metrics_;
  log::RateLimit repeats_;

  std::unique_ptr<FileDisk> disk_;
  std::unique_ptr<FrameWriter> writer_;
  std::unique_ptr<View> view_;
  std::unique_ptr<Conductor> conductor_;
  SecretStore secrets_;
  std::list<Runner> runners_;  ///< The last one is the current one.
  std::map<RunId, Attempting> attempting_;
  std::unique_ptr<Uplink> uplink_;
  std::unique_ptr<io::HttpServer> http_;

  static constexpr std::size_t kEventsKept = 64;
  std::vector<AgentEvent> events_;  ///< Keeps room for kEventsKept.
  std::vector<AgentCommand> commands_;
  bool processing_ = false;
  bool flushed_ = false;
  bool draining_ = false;
  bool goodbye_sent_ = false;
  std::string spool_trouble_;  ///< As last logged.
  io::TimerHandle wake_;
  io::TimerHandle measure_;
  io::TimerHandle step_;
  io::TimerHandle retire_;
  io::TimerHandle store_assignment_;
  io::TimerHandle grace_;
  io::TimerHandle finish_;
};

}  // namespace tocsin::agent
