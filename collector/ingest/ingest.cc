#include "collector/ingest/ingest.h"

#include "collector/ingest/allow_list.h"
#include "collector/ingest/gate.h"
#include "collector/ingest/zap.h"
#include "common/base/crash_point.h"
#include "common/base/strings.h"
#include "common/io/descriptors.h"
#include "common/io/log.h"
#include "common/io/random.h"
#include "common/wire/messages.h"

#include <fmt/format.h>
#include <pthread.h>

#include <atomic>
#include <cstring>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <sys/socket.h>
#include <thread>
#include <utility>

namespace tocsin::collector {
namespace {

/// Messages taken in one turn, so that keys and acknowledgements are never far behind.
constexpr std::size_t kMessagesPerTurn = 64;
/// While the engine is full we look again this often.
constexpr Duration kRetryEngine = std::chrono::milliseconds{2};
constexpr Duration kWaitMax = std::chrono::seconds{1};
constexpr Duration kSelfTestFor = std::chrono::seconds{5};
/// A connection that has ended still has messages in ZeroMQ's queue (a Goodbye, say). They are read
/// first; under load that takes at most this long.
constexpr Duration kEndedMax = std::chrono::seconds{1};
constexpr Duration kLogEvery = std::chrono::minutes{1};

std::string user_of(const std::variant<Principal, Rejection>& found, const std::string& key_z85) {
  const auto* principal = std::get_if<Principal>(&found);
  if (principal == nullptr) return {};
  const bool agent = std::holds_alternative<AgentId>(*principal);
  return agent ? with_key(user_id_of(*principal), key_z85) : user_id_of(*principal);
}

/// However few descriptors there are.
constexpr std::size_t kConnectionsMin = 32;

}  // namespace

struct Ingest::Impl {
  Impl(Options options_in, Ports ports_in)
      : options(std::move(options_in)),
        ports(ports_in),
        gate([this] { return AgentId{io::mint_uuid(ports.clock.now().wall)}; }) {}

  ~Impl() {
    stopping.close();
    if (thread.joinable()) thread.join();
  }

  // --- start ---
  Expected<void> open();
  Expected<void> self_test();

  // --- the thread ---
  void loop();
  void wait();
  void answer_zap();
  void take_events();
  void take_orders();
  bool take_messages();
  void finish_ended(bool drained);
  void finish(int fd);
  void cut_doomed();
  void cut_strangers();
  void forget_stranger(int fd);
  bool hand_over();
  void handle(LinkMessage message);
  void carry_out(GateOutput out, const std::string& address);
  void carry_out(Effect effect);
  void open_secrets(Assignment& assignment);
  void send(const std::string& routing_id, const CollectorMessage& message);
  /// False: the peer is gone or was given up, and what follows would be lost as well.
  bool send_body(const std::string& routing_id, const Bytes& body, bool ack);
  void doom(const std::vector<int>& fds);
  void reject(Rejection why, const std::string& who, const std::string& address,
              const std::string& detail);

  const Options options;
  Ports ports;
  io::ZmqContext context;
  std::unique_ptr<io::ZmqSocket> zap;
  std::unique_ptr<io::ZmqSocket> router;
  std::string bound;

  AllowList allow;
  Gate gate;
  std::deque<EngineInput> for_engine;  ///< Not empty: the engine was full, we do not read.
  std::map<int, MonoTime> ended;       ///< Descriptors whose connections have ended, and when.
  std::map<int, MonoTime> doomed;      ///< Descriptors to shut down, and when.
  log::RateLimit log_limit{kLogEvery};

  struct Counters {
    std::array<std::atomic<std::uint64_t>, kRejectionCount> rejected{};
    std::atomic<std::uint64_t> accepted{0}, disconnected{0}, admitted{0}, messages{0}, frames{0},
        frame_bytes{0}, sent{0}, unsent{0}, paused{0}, connections{0}, open{0}, strangers_cut{0};
  } counters;

  std::set<int> open_now;                  ///< Descriptors of connections.
  std::map<int, std::uint64_t> strangers;  ///< Those that have said nothing, and their number.
  std::map<std::uint64_t, int> strangers_by_age;
  std::optional<int> accept_failed;  ///< errno, until it is dealt with.
  std::size_t connections_max = 0;

