#include "common/base/check.h"
#include "common/io/descriptors.h"
#include "common/io/http_head.h"
#include "common/io/http_server_impl.h"
#include "common/io/tcp_listener.h"

#include <algorithm>

namespace tocsin::io {

namespace {

/// After an answer that closes, what the client still sends is read and dropped for so long, or the
/// kernel would reset the connection and take the answer with it.
constexpr Duration kLingerFor = std::chrono::seconds{2};
constexpr std::size_t kConnectionsMin = 16;

}  // namespace

HttpServer::Impl::Impl(EventLoop& loop_, HttpServerOptions options_, Handler handler_, Fd listener_,
                       std::shared_ptr<const TlsContext> tls_)
    : loop(loop_),
      options(std::move(options_)),
      handler(std::move(handler_)),
      listener(std::move(listener_)),
      port(local_port(listener.get())),
      tls(std::move(tls_)) {
  if (const std::size_t share = connections_share(2, kConnectionsMin);
      share < options.connections_max) {
    options.connections_max = share;
    options.streams_max = std::min(options.streams_max, share / 2);
  }
  CHECK(options.connections_max > 0);
  const auto limit = [this](Wait what) -> Duration& {
    return queues.at(static_cast<std::size_t>(what)).limit;
  };
  limit(Wait::kIdle) = options.idle_deadline;
  limit(Wait::kHeader) = options.header_deadline;
  limit(Wait::kBody) = options.body_deadline;
  limit(Wait::kAnswer) = options.answer_deadline;
  limit(Wait::kLinger) = kLingerFor;
  watch = loop.watch(listener.get(), Interest::kRead, [this](Interest) { on_acceptable(); });
}

HttpServer::Impl::~Impl() {
  self.reset();
  watch.reset();
  connections.clear();
}

// --- turns and deadlines ---

void HttpServer::Impl::arm(Queue& queue) {
  if (queue.first == nullptr || (queue.timer && queue.timer->armed())) return;
  queue.timer = loop.at(queue.first->due_, [this, &queue] { expire(queue); });
}

void HttpServer::Impl::expire(Queue& queue) {
  const MonoTime now = loop.now().mono;
  // Each of these leaves the queue or joins it again at its end.
  const Connection* const last = queue.last;
  bool more = true;
  while (more && queue.first != nullptr && queue.first->due_ <= now) {
    more = queue.first != last;
    queue.first->on_deadline();
  }
  arm(queue);
}

bool HttpServer::Impl::has_budget() {
  if (turn != loop.turn()) {
    turn = loop.turn();
    turn_cost = 0;
  }
  // Who has waited comes first.
  if (turn_cost >= kTurnCost) starved = true;
  return turn_cost < kTurnCost && (running_deferred || !starved);
}

void HttpServer::Impl::spend(std::size_t cost) {
  turn_cost += cost;
  stats.turn_cost_max = std::max<std::uint64_t>(stats.turn_cost_max, turn_cost);
}

void HttpServer::Impl::defer(std::uint64_t id) {
  ++stats.deferred;
  deferred.push_back(id);
  if (!deferred_timer) deferred_timer = loop.after(Duration{0}, [this] { run_deferred(); });
}

void HttpServer::Impl::run_deferred() {
  deferred_timer.reset();
  running_deferred = true;
  for (std::size_t n = deferred.size(); n > 0 && has_budget(); --n) {
    const std::uint64_t id = deferred.front();
    deferred.pop_front();
    if (const auto it = connections.find(id); it != connections.end()) it->second->go_on();
  }
  running_deferred = false;
  starved = starved && !deferred.empty();
  if (!deferred.empty() && !deferred_timer) {
    deferred_timer = loop.after(Duration{0}, [this] { run_deferred(); });
  }
}

// --- connections and answers ---

void HttpServer::Impl::remove(std::uint64_t id) {
  const auto it = connections.find(id);
  CHECK(it != connections.end());
  const auto held = per_client.find(it->second->client());
  if (--held->second == 0) per_client.erase(held);
  connections.erase(it);
  update_accepting();
  if (draining && connections.empty()) {
    drain_timer = loop.after(Duration{0}, [this] { finish_drain(); });
  }
}

void HttpServer::Impl::doom(std::uint64_t id) {
  doomed.push_back(id);
  if (doomed_timer) return;
  doomed_timer = loop.after(Duration{0}, [this] {
    doomed_timer.reset();
    for (const std::uint64_t each : std::exchange(doomed, {})) {
      if (connections.contains(each)) remove(each);
    }
  });
}

HttpServer::Connection* HttpServer::Impl::find(std::uint64_t id, std::uint64_t serial) {
  const auto it = connections.find(id);
  // Else its deadline has answered already.
  return it != connections.end() && it->second->answers(serial) ? it->second.get() : nullptr;
}

void HttpServer::Impl::answer(std::uint64_t id, std::uint64_t serial, HttpResponse response) {
  Connection* const connection = find(id, serial);
  if (connection == nullptr) return;
  connection->take_answer(std::move(response));
  // Inside the handler the connection goes on by itself when the handler returns.
  if (!connection->inside_handler() && !connection->advance()) remove(id);
}

void HttpServer::Impl::finish_drain() {
  connections.clear();
  per_client.clear();
  if (!drained) return;
  const std::function<void()> done = std::move(drained);
  drained = nullptr;
  done();
}

const std::string& HttpServer::Impl::date() {
  const WallTime now = loop.now().wall;
  if (now.us / 1'000'000 != date_second) {
    date_second = now.us / 1'000'000;
    date_text = http_date(now);
  }
  return date_text;
}

Expected<std::unique_ptr<HttpServer>> HttpServer::open(EventLoop& loop, HttpServerOptions options,
                                                       Handler handler) {
  std::shared_ptr<const TlsContext> tls;
  if (options.tls) {
    TRY_ASSIGN(tls, TlsContext::server(options.tls->certificate, options.tls->key));
  }
  TRY_ASSIGN(Fd listener, listen_on(options.listen));
  return std::unique_ptr<HttpServer>{new HttpServer{std::make_unique<Impl>(
      loop, std::move(options), std::move(handler), std::move(listener), std::move(tls))}};
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}

HttpServer::~HttpServer() = default;

std::uint16_t HttpServer::port() const { return impl_->port; }

HttpServerStats HttpServer::stats() const {
  HttpServerStats out = impl_->stats;
  out.open = impl_->connections.size();
  return out;
}

Expected<void> HttpServer::reload_tls() {
  const std::optional<HttpTlsFiles>& files = impl_->options.tls;
  if (!files) return fail(Errc::kUnsupported, "this server speaks no TLS");
  TRY_ASSIGN(impl_->tls, TlsContext::server(files->certificate, files->key));
  return {};
}

void HttpServer::drain(Duration grace, std::function<void()> done) {
  Impl& impl = *impl_;
  CHECK(!impl.draining);
  impl.draining = true;
  impl.drained = std::move(done);
  impl.accept_timer.reset();
  impl.watch.reset();
  impl.listener.reset();
  std::vector<std::uint64_t> idle;
  std::vector<std::uint64_t> streams;
  for (const auto& [id, connection] : impl.connections) {
    if (connection->streams()) {
      streams.push_back(id);
    } else if (connection->idle()) {
      idle.push_back(id);
    }
  }
  impl.drain_timer = impl.loop.after(impl.connections.empty() ? Duration{0} : grace,
                                     [i = &impl] { i->finish_drain(); });
  for (const std::uint64_t id : idle) impl.remove(id);
  for (const std::uint64_t id : streams) {
    Connection& connection = *impl.connections.at(id);
    connection.end_stream();
    if (!connection.inside_handler() && !connection.advance()) impl.remove(id);
  }
}

// --- the responder ---

HttpResponder::HttpResponder(EventLoop& loop, std::weak_ptr<void> server, std::uint64_t connection,
                             std::uint64_t serial)
    : loop_(&loop),
      server_(std::move(server)),
      connection_(connection),
      serial_(serial) {}

HttpResponder::HttpResponder(HttpResponder&& other) noexcept
    : loop_(std::exchange(other.loop_, nullptr)),
      server_(std::move(other.server_)),
      connection_(other.connection_),
      serial_(other.serial_) {}

HttpResponder::~HttpResponder() {
  if (loop_ != nullptr) {
    std::move(*this).post(HttpResponse::problem(503, "the request was dropped"));
  }
}

void HttpResponder::send(HttpResponse response) && {
  CHECK(loop_ != nullptr);
  loop_ = nullptr;
  if (const auto server = server_.lock()) {
    (*static_cast<HttpServer::Impl**>(server.get()))
        ->answer(connection_, serial_, std::move(response));
  }
}

void HttpResponder::on_gone(std::function<void()> callback) {
  CHECK(loop_ != nullptr);
  const auto alive = server_.lock();
  if (!alive) return;
  HttpServer::Impl& server = **static_cast<HttpServer::Impl**>(alive.get());
  HttpServer::Connection* const connection = server.find(connection_, serial_);
  if (connection != nullptr) connection->set_gone(std::move(callback));
}

void HttpResponder::post(HttpResponse response) && {
  CHECK(loop_ != nullptr);
  // std::function wants a copyable closure.
  std::exchange(loop_, nullptr)
      ->post([server = std::move(server_), connection = connection_, serial = serial_,
              answer = std::make_shared<HttpResponse>(std::move(response))] {
        if (const auto alive = server.lock()) {
          (*static_cast<HttpServer::Impl**>(alive.get()))
              ->answer(connection, serial, std::move(*answer));
        }
      });
}

std::unique_ptr<HttpStream> HttpResponder::start_stream(const HttpResponse& head) && {
  CHECK(loop_ != nullptr);
  loop_ = nullptr;
  const auto alive = server_.lock();
  if (!alive) return nullptr;
  HttpServer::Impl& server = **static_cast<HttpServer::Impl**>(alive.get());
  HttpServer::Connection* const connection = server.find(connection_, serial_);
  if (connection == nullptr) return nullptr;
  std::unique_ptr<HttpStream> stream = connection->start_stream(head);
  if (!connection->inside_handler() && !connection->advance()) server.remove(connection_);
  return stream;
}

}  // namespace tocsin::io
