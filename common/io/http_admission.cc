#include "common/io/forwarded.h"
#include "common/io/http_server_impl.h"
#include "common/io/tcp_listener.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace tocsin::io {

namespace {

/// Connections taken before others have their turn.
constexpr int kAcceptsPerTurn = 64;
/// After "too many open files": long enough not to spin, short enough that nobody notices.
constexpr Duration kAcceptPause = std::chrono::milliseconds{200};
constexpr std::string_view kTooManyConnections =
    "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nRetry-After: 5\r\n"
    "Connection: close\r\n\r\n";

}  // namespace

Fd open_spare() { return Fd{::open("/dev/null", O_RDONLY | O_CLOEXEC)}; }

std::string client_key(const IpAddress& address) {
  return std::string{address.bytes().substr(0, address.is_v4() ? 4 : 8)};
}

void HttpServer::Impl::on_acceptable() {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    const bool full = connections.size() >= options.connections_max;
    if (full && displaceable() == nullptr) break;
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    Fd fd{::accept4(listener.get(), reinterpret_cast<sockaddr*>(&from), &size,
                    SOCK_NONBLOCK | SOCK_CLOEXEC)};
    if (!fd) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        // The client would otherwise wait in the kernel's queue until somebody else leaves: use the
        // spare descriptor to turn it away, then look again later.
        spare.reset();
        Fd{::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)}.reset();
        spare = open_spare();
        pause_accepting("no descriptor is free");
        return;
      }
      break;  // Nothing there, or that client has gone already.
    }
    if (full) {
      ++stats.displaced;
      remove(displaceable()->id());
    }
    if (const auto peer = address_of(from)) take(std::move(fd), *peer);
  }
  update_accepting();
}

void HttpServer::Impl::take(Fd fd, const IpAddress& peer) {
  ++stats.accepted;
  std::size_t& held = per_client[client_key(peer)];
  if (held >= options.connections_per_address && !is_trusted(options.trusted_proxies, peer)) {
    ++stats.turned_away;
    // Best effort: what it has sent already may turn this into a reset.
    if (!tls) {
      (void)::send(fd.get(), kTooManyConnections.data(), kTooManyConnections.size(),
                   MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    if (const auto left_out = warnings.pass("address", loop.now().mono)) {
      log::warning("http connections of one address are at their bound",
                   {{"address", peer.str()},
                    {"bound", options.connections_per_address},
                    {"left_out", *left_out}});
    }
    return;
  }
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (options.send_buffer_bytes > 0) {
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &options.send_buffer_bytes,
                 sizeof options.send_buffer_bytes);
  }
  std::unique_ptr<TlsStream> stream;
  if (tls) {
    auto accepted = TlsStream::accept(tls, fd.get());
    if (!accepted) {
      ++stats.tls_failed;
      if (held == 0) per_client.erase(client_key(peer));
      return;
    }
    stream = *std::move(accepted);
  }
  ++held;
  const std::uint64_t id = next_id++;
  connections.emplace(
      id, std::make_unique<Connection>(*this, id, std::move(fd), peer, std::move(stream)));
}

HttpServer::Connection* HttpServer::Impl::displaceable() const {
  for (const Wait what : {Wait::kLinger, Wait::kIdle, Wait::kHeader}) {
    if (Connection* first = queues.at(static_cast<std::size_t>(what)).first) return first;
  }
  return nullptr;
}

void HttpServer::Impl::update_accepting() {
  if (!watch || paused) return;
  const bool room = connections.size() < options.connections_max || displaceable() != nullptr;
  if (!room && watch->interest() != Interest::kNone) {
    ++stats.accept_pauses;
    if (const auto left_out = warnings.pass("connections", loop.now().mono)) {
      log::warning("http connections are at their bound",
                   {{"bound", options.connections_max}, {"left_out", *left_out}});
    }
  }
  watch->set(room ? Interest::kRead : Interest::kNone);
}

void HttpServer::Impl::pause_accepting(const char* why) {
  ++stats.accept_pauses;
  paused = true;
  watch->set(Interest::kNone);
  if (const auto left_out = warnings.pass(why, loop.now().mono)) {
    log::warning("http accepting pauses", {{"because", why}, {"left_out", *left_out}});
  }
  accept_timer = loop.after(kAcceptPause, [this] {
    paused = false;
    update_accepting();
  });
}

}  // namespace tocsin::io
