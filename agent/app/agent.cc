#include "agent/app/agent.h"

#include "agent/app/assignment_cache.h"
#include "agent/app/host.h"
#include "common/base/bytes.h"
#include "common/base/strings.h"
#include "common/codec/json.h"
#include "common/io/build_info.h"
#include "common/io/file.h"
#include "common/io/random.h"

#include <fcntl.h>
#include <malloc.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <sys/resource.h>

namespace tocsin::agent {

namespace {

/// A change of the assignment is written to the cache this much later, with those that follow it.
constexpr Duration kAssignmentDelay = std::chrono::seconds{1};
constexpr Duration kRepeat = std::chrono::seconds{60};
/// With fewer descriptors left than this the agent calls itself short of them.
constexpr int kDescriptorsSpare = 64;

std::uint64_t random_seed() {
  std::array<std::uint8_t, 8> bytes{};
  io::fill_random(bytes);
  return ByteReader(bytes).u64();
}

/// The kernel gives out the lowest free number: what it gives now tells how many are in use.
bool descriptors_short() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return false;
  const io::Fd probe(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!probe) return true;
  return static_cast<rlim_t>(probe.get()) + kDescriptorsSpare > limit.rlim_cur;
}

}  // namespace

class Agent::View final : public SpoolView {
 public:
  explicit View(const FrameWriter& writer)
      : writer_(writer) {}

  std::vector<StreamOffer> offers() const override { return writer_.offers(); }

  std::vector<FrameRef> frames_after(const StreamId& stream, std::uint64_t seq,
                                     std::size_t limit) const override {
    return writer_.frames_after(stream, seq, limit);
  }

  std::optional<Digest16> digest_of(const StreamId& stream, std::uint64_t seq) const override {
    return writer_.digest_of(stream, seq);
  }

 private:
  const FrameWriter& writer_;
};

// --- start ---

Expected<std::unique_ptr<Agent>> Agent::open(Parts parts) {
  TRY(io::make_directory(parts.config.state_dir));
  TRY_ASSIGN(io::FileLock lock, io::FileLock::take(parts.config.lock_path()));
  std::unique_ptr<Agent> agent(new Agent(std::move(parts), std::move(lock)));
  TRY(agent->start());
  return agent;
}

Agent::Agent(Parts parts, io::FileLock lock)
    : loop_(parts.loop),
      clock_(parts.clock),
      config_(std::move(parts.config)),
      identity_(std::move(parts.identity)),
      make_runner_(std::move(parts.make_runner)),
      on_drained_(std::move(parts.on_drained)),
      lock_(std::move(lock)),
      rng_(random_seed()),
      metrics_(identity_.region),
      repeats_(kRepeat),
      secrets_(identity_.keys.secret_key) {}

Agent::~Agent() = default;

Expected<void> Agent::start() {
  TRY(open_http());
  TRY_ASSIGN(auto probes, make_runner_(config_, secrets_));
  runners_.push_back(Runner{std::move(probes), 0});
  TRY(open_spool());
  open_uplink();
  load_cached_assignment();
  measure();
  return {};
}

Expected<void> Agent::open_spool() {
  TRY_ASSIGN(disk_, FileDisk::open(loop_, config_.spool_path()));
  FrameWriter::Options options;
  options.agent = identity_.agent;
  options.bytes_max = static_cast<std::uint64_t>(config_.spool_bytes_max);
  options.make_nonce = io::random_uuid;
  options.on_event = [this](SpoolEvent event) { on_spool(std::move(event)); };
  TRY_ASSIGN(writer_, FrameWriter::open(*disk_, std::move(options), loop_.now()));
  view_ = std::make_unique<View>(*writer_);

  Conductor::Options core;
  core.version = std::string(io::version());
  core.host = host_name();
  core.boot = io::random_uuid();
  core.max_in_flight = static_cast<std::uint32_t>(config_.max_in_flight);
  core.max_in_flight_per_target = static_cast<std::uint32_t>(config_.max_in_flight_per_target);
  core.anchors = config_.anchors;
  core.generated_before = writer_->results_generated();
  core.slots_done = load_slots_done();
  conductor_ = std::make_unique<Conductor>(std::move(core), *view_, loop_.now());
  log::info("spool opened", {{"path", config_.spool_path()},
                             {"epoch", writer_->epoch()},
                             {"bytes", writer_->bytes()},
                             {"results", writer_->results_held()}});
  return {};
}

