// How many results per second does a collector take from an agent that always has more?
//
//   ingest_load IDENTITY.yaml ENDPOINT SERIES SECONDS
//
// Speaks the link as an enrolled agent: Hello, waits for an assignment of SERIES series, then
// frames of 256 results as fast as the collector's credit allows, for SECONDS. Each result is one
// that passed, with phases and a remote address, as an agent makes them for http.
//
// What an agent may report begins 60 s before its assignment, so the slots begin 55 s back and go
// forward tick by tick over all series. Most are therefore late: stored and counted, but not a
// reason to look at the monitor anew.
//
// Prints "started" when the first frame goes, and at the end one line of JSON: results
// acknowledged, seconds from the first frame to the last acknowledgement, this program's own CPU.

#include "agent/app/identity.h"
#include "bench/floor/report.h"
#include "common/base/clock.h"
#include "common/io/random.h"
#include "common/wire/frame.h"
#include "common/wire/messages.h"

#include <fmt/core.h>

#include <array>
#include <cstdlib>
#include <deque>
#include <map>

namespace {

using namespace tocsin;

constexpr Duration kBack = 55s;
constexpr Duration kHeartbeat = 3s;
constexpr Duration kPatience = 20s;
constexpr std::uint32_t kFirstCredit = 64 * 1024;

class Load {
 public:
  Load(agent::Identity identity, std::string endpoint, std::size_t series, Duration at_most)
      : identity_(std::move(identity)),
        endpoint_(std::move(endpoint)),
        series_(series),
        at_most_(at_most) {
    stream_.agent = identity_.agent;
    stream_.epoch = 1;
    stream_.nonce = io::mint_uuid(clock_.now().wall);
    previous_ = wire::genesis(stream_);
  }

  Expected<void> run() {
    TRY_ASSIGN(socket_,
               io::ZmqSocket::dealer(context_, {.keys = identity_.keys,
                                                .server_key = identity_.server_keys.front()}));
    TRY(socket_->connect(endpoint_));
    deadline_ = now() + kPatience;
    while (!done()) {
      if (now() >= deadline_) return fail(Errc::kTimeout, "no {}", started_ ? "Ack" : "assignment");
      if (heartbeat_at_ <= now()) beat();
      TRY(send_frames());
      std::array<io::ZmqWaitItem, 2> items{
          {{.socket = socket_.get(), .writable = !to_send_.empty()},
           {.socket = socket_.get(), .events = true}}};
      TRY(io::zmq_wait(items, 100ms));
      TRY(take_events());
      TRY(receive());
    }
    return {};
  }

  std::uint64_t acked() const { return acked_; }

  double seconds() const { return std::chrono::duration<double>(last_ack_ - begin_).count(); }

  double cpu() const { return cpu_end_ - cpu_begin_; }

 private:
  struct UnderWay {
    std::uint64_t seq = 0;
    std::size_t bytes = 0;
    std::size_t results = 0;
  };

  MonoTime now() { return clock_.now().mono; }

  bool time_is_up() { return started_ && (caught_up_ || now() - begin_ >= at_most_); }

  bool done() { return time_is_up() && under_way_.empty(); }

  Expected<void> take_events() {
    using Kind = io::ZmqEvent::Kind;
    while (const auto event = socket_->next_event()) {
      if (event->kind == Kind::kHandshakeSucceeded) {
        Hello hello;
        hello.capabilities = kCapHttp | kCapTcp | kCapDns;
        hello.version = "ingest_load";
        hello.boot = stream_.nonce;
        hello.streams = {{.stream = stream_, .first = 1, .last = 0, .last_digest = {}}};
        hello.wall = clock_.now().wall;
        say(hello);
        heartbeat_at_ = now() + kHeartbeat;
      } else if (event->kind == Kind::kConnectFailed || event->kind == Kind::kDisconnected ||
                 event->kind == Kind::kHandshakeRefused || event->kind == Kind::kHandshakeFailed) {
        return fail(Errc::kUnavailable, "{}: {}", endpoint_, io::to_string(event->kind));
      }
    }
    return {};
  }

  void say(const AgentMessage& message) {
    to_send_.emplace_back(wire::encode_head(wire::PartKind::kAgent), wire::encode(message));
  }

  void beat() {
    Heartbeat beat;
    beat.number = ++beats_;
    beat.wall = clock_.now().wall;
    beat.health = AgentHealth::kHealthy;
    beat.monitors = static_cast<std::uint32_t>(assigned_.size());
    beat.generated = made_;
    beat.in_spool = made_ - acked_;
    say(beat);
    heartbeat_at_ = now() + kHeartbeat;
  }

  Expected<void> send_frames() {
    const bool loading = started_ && !time_is_up();
    while (loading && to_send_.size() < 4 && room() && !exhausted()) {
      to_send_.emplace_back(wire::encode_head(wire::PartKind::kFrame), make_frame());
    }
    while (!to_send_.empty()) {
      const std::array<std::string_view, 2> parts{to_send_.front().first, to_send_.front().second};
      const auto sent = socket_->send(parts);
      if (!sent && sent.error().code == Errc::kUnavailable) return {};
      TRY(sent);
      to_send_.pop_front();
    }
    return {};
  }

  bool room() const { return under_way_.empty() || bytes_ + last_size_ <= credit_; }