  bool testing = false;  ///< The stranger of the self-test is not worth a line or a count.
  std::atomic<bool> reading{true};
  io::Mailbox<int> stopping{1};  ///< Never filled; closed to end.
  std::thread thread;
};

// --- start ---

Expected<std::unique_ptr<Ingest>> Ingest::start(Options options, Ports ports) {
  auto impl = std::make_unique<Impl>(std::move(options), ports);
  TRY(impl->open());
  impl->thread = std::thread([raw = impl.get()] { raw->loop(); });
  return std::unique_ptr<Ingest>(new Ingest(std::move(impl)));
}

Ingest::Ingest(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}

Ingest::~Ingest() = default;

void Ingest::stop_reading() { impl_->reading = false; }

const std::string& Ingest::endpoint() const { return impl_->bound; }

IngestStats Ingest::stats() const {
  const Impl::Counters& c = impl_->counters;
  IngestStats out;
  for (std::size_t i = 0; i < kRejectionCount; ++i) out.rejected[i] = c.rejected[i];
  out.accepted = c.accepted;
  out.disconnected = c.disconnected;
  out.admitted = c.admitted;
  out.messages = c.messages;
  out.frames = c.frames;
  out.frame_bytes = c.frame_bytes;
  out.sent = c.sent;
  out.unsent = c.unsent;
  out.paused = c.paused;
  out.connections = c.connections;
  out.open = c.open;
  out.strangers_cut = c.strangers_cut;
  return out;
}

Expected<void> Ingest::Impl::open() {
  // Without a handler at this address ZeroMQ lets every key in, so it comes first.
  TRY_ASSIGN(zap, io::ZmqSocket::replier(context));
  TRY(zap->bind(io::ZmqSocket::kZapEndpoint));
  testing = true;
  TRY(self_test());
  testing = false;
  take_orders();
  TRY_ASSIGN(router, io::ZmqSocket::router(context, {options.keys.secret_key}));
  if (auto done = router->bind(options.endpoint); !done) {
    return fail(Errc::kUnavailable, "{}", done.error().text);
  }
  bound = router->bound_endpoint();
  connections_max = options.connections_max == 0 ? io::connections_share(2, kConnectionsMin)
                                                 : options.connections_max;
  return {};
}

/// A stranger knocks at a router with the settings of the real one.
Expected<void> Ingest::Impl::self_test() {
  TRY_ASSIGN(const auto door, io::ZmqSocket::router(context, {options.keys.secret_key}));
  TRY(door->bind("tcp://127.0.0.1:*"));
  TRY_ASSIGN(io::CurveKeyPair stranger, io::make_curve_keypair());
  TRY_ASSIGN(const auto knock,
             io::ZmqSocket::dealer(context, {std::move(stranger), options.keys.public_key}));
  TRY(knock->connect(door->bound_endpoint()));
  const MonoTime deadline = latency_clock() + kSelfTestFor;
  while (latency_clock() < deadline) {
    std::array<io::ZmqWaitItem, 2> items{};
    items[0].socket = zap.get();
    items[1].socket = knock.get();
    items[1].events = true;
    TRY(io::zmq_wait(items, std::chrono::milliseconds{100}));
    answer_zap();
    while (const auto event = knock->next_event()) {
      switch (event->kind) {
        case io::ZmqEvent::Kind::kHandshakeRefused:
          return {};
        case io::ZmqEvent::Kind::kHandshakeSucceeded:
          return fail(
              Errc::kDenied,
              "self-test: a key that nobody knows was let in; agents could not be told from "
              "strangers, so the collector does not start. Check which libzmq is loaded");
        case io::ZmqEvent::Kind::kConnectFailed:
        case io::ZmqEvent::Kind::kHandshakeFailed:
          return fail(
              Errc::kDenied,
              "self-test: the handshake failed before the key was judged ({}, {}): "
              "curve.public and curve.secret in the state directory may not belong together",
              io::to_string(event->kind), event->value);
        case io::ZmqEvent::Kind::kConnected:
        case io::ZmqEvent::Kind::kListening:
        case io::ZmqEvent::Kind::kAccepted:
        case io::ZmqEvent::Kind::kAcceptFailed:
        case io::ZmqEvent::Kind::kDisconnected:
          break;
      }
    }
  }
  return fail(Errc::kDenied, "self-test: no answer to an unknown key within {}",
              format_duration(kSelfTestFor));
}

// --- the thread ---

void Ingest::Impl::loop() {
  ::pthread_setname_np(::pthread_self(), "zmq");
  while (true) {
    wait();
    answer_zap();
    take_events();
    take_orders();
    if (stopping.closed()) return;
    finish_ended(!reading || (hand_over() && take_messages()));
    cut_doomed();
    cut_strangers();
    counters.connections = gate.connections();
    counters.open = open_now.size();
  }
}

void Ingest::Impl::wait() {
  const Now now = ports.clock.now();
  Duration at_most = kWaitMax;
  if (!for_engine.empty() || !ended.empty()) at_most = kRetryEngine;
  for (const auto& [fd, due] : doomed) at_most = std::min(at_most, due - now.mono);
  std::array<io::ZmqWaitItem, 5> items{};
  items[0].socket = zap.get();
  items[1].socket = router.get();
  items[1].events = true;
  items[2].fd = ports.orders.box_.fd();
  items[3].fd = stopping.fd();
  items[4].socket = router.get();
  const bool read = for_engine.empty() && reading;
  if (auto done = io::zmq_wait({items.data(), read ? std::size_t{5} : std::size_t{4}},
                               std::max(at_most, Duration{0}));
      !done) {
    log::error("waiting for agents failed", {{"error", done.error()}});
  }
}

void Ingest::Impl::answer_zap() {
  while (true) {
    auto received = zap->receive();
    if (!received || !*received) return;
    const std::vector<Bytes>& parts = (*received)->parts;
    std::vector<Bytes> reply;
    const auto request = parse_zap_request(parts);
    if (!request) {
      reject(Rejection::kMechanism, "", "", request.error().text);
      reply = zap_deny(parts.size() > 1 ? parts[1] : "", "not a request we understand");
    } else if (request->domain != io::ZmqSocket::kZapDomain || request->mechanism != "CURVE") {
      reject(Rejection::kMechanism, request->mechanism, request->address,
             fmt::format("mechanism {} in domain {}", request->mechanism,
                         printable(request->domain, 64)));
      reply = zap_deny(request->request_id, "CURVE only");
    } else {
      const auto found = allow.find(request->public_key, ports.clock.now().wall);
      if (const auto* why = std::get_if<Rejection>(&found)) {
        reject(*why, request->public_key, request->address, "key refused");
        reply = zap_deny(request->request_id, to_string(*why));
      } else {
        ++counters.admitted;
        reply = zap_accept(request->request_id, user_of(found, request->public_key));
      }
    }
    const std::vector<std::string_view> views(reply.begin(), reply.end());
    if (auto done = zap->send(views); !done) {
      log::error("a key was not answered", {{"error", done.error()}});
    }
  }
}

void Ingest::Impl::take_events() {
  using Kind = io::ZmqEvent::Kind;
  while (const auto event = router->next_event()) {
    switch (event->kind) {
      case Kind::kAccepted:
        ++counters.accepted;
        open_now.insert(event->value);
        forget_stranger(event->value);
        strangers[event->value] = counters.accepted;
        strangers_by_age[counters.accepted] = event->value;
        finish(event->value);  // The kernel gives a descriptor out again.
        break;
      case Kind::kDisconnected:
        ++counters.disconnected;
        open_now.erase(event->value);
        forget_stranger(event->value);
        doomed.erase(event->value);
        ended.emplace(event->value, ports.clock.now().mono);
        break;
      case Kind::kHandshakeFailed:
        reject(Rejection::kHandshake, "", event->endpoint,
               fmt::format("handshake failed, code {}", event->value));
        break;
      case Kind::kAcceptFailed:
        accept_failed = event->value;
        break;
      case Kind::kHandshakeRefused:  // Told when ZAP was answered.
      case Kind::kHandshakeSucceeded:
      case Kind::kConnected:
      case Kind::kConnectFailed:
      case Kind::kListening:
        break;
    }
  }
}

void Ingest::Impl::take_orders() {
  while (auto orders = ports.orders.box_.try_pop()) {
    for (LinkOrder& order : *orders) {
      if (auto* effect = std::get_if<Effect>(&order)) {
        carry_out(std::move(*effect));
      } else {
        carry_out(gate.forget_sessions(), "");
      }
    }
  }
}

/// True when nothing is left to read.
bool Ingest::Impl::take_messages() {
  for (std::size_t i = 0; i < kMessagesPerTurn && for_engine.empty(); ++i) {
    auto received = router->receive();
    if (!received) {
      log::error("receiving from agents failed", {{"error", received.error()}});
      return false;
    }
    if (!*received) return true;
    io::ZmqMessage& message = **received;
    if (message.parts.empty()) continue;
    LinkMessage link;
    link.routing_id = std::move(message.parts.front());
    message.parts.erase(message.parts.begin());
    link.parts = std::move(message.parts);
    link.user_id = std::move(message.user_id);
    link.address = std::move(message.peer_address);
    link.fd = message.source_fd;
    handle(std::move(link));
  }
  return false;
}

void Ingest::Impl::finish_ended(bool drained) {
  if (ended.empty()) return;
  const MonoTime now = ports.clock.now().mono;
  std::vector<int> over;
  for (const auto& [fd, since] : ended) {
    if (drained || now - since >= kEndedMax) over.push_back(fd);
  }
  for (const int fd : over) finish(fd);
}

void Ingest::Impl::finish(int fd) {
  if (ended.erase(fd) == 0) return;
  carry_out(gate.disconnected(fd,
                              "the connection ended; if this repeats right after a send, the "
                              "message is above 512 KiB and is cut off: update the agent"),
            "");
}

void Ingest::Impl::handle(LinkMessage message) {
  ++counters.messages;
  forget_stranger(message.fd);
  // The end of the last connection on this descriptor must be known before the first message of the
  // next one counts.
  if (!gate.knows(message.routing_id, message.fd)) take_events();
  const std::string address = message.address;
  carry_out(gate.receive(std::move(message), ports.clock.now()), address);
}

void Ingest::Impl::carry_out(GateOutput out, const std::string& address) {
  for (const Rejected& rejected : out.rejected) {
    reject(rejected.why, rejected.who, address, rejected.detail);
  }
  for (const auto& [routing_id, message] : out.replies) send(routing_id, message);
  const bool was_clear = for_engine.empty();
  for (Event& event : out.events) {
    if (const auto* frame = std::get_if<FrameArrived>(&event)) {
      ++counters.frames;
      counters.frame_bytes += frame->bytes->size();
    }
    for_engine.push_back(EngineInput{std::move(event), {}});
  }
  if (!out.events.empty() && was_clear && !hand_over()) ++counters.paused;
}

/// False while the engine does not take everything.
bool Ingest::Impl::hand_over() {
  while (!for_engine.empty() && ports.engine.push(std::move(for_engine.front()))) {
    for_engine.pop_front();
  }
  return for_engine.empty();
}

void Ingest::Impl::carry_out(Effect effect) {
  if (auto* to_agent = std::get_if<SendToAgent>(&effect)) {
    if (const auto routing_id = gate.route(to_agent->session)) {
      if (auto* assignment = std::get_if<Assignment>(&to_agent->message)) open_secrets(*assignment);
      send(*routing_id, to_agent->message);
    }
  } else if (auto* answer = std::get_if<AnswerEnrolment>(&effect)) {
    if (const auto routing_id = gate.route(answer->session)) send(*routing_id, answer->message);
  } else if (auto* close = std::get_if<CloseSession>(&effect)) {
    const std::vector<int> fds = gate.cut(close->session);
    if (!fds.empty()) {
      log::warning("connection closed", {{"agent", close->agent}, {"because", close->why}});
    }
    doom(fds);
  } else if (auto* key = std::get_if<KeyChanged>(&effect)) {
    if (const auto revoked = allow.apply(*key)) doom(gate.bar(*revoked, key->public_key));
  }
}

/// What cannot be opened goes empty, and the agent says so in place of a result.
void Ingest::Impl::open_secrets(Assignment& assignment) {
  for (AssignedSecret& secret : assignment.secrets) {
    if (secret.value.empty()) continue;
    const auto opened = options.box == nullptr
                            ? Expected<io::Secret>{fail(Errc::kNotFound, "there is no key")}
                            : options.box->open(secret.name, secret.value);
    secret.value = opened ? opened->reveal() : Bytes{};
    if (!opened && log_limit.pass("secret/" + secret.name, ports.clock.now().mono)) {
      log::error("a secret cannot be opened: set it again", {{"error", opened.error()}});
    }
  }
}

void Ingest::Impl::send(const std::string& routing_id, const CollectorMessage& message) {
  for (const Bytes& body : wire::encode_in_pieces(message)) {
    if (!send_body(routing_id, body, std::holds_alternative<Ack>(message))) return;
  }
}

bool Ingest::Impl::send_body(const std::string& routing_id, const Bytes& body, bool ack) {
  const Bytes head = wire::encode_head(wire::PartKind::kCollector);
  if (ack) TOCSIN_CRASH_POINT("ingest.ack.before");
  const std::array<std::string_view, 3> parts{routing_id, head, body};
  const auto done = router->send(parts);
  if (done) {
    ++counters.sent;
    if (ack) TOCSIN_CRASH_POINT("ingest.ack.after");
    return true;
  }
  ++counters.unsent;
  if (done.error().code == Errc::kNotFound) return false;  // Its end comes as an event.
  auto [fd, out] = gate.give_up(routing_id);
  if (fd < 0) return false;
  reject(Rejection::kSlowReader, "", "", done.error().text);
  doom({fd});
  carry_out(std::move(out), "");
  return false;
}

void Ingest::Impl::doom(const std::vector<int>& fds) {
  const MonoTime due = ports.clock.now().mono + kCutAfter;
  for (const int fd : fds) {
    if (fd >= 0) doomed.try_emplace(fd, due);
  }
}

void Ingest::Impl::cut_doomed() {
  if (doomed.empty()) return;
  // What has ended by itself leaves the list, so that its descriptor's next owner is not hit. The
  // gap that stays (between this and shutdown) costs an innocent agent one reconnect at worst.
  take_events();
  const MonoTime now = ports.clock.now().mono;
  for (auto at = doomed.begin(); at != doomed.end();) {
    if (at->second > now) {
      ++at;
      continue;
    }
    ::shutdown(at->first, SHUT_RDWR);
    at = doomed.erase(at);
  }
}

void Ingest::Impl::forget_stranger(int fd) {
  const auto found = strangers.find(fd);
  if (found == strangers.end()) return;
  strangers_by_age.erase(found->second);
  strangers.erase(found);
}

void Ingest::Impl::cut_strangers() {
  if (!accept_failed && open_now.size() <= connections_max) return;
  take_events();  // For the reason of cut_doomed.
  std::size_t cut = open_now.size() > connections_max ? open_now.size() - connections_max : 0;
  if (accept_failed) cut = std::max(cut, (strangers.size() + 1) / 2);
  cut = std::min(cut, strangers.size());
  if (const auto left_out = log_limit.pass("strangers", ports.clock.now().mono)) {
    log::error("too many connections at the agents' port",
               {{"open", open_now.size()},
                {"most", connections_max},
                {"silent", strangers.size()},
                {"error", accept_failed ? std::strerror(*accept_failed) : ""},
                {"do",
                 "those that say nothing are cut; if they are agents of yours raise "
                 "LimitNOFILE, else keep strangers out with a firewall"},
                {"left_out", *left_out}});
  }
  accept_failed.reset();
  counters.strangers_cut += cut;
  for (; cut > 0; --cut) {
    const int fd = strangers_by_age.begin()->second;
    ::shutdown(fd, SHUT_RDWR);
    forget_stranger(fd);
  }
}

void Ingest::Impl::reject(Rejection why, const std::string& who, const std::string& address,
                          const std::string& detail) {
  if (testing) return;
  ++counters.rejected[static_cast<std::size_t>(why)];
  const std::string peer = who.empty() ? address : who;
  const auto left_out =
      log_limit.pass(fmt::format("{}/{}", to_string(why), peer), ports.clock.now().mono);
  if (!left_out) return;
  log::warning("agent rejected", {{"reason", to_string(why)},
                                  {"who", who},
                                  {"from", address},
                                  {"detail", detail},
                                  {"do", what_to_do(why)},
                                  {"left_out", *left_out}});
}

}  // namespace tocsin::collector