void Agent::load_cached_assignment() {
  auto cached = load_assignment(config_.assignment_path());
  if (cached) {
    // Of an agent with another key, who was this one before it was enrolled anew.
    if (auto ours = secrets_.check(cached->secrets); !ours) cached = Unexpected{ours.error()};
  }
  if (!cached) {
    if (cached.error().code == Errc::kNotFound) {
      log::info("no assignment yet, waiting for the collector");
    } else {
      log::warning("cached assignment cannot be used, waiting for the collector",
                   {{"error", cached.error()}});
    }
    return;
  }
  log::info("checking from the cached assignment",
            {{"epoch", cached->epoch}, {"series", cached->put.size()}});
  // What an older version could not read is not in its cache either. Without an epoch the collector
  // sends the whole again, which this version may read.
  const bool lacks = std::any_of(cached->put.begin(), cached->put.end(),
                                 [](const AssignedSeries& s) { return !s.unreadable.empty(); });
  if (lacks) cached->epoch = 0;
  feed(MessageArrived{std::move(*cached)});
  store_assignment_.reset();  // What was just read need not be written.
}

void Agent::open_uplink() {
  Uplink::Options options;
  options.endpoints = config_.endpoints.empty() ? identity_.endpoints : config_.endpoints;
  options.server_keys = config_.server_keys.empty() ? identity_.server_keys : config_.server_keys;
  options.keys = identity_.keys;
  options.seed = rng_.next();
  uplink_ = std::make_unique<Uplink>(loop_, std::move(options),
                                     [this](UplinkEvent event) { on_uplink(std::move(event)); });
}

Expected<void> Agent::open_http() {
  io::HttpServerOptions options;
  options.listen = config_.listen;
  options.connections_max = 64;
  auto server =
      io::HttpServer::open(loop_, std::move(options),
                           [this](const codec::HttpRequest& request, io::HttpResponder responder) {
                             answer(request, std::move(responder));
                           });
  if (!server) {
    return fail(server.error().code, "{}: listen: {}", config_.where("listen"),
                server.error().text);
  }
  http_ = std::move(*server);
  return {};
}

// --- events in, commands out ---

void Agent::feed(AgentEvent event) {
  events_.push_back(std::move(event));
  if (!processing_) process();
}

void Agent::process() {
  processing_ = true;
  while (!events_.empty()) {
    step_all();
    settle();  // May bring new events.
  }
  processing_ = false;
  arm();
}

void Agent::step_all() {
  // By position, since what a command does may bring further events.
  for (std::size_t next = 0; next < events_.size(); ++next) {
    const AgentEvent event = std::move(events_[next]);
    commands_.clear();
    conductor_->step(event, loop_.now(), commands_);
    for (AgentCommand& command : commands_) {
      std::visit([this](auto& c) { carry_out(std::move(c)); }, command);
    }
  }
  events_.clear();
  if (events_.capacity() > kEventsKept) events_ = {};
}

/// After the last event of a batch: what was spooled begins its way to the disk.
void Agent::settle() {
  writer_->pump(loop_.now());
  notice_spool_state();
  if (draining_) check_drained();
}

void Agent::arm() {
  const MonoTime due = std::min(conductor_->next_wakeup(), writer_->next_deadline());
  if (wake_ && wake_->armed() && wake_->due() == due) return;
  if (due == MonoTime::never()) {
    wake_.reset();
  } else if (wake_) {
    wake_->set(due);
  } else {
    wake_ = loop_.at(due, [this] { feed(Wake{}); });
  }
}