  /// The slots have caught up with the clock: the rest would not be due yet.
  bool exhausted() {
    if (assigned_[next_].grid.slot(ticks_[next_]) <= clock_.now().wall) return false;
    caught_up_ = true;
    return true;
  }

  Bytes make_frame() {
    std::vector<CheckResult> results;
    while (results.size() < wire::kFrameResultsMax && !exhausted()) {
      results.push_back(make_result(assigned_[next_], ticks_[next_]++));
      next_ = (next_ + 1) % assigned_.size();
    }
    Bytes bytes = wire::encode_results_frame(stream_, ++seq_, previous_, results);
    previous_ = digest16(as_bytes(bytes));
    under_way_.push_back({seq_, bytes.size(), results.size()});
    bytes_ += bytes.size();
    last_size_ = bytes.size();
    made_ += results.size();
    return bytes;
  }

  CheckResult make_result(const AssignedSeries& series, std::uint32_t tick) const {
    CheckResult r;
    r.series = series.series;
    r.tick = r.tick_last = tick;
    r.spec_rev = series.spec_rev;
    r.config_version = config_version_;
    r.slot = series.grid.slot(tick);
    r.queue_us = 150;
    r.duration_us = 34'000 + tick % 1000;
    Attempt attempt;
    attempt.phases = {0, 310, 0, 21, 33'000, 90, 33'421};
    attempt.remote = "203.0.113.10:443";
    attempt.http_status = 200;
    r.attempts = {std::move(attempt)};
    r.clock = {0, 2};
    return r;
  }

  Expected<void> receive() {
    for (;;) {
      TRY_ASSIGN(const auto message, socket_->receive());
      if (!message) return {};
      if (message->parts.size() != 2) return fail(Errc::kCorrupt, "not a message of two parts");
      TRY_ASSIGN(const CollectorMessage body,
                 wire::decode_collector_message(as_bytes(message->parts[1])));
      TRY(take(body));
    }
  }

  Expected<void> take(const CollectorMessage& message) {
    if (const auto* assignment = std::get_if<Assignment>(&message)) {
      for (const AssignedSeries& series : assignment->put) assigned_.push_back(series);
      config_version_ = assignment->config_version;
      say(ConfigApplied{assignment->epoch});
      if (assigned_.size() >= series_ && !started_) start();
    } else if (const auto* ack = std::get_if<Ack>(&message)) {
      take_ack(ack->stream);
    } else if (const auto* nack = std::get_if<Nack>(&message)) {
      return fail(Errc::kInvalid, "nack: {}", to_string(nack->code));
    } else if (const auto* refused = std::get_if<Refused>(&message)) {
      return fail(Errc::kDenied, "refused: {}", refused->text);
    }
    return {};
  }

  void start() {
    const WallTime from = clock_.now().wall - kBack;
    for (const AssignedSeries& series : assigned_) {
      ticks_.push_back(series.grid.tick_at_or_after(from));
    }
    fmt::print("started\n");
    std::fflush(stdout);
    started_ = true;
    begin_ = last_ack_ = now();
    cpu_begin_ = floor_bench::cpu_seconds();
  }

  void take_ack(const StreamAck& ack) {
    credit_ = ack.credit;
    while (!under_way_.empty() && under_way_.front().seq <= ack.high_water) {
      bytes_ -= under_way_.front().bytes;
      acked_ += under_way_.front().results;
      under_way_.pop_front();
    }
    last_ack_ = now();
    cpu_end_ = floor_bench::cpu_seconds();
    deadline_ = last_ack_ + kPatience;
  }

  const agent::Identity identity_;
  const std::string endpoint_;
  const std::size_t series_;
  const Duration at_most_;
  SystemClock clock_;
  io::ZmqContext context_;
  std::unique_ptr<io::ZmqSocket> socket_;
  std::deque<std::pair<Bytes, Bytes>> to_send_;
  MonoTime deadline_;
  MonoTime heartbeat_at_ = MonoTime::never();
  std::uint64_t beats_ = 0;

  std::vector<AssignedSeries> assigned_;
  std::vector<std::uint32_t> ticks_;  ///< Of each assigned series, the next one.
  std::size_t next_ = 0;
  std::uint64_t config_version_ = 0;

  StreamId stream_;
  std::uint64_t seq_ = 0;
  Digest16 previous_{};
  std::deque<UnderWay> under_way_;
  std::size_t bytes_ = 0;
  std::size_t last_size_ = 0;
  std::uint32_t credit_ = kFirstCredit;

  bool started_ = false;
  bool caught_up_ = false;
  MonoTime begin_;
  MonoTime last_ack_;
  double cpu_begin_ = 0;
  double cpu_end_ = 0;
  std::uint64_t made_ = 0;
  std::uint64_t acked_ = 0;
};

Expected<void> run(char** argv) {
  TRY_ASSIGN(agent::Identity identity, agent::load_identity(argv[1]));
  Load load(std::move(identity), argv[2], static_cast<std::size_t>(std::atol(argv[3])),
            std::chrono::seconds{std::atol(argv[4])});
  TRY(load.run());
  floor_bench::report(static_cast<long>(load.acked()), 0, load.seconds(), load.cpu());
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    fmt::print(stderr, "usage: ingest_load IDENTITY.yaml ENDPOINT SERIES SECONDS\n");
    return 2;
  }
  const auto done = run(argv);
  if (!done) fmt::print(stderr, "ingest_load: {}\n", done.error().text);
  return done ? 0 : 1;
}
