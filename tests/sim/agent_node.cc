#include "common/base/check.h"
#include "common/wire/frame.h"
#include "common/wire/messages.h"
#include "tests/sim/oracle.h"
#include "tests/sim/world.h"

#include <algorithm>

namespace tocsin::sim {

using namespace std::chrono_literals;

namespace {

Uuid random_uuid(Rng& rng) {
  Uuid out{};
  for (std::uint8_t& b : out) b = static_cast<std::uint8_t>(rng.next());
  return out;
}

}  // namespace

/// One life of the agent's program.
struct AgentNode::Process final : agent::SpoolView {
  Process(testing::SimDiskState& state)
      : disk(state) {}

  std::vector<StreamOffer> offers() const override { return writer->offers(); }

  std::vector<FrameRef> frames_after(const StreamId& stream, std::uint64_t seq,
                                     std::size_t limit) const override {
    return writer->frames_after(stream, seq, limit);
  }

  std::optional<Digest16> digest_of(const StreamId& stream, std::uint64_t seq) const override {
    return writer->digest_of(stream, seq);
  }

  testing::SimDisk disk;
  std::unique_ptr<agent::FrameWriter> writer;
  std::unique_ptr<agent::Conductor> conductor;
  MonoTime armed = MonoTime::never();
  Duration next_measure{0};
  bool sync_armed = false;
};

AgentNode::AgentNode(World& world, std::size_t index, AgentId agent_id, std::string region_key)
    : id(agent_id),
      region(std::move(region_key)),
      world_(world),
      index_(index) {
  boot_offset = world.rng.between(Duration{1s}, Duration{1'000'000s});
}

AgentNode::~AgentNode() = default;

Now AgentNode::now() const {
  const Duration t = world_.timeline.now();
  const Duration drift{static_cast<std::int64_t>(clock_drift * static_cast<double>(t.count()))};
  return Now{MonoTime{(boot_offset + t).count()}, world_.truth() + clock_offset + drift};
}

Assignment AgentNode::assignment() const { return process_->conductor->assignment(); }

void AgentNode::step_clock(Duration by) {
  clock_offset += by;
  if (by > Duration{0}) {
    stepped_at = world_.timeline.now();
    stepped_by = by;
  }
  if (process_) step(agent::ClockStepped{by});
}

void AgentNode::start() {
  CHECK(process_ == nullptr);
  ++life_;
  process_ = std::make_unique<Process>(disk);
  agent::FrameWriter::Options options;
  options.agent = id;
  options.bytes_max = 4 << 20;
  options.segment_bytes = 64 << 10;
  options.retain_bytes = 128 << 10;
  options.make_nonce = [this] { return random_uuid(world_.rng); };
  options.on_event = [this](agent::SpoolEvent event) {
    // From a completed sync: the conductor hears of it as an event of its own.
    std::visit(
        [this](auto& e) {
          using T = std::decay_t<decltype(e)>;
          if constexpr (std::is_same_v<T, agent::FrameSynced>) {
            const auto bytes = process_->writer->read(e.frame);
            if (bytes) {
              const auto frame = wire::decode_frame(as_bytes(*bytes));
              if (frame) world_.oracle->durable(*this, frame->results);
            }
            step(agent::SpoolSynced{e.frame});
          } else if constexpr (std::is_same_v<T, agent::FramesReplaced>) {
            world_.count("frames_replaced");
            step(agent::SpoolReplaced{e.gap});
          } else {
            world_.count("restreams");
            step(agent::SpoolRestreamed{e.old_streams});
          }
        },
        event);
  };
  auto writer = agent::FrameWriter::open(process_->disk, std::move(options), now());
  CHECK(writer.has_value());
  process_->writer = *std::move(writer);
  agent::Conductor::Options conductor;
  conductor.version = "sim";
  conductor.boot = random_uuid(world_.rng);
  conductor.generated_before = process_->writer->results_generated();
  process_->conductor = std::make_unique<agent::Conductor>(conductor, *process_, now());
  if (cache.epoch > 0) {
    Assignment whole = cache;
    whole.base = 0;
    step(agent::MessageArrived{std::move(whole)});
  }
  pump_disk();
  connect_later(world_.rng.between(Duration{10ms}, Duration{500ms}));
}

void AgentNode::stop(bool power) {
  if (!process_) return;
  world_.oracle->stopped(*this, now().wall);
  ++life_;
  process_.reset();
  if (power) disk.power_cut(world_.rng);
  if (connection) {
    connection->up = false;
    const auto dead = connection;
    connection.reset();
    if (dead->session != 0) {
      world_.timeline.after(world_.rng.between(Duration{1ms}, Duration{3s}),
                            [this, dead] { world_.collector.left(*this, dead->session); });
    }
  }
}

void AgentNode::connect_later(Duration delay) {
  world_.timeline.after(delay, [this, life = life_] {
    if (life != life_ || connection) return;
    if (network_cut || link_cut || !world_.collector.running()) {
      connect_later(world_.rng.between(Duration{500ms}, Duration{3s}));
      return;
    }
    static std::uint64_t next_connection = 1;
    connection = std::make_shared<Connection>();
    connection->id = next_connection++;
    step(agent::LinkUp{});
  });
}

void AgentNode::link_lost(std::uint64_t id_of_connection, const std::string& why) {
  if (!connection || connection->id != id_of_connection) return;
  connection->up = false;
  const auto dead = connection;
  connection.reset();
  if (dead->session != 0) {
    world_.timeline.after(world_.rng.between(Duration{1ms}, Duration{15s}),
                          [this, dead] { world_.collector.left(*this, dead->session); });
  }
  if (!process_) return;
  step(agent::LinkDown{why});
  connect_later(world_.rng.between(Duration{100ms}, Duration{3s}));
}

void AgentNode::deliver(std::uint64_t id_of_connection, const CollectorMessage& message) {
  if (!process_ || !connection || connection->id != id_of_connection) return;
  if (const auto* ack = std::get_if<Ack>(&message)) world_.oracle->acked(ack->stream);
  step(agent::MessageArrived{message});
}

void AgentNode::step(agent::AgentEvent event) {
  std::vector<agent::AgentCommand> commands;
  if (world_.timeline.now() >= process_->next_measure) {
    process_->next_measure = world_.timeline.now() + 3s;
    agent::SelfMeasured measured;
    measured.spool_bytes = process_->writer->bytes();
    measured.spool_bytes_max = 4 << 20;
    measured.results_in_spool = process_->writer->results_held();
    measured.results_gapped = process_->writer->results_gapped();
    process_->conductor->step(measured, now(), commands);
  }
  process_->conductor->step(event, now(), commands);
  carry_out(commands);
  process_->writer->pump(now());
  pump_disk();
  arm();
}

void AgentNode::arm() {
  const MonoTime next =
      std::min(process_->conductor->next_wakeup(), process_->writer->next_deadline());
  if (next == MonoTime::never() || next >= process_->armed) return;
  process_->armed = next;
  const Duration delay = std::max(next - now().mono, Duration{0});
  world_.timeline.after(delay, [this, life = life_, next] {
    if (life != life_ || process_->armed != next) return;
    process_->armed = MonoTime::never();
    step(agent::Wake{});
  });
}

void AgentNode::pump_disk() {
  if (process_->sync_armed || process_->disk.syncs_pending() == 0) return;
  process_->sync_armed = true;
  const Duration takes = slow_disk ? world_.rng.between(Duration{200ms}, Duration{5s})
                                   : world_.rng.between(Duration{500us}, Duration{20ms});
  world_.timeline.after(takes, [this, life = life_] {
    if (life != life_) return;
    process_->sync_armed = false;
    process_->disk.complete_sync();
    pump_disk();
    arm();
  });
}

void AgentNode::attempt(const agent::StartAttempt& start) {
  MonitorId monitor;
  const auto* http = std::get_if<HttpTarget>(&start.spec->target);
  CHECK(http != nullptr);
  // The URL ends in the monitor's id: the agent's program does not know, the world does.
  monitor = *MonitorId::parse(http->url.substr(http->url.rfind('/') + 1));
  Observation seen;
  Duration takes = world_.rng.between(Duration{5ms}, Duration{200ms});
  const bool glitch =
      world_.weather != Weather::kQuiet && !world_.healed && world_.rng.chance(0.002);
  if (network_cut) {
    seen.failure = Failure{Reason::kConnectTimeout, "no answer"};
    takes = start.timeout;
  } else if (world_.fails(*this, monitor) || glitch) {
    const Reason reason = glitch ? Reason::kConnectReset : world_.reason_of(monitor);
    if (reason == Reason::kAssertStatus) {
      seen.http = HttpFacts{.status = 503, .version = "1.1"};
    } else {
      seen.failure =
          Failure{reason, to_string(reason) == "?" ? "" : std::string{to_string(reason)}};
      if (reason == Reason::kConnectTimeout) takes = start.timeout;
    }
  } else {
    seen.http = HttpFacts{.status = 200, .version = "1.1"};
  }
  seen.phases.total_us = static_cast<std::uint32_t>(takes.count());
  world_.timeline.after(takes, [this, life = life_, start, seen] {
    if (life != life_) return;
    step(agent::AttemptDone{start.run, start.attempt, seen});
  });
}

void AgentNode::carry_out(std::vector<agent::AgentCommand>& commands) {
  for (agent::AgentCommand& command : commands) {
    if (const auto* start = std::get_if<agent::StartAttempt>(&command)) {
      attempt(*start);
    } else if (const auto* result = std::get_if<agent::SpoolResult>(&command)) {
      world_.oracle->emitted(*this, result->result);
      process_->writer->add(result->cls, result->shard, result->result, result->close, now());
    } else if (const auto* frame = std::get_if<agent::SendFrame>(&command)) {
      auto bytes = process_->writer->read(frame->frame);
      if (bytes && connection) world_.collector.receive(*this, connection, *std::move(bytes), true);
    } else if (const auto* message = std::get_if<agent::SendMessage>(&command)) {
      if (connection) {
        world_.collector.receive(*this, connection, wire::encode(message->message), false);
      }
    } else if (const auto* release = std::get_if<agent::ReleaseFrames>(&command)) {
      process_->writer->release(release->stream, release->seq);
    } else if (const auto* again = std::get_if<agent::RestreamFrames>(&command)) {
      world_.count("forks");
      process_->writer->restream(again->streams, now());
    } else if (const auto* drop = std::get_if<agent::DropLink>(&command)) {
      if (connection) {
        world_.timeline.after(Duration{0},
                              [this, life = life_, c = connection->id, why = drop->why] {
                                if (life == life_) link_lost(c, why);
                              });
      }
    } else if (std::get_if<agent::AssignmentChanged>(&command) != nullptr) {
      cache = process_->conductor->assignment();
      world_.oracle->assigned(*this, cache, now().wall);
    } else if (const auto* notice = std::get_if<agent::Notice>(&command)) {
      world_.note(notice->code, index_);
      if (world_.plan.trace) {
        fmt::print("{:>12} agent {} {}: {}\n", format_duration(world_.timeline.now()), index_,
                   notice->code, notice->text);
      }
    }
  }
}

}  // namespace tocsin::sim