void Agent::carry_out(StartAttempt command) {
  end_attempt(command.run);  // The attempt before has ended; its place is free.
  Runner& runner = runners_.back();
  Attempting& attempting = attempting_[command.run];
  attempting.runner = &runner;
  ++runner.under_way;
  attempting.handle = runner.probes->start(
      std::move(command.spec), command.timeout,
      [this, run = command.run, attempt = command.attempt](Observation observation) {
        metrics_.attempt(observation);
        end_attempt(run);
        feed(AttemptDone{run, attempt, std::move(observation)});
      });
}

void Agent::carry_out(const CancelRun& command) { end_attempt(command.run); }

void Agent::end_attempt(RunId run) {
  const auto at = attempting_.find(run);
  if (at == attempting_.end()) return;
  Runner& runner = *at->second.runner;
  attempting_.erase(at);
  --runner.under_way;
  // A retired runner may be on the stack below us: it goes in a later turn.
  if (runner.under_way == 0 && &runner != &runners_.back()) {
    retire_ = loop_.after(Duration::zero(), [this] { retire_runners(); });
  }
}

void Agent::retire_runners() {
  const Runner* current = &runners_.back();
  runners_.remove_if([current](const Runner& r) { return &r != current && r.under_way == 0; });
}

void Agent::carry_out(const SpoolResult& command) {
  writer_->add(command.cls, command.shard, command.result, command.close, loop_.now());
}

void Agent::carry_out(const SendFrame& command) {
  auto bytes = writer_->read(command.frame);
  if (bytes) return uplink_->send_frame(std::move(*bytes));
  log::error("frame cannot be sent", {{"stream", to_string(command.frame.stream)},
                                      {"seq", command.frame.last},
                                      {"error", bytes.error()}});
  // The writer has put a gap in the place of damaged results and reports it. Anything else leaves a
  // hole that only a new session can step over.
  const bool replaced =
      bytes.error().code == Errc::kCorrupt && command.frame.kind == FrameKind::kResults;
  if (!replaced) uplink_->drop("a frame is missing in the spool", std::chrono::seconds{1});
}

void Agent::carry_out(const SendMessage& command) {
  if (std::holds_alternative<Goodbye>(command.message)) goodbye_sent_ = true;
  uplink_->send(command.message);
}

void Agent::carry_out(const ReleaseFrames& command) {
  writer_->release(command.stream, command.seq);
}

void Agent::carry_out(const RestreamFrames& command) {
  writer_->restream(command.streams, loop_.now());
}

void Agent::carry_out(const DropLink& command) {
  const Duration wait = command.not_before - loop_.now().mono;
  uplink_->drop(command.why, std::max(wait, Duration::zero()));
}

void Agent::carry_out(const AssignmentChanged& command) {
  log::info("assignment changed", {{"epoch", command.epoch}});
  secrets_.replace(conductor_->secrets());
  store_assignment_soon();
}

void Agent::carry_out(const Notice& notice) {
  metrics_.notice(notice);
  switch (notice.level) {
    case NoticeLevel::kInfo:
      return log::info(notice.code, {{"text", notice.text}});
    case NoticeLevel::kWarning:
      return log::warning(notice.code, {{"text", notice.text}});
    case NoticeLevel::kError:
      return log::error(notice.code, {{"text", notice.text}});
  }
}

// --- what the parts report ---

void Agent::on_spool(SpoolEvent event) {
  if (auto* synced = std::get_if<FrameSynced>(&event)) {
    feed(SpoolSynced{synced->frame});
  } else if (auto* replaced = std::get_if<FramesReplaced>(&event)) {
    log::warning("results given up", {{"stream", to_string(replaced->gap.stream)},
                                      {"first", replaced->gap.first},
                                      {"last", replaced->gap.last},
                                      {"results", replaced->gap.results}});
    feed(SpoolReplaced{replaced->gap});
  } else {
    auto& restreamed = std::get<Restreamed>(event);
    log::info("streams written anew", {{"streams", restreamed.old_streams.size()}});
    feed(SpoolRestreamed{std::move(restreamed.old_streams)});
  }
}

void Agent::on_uplink(UplinkEvent event) {
  if (auto* message = std::get_if<UplinkMessage>(&event)) {
    if (auto* assignment = std::get_if<Assignment>(&message->message)) {
      secrets_.seal(assignment->secrets);
    }
    feed(MessageArrived{std::move(message->message)});
  } else if (const auto* up = std::get_if<UplinkUp>(&event)) {
    log::info("connected to the collector", {{"endpoint", up->endpoint}});
    feed(LinkUp{});
  } else if (const auto* down = std::get_if<UplinkDown>(&event)) {
    on_link_down(*down);
  } else {
    const auto& unreadable = std::get<UplinkUnreadable>(event);
    metrics_.unreadable(unreadable.unsupported);
    if (const auto left_out = repeats_.pass("unreadable", loop_.now().mono)) {
      log::warning("message of the collector ignored",
                   {{"why", unreadable.why}, {"repeated", *left_out}});
    }
  }
}

void Agent::on_link_down(const UplinkDown& down) {
  metrics_.link_trouble(down.trouble);
  if (const auto left_out = repeats_.pass(to_string(down.trouble), loop_.now().mono)) {
    log::warning(down.was_up ? "connection to the collector lost" : "collector not reached",
                 {{"why", to_string(down.trouble)},
                  {"text", down.why},
                  {"hint", advice(down.trouble)},
                  {"next_try_in", down.retry_in},
                  {"repeated", *left_out}});
  }
  if (down.was_up) {
    feed(LinkDown{down.why});
  } else if (draining_) {
    feed(Wake{});
  }
}

// --- looking at the machine ---

/// Without it a restart before that moment would run slots again that this life has reported.
void Agent::keep_slots_done(WallTime until) {
  const auto kept =
      io::replace_file(config_.slots_done_path(), as_bytes(fmt::format("{}\n", until.us)));
  if (!kept) log::warning("cannot keep which slots were done", {{"error", kept.error()}});
}

WallTime Agent::load_slots_done() const {
  const auto text = io::read_file(config_.slots_done_path(), 32);
  WallTime out;
  if (text) std::from_chars(text->data(), text->data() + text->size(), out.us);
  return out;
}

void Agent::measure() {
  measure_ = loop_.after(kMeasureEvery, [this] { measure(); });
  if (clock_.pending_step() != Duration::zero()) {
    const Duration by = clock_.accept_step();
    // Time stands still within this turn: the event belongs to the next one.
    step_ = loop_.after(Duration::zero(), [this, by] {
      if (by < Duration::zero()) keep_slots_done(loop_.now().wall - by);
      feed(ClockStepped{by});
    });
  }
  SelfMeasured event;
  event.spool_bytes = writer_->bytes();
  event.spool_bytes_max = static_cast<std::uint64_t>(config_.spool_bytes_max);
  event.results_in_spool = writer_->results_held();
  event.results_gapped = writer_->results_gapped();
  event.descriptors_short = descriptors_short();
  feed(event);
}

void Agent::notice_spool_state() {
  if (writer_->degraded() == spool_trouble_) return;
  spool_trouble_ = writer_->degraded();
  if (spool_trouble_.empty()) {
    log::info("spool is on disk again", {{"path", config_.spool_path()}});
  } else {
    log::error("spool is in memory only: a crash now loses results",
               {{"path", config_.spool_path()}, {"error", spool_trouble_}});
  }
}

void Agent::store_assignment_soon() {
  store_assignment_ = loop_.after(kAssignmentDelay, [this] {
    const auto stored = store_assignment(config_.assignment_path(), conductor_->assignment());
    if (!stored) {
      log::error("assignment cannot be cached: after a restart the agent waits for the collector",
                 {{"error", stored.error()}});
    }
    // An assignment passes through memory as messages and as the cache's bytes, several times its
    // size.
    ::malloc_trim(0);
  });
}

// --- HTTP ---

void Agent::answer(const codec::HttpRequest& request, io::HttpResponder responder) {
  const std::string_view path = request.path;
  if (request.method != codec::HttpMethod::kGet && request.method != codec::HttpMethod::kHead) {
    return std::move(responder).send(io::HttpResponse::problem(405, "only GET and HEAD"));
  }
  if (path == "/healthz") return std::move(responder).send(io::HttpResponse::text(200, "ok\n"));
  if (!conductor_ || !uplink_) {
    return std::move(responder).send(io::HttpResponse::problem(503, "starting"));
  }
  if (path == "/readyz") return std::move(responder).send(readiness());
  if (path == "/metrics") {
    io::HttpResponse response;
    response.content_type = io::Metrics::kContentType;
    response.body =
        metrics_.text({.stats = conductor_->stats(),
                       .spool = *writer_,
                       .spool_bytes_max = static_cast<std::uint64_t>(config_.spool_bytes_max),
                       .uplink = *uplink_,
                       .runs_held = attempting_.size(),
                       .draining = draining_});
    return std::move(responder).send(std::move(response));
  }
  std::move(responder).send(
      io::HttpResponse::problem(404, "there are /healthz, /readyz and /metrics"));
}

/// Ready: checks are run and their results reach a collector.
io::HttpResponse Agent::readiness() {
  const AgentStats stats = conductor_->stats();
  std::vector<codec::Node> reasons;
  const auto because = [&reasons](std::string why) {
    reasons.push_back(codec::Node::string(std::move(why)));
  };
  if (draining_) because("the agent is stopping");
  if (!stats.linked) because("no collector has welcomed this agent");
  if (stats.assignment_epoch == 0) because("no assignment yet");
  if (!writer_->degraded().empty()) because("the spool is in memory only: " + writer_->degraded());
  const bool ready = reasons.empty();
  const codec::Node body = codec::Node::map(
      {{"ready", codec::Node::boolean(ready)}, {"reasons", codec::Node::list(std::move(reasons))}});
  return io::HttpResponse::json(ready ? 200 : 503, codec::print_json(body) + "\n");
}

// --- change and end ---

void Agent::reload(AgentConfig config) {
  auto probes = make_runner_(config, secrets_);
  if (!probes) {
    log::error("configuration not taken over", {{"error", probes.error()}});
    return;
  }
  log::configure(config.log);
  if (config.listen != config_.listen || config.state_dir != config_.state_dir ||
      config.endpoints != config_.endpoints || config.server_keys != config_.server_keys ||
      config.spool_bytes_max != config_.spool_bytes_max ||
      config.max_in_flight != config_.max_in_flight ||
      config.max_in_flight_per_target != config_.max_in_flight_per_target ||
      config.anchors != config_.anchors) {
    log::warning(
        "some changed keys need a restart: listen, state_dir, collector, spool, "
        "max_in_flight, max_in_flight_per_target, anchors, anchor_interval");
  }
  config_.log = config.log;
  config_.egress = std::move(config.egress);
  config_.resolvers = std::move(config.resolvers);
  config_.shutdown_grace = config.shutdown_grace;
  runners_.push_back(Runner{std::move(*probes), 0});
  retire_ = loop_.after(Duration::zero(), [this] { retire_runners(); });
  log::info("configuration reloaded", {{"file", config_.file}});
}

void Agent::drain(std::string why) {
  if (draining_) return;
  draining_ = true;
  grace_ = loop_.after(config_.shutdown_grace, [this] {
    log::warning("shutdown_grace is over; what was not sent stays in the spool",
                 {{"results", writer_->results_held()}});
    finish();
  });
  feed(Drain{std::move(why)});
}

void Agent::check_drained() {
  if (!conductor_->idle()) return;
  if (!flushed_) {
    flushed_ = true;
    writer_->flush(loop_.now());
  }
  if (disk_->syncs_under_way() > 0) return;
  const AgentStats stats = conductor_->stats();
  const bool told = goodbye_sent_ && stats.unacked_bytes == 0;
  if (told || !uplink_->up()) finish();
}

void Agent::finish() {
  if (finish_) return;
  // Not from here: we may be deep inside an event.
  finish_ = loop_.after(Duration::zero(), [this] {
    if (on_drained_) on_drained_();
  });
}

}  // namespace tocsin::agent
