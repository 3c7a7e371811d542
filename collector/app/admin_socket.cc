#include "collector/app/admin_socket.h"

#include "common/base/clock.h"
#include "common/base/strings.h"
#include "common/codec/json.h"
#include "common/io/log.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

namespace tocsin::collector {
namespace {

constexpr std::array kCodes = {Errc::kInvalid, Errc::kNotFound,   Errc::kExists,
                               Errc::kLimit,   Errc::kIo,         Errc::kNoSpace,
                               Errc::kCorrupt, Errc::kTimeout,    Errc::kUnavailable,
                               Errc::kDenied,  Errc::kUnsupported};

Expected<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return fail(Errc::kInvalid,
                "{} is longer than the {} bytes a socket's path may have; use a "
                "shorter state_dir",
                path, sizeof address.sun_path - 1);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

const sockaddr* as_sockaddr(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

io::Fd unix_socket(int flags) {
  return io::Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
}

/// The line that comes back.
Expected<std::string> exchange(int fd, const std::string& path, std::string line,
                               Duration at_most) {
  while (!line.empty()) {
    const ssize_t n = ::send(fd, line.data(), line.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("ask the collector on " + path, errno);
    line.erase(0, static_cast<std::size_t>(n));
  }
  std::string in;
  const MonoTime deadline = latency_clock() + at_most;
  while (!in.ends_with('\n')) {
    const Duration left = deadline - latency_clock();
    if (left <= Duration{0}) {
      return fail(Errc::kTimeout, "the collector on {} did not answer within {}", path,
                  format_duration(at_most));
    }
    pollfd p{fd, POLLIN, 0};
    if (::poll(&p, 1, static_cast<int>(left.count() / 1000 + 1)) <= 0) continue;
    std::array<char, 16 * 1024> buffer{};
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail(Errc::kIo, "the collector on {} closed without an answer", path);
    in.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return in;
}

Expected<codec::Node> read_answer(std::string_view line) {
  codec::JsonLimits limits;
  limits.bytes_max = std::size_t{64} << 20;
  TRY_ASSIGN(codec::Node answer, codec::parse_json(line, limits));
  return read_admin_answer(std::move(answer));
}

std::string actor_of(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return "admin.sock";
  return fmt::format("admin.sock uid {}", peer.uid);
}

}  // namespace

codec::Node admin_error(const Error& error) {
  return codec::Node::map({{"ok", codec::Node::boolean(false)},
                           {"code", codec::Node::string(to_string(error.code))},
                           {"error", codec::Node::string(error.text)}});
}

Expected<codec::Node> read_admin_answer(codec::Node answer) {
  const codec::Node* ok = answer.find("ok");
  if (ok != nullptr && ok->bool_value) return answer;
  Error error{Errc::kIo, "an answer that says neither yes nor why not"};
  if (const codec::Node* text = answer.find("error")) error.text = text->text;
  if (const codec::Node* code = answer.find("code")) {
    for (const Errc known : kCodes) {
      if (code->text == to_string(known)) error.code = known;
    }
  }
  return Unexpected{std::move(error)};
}

struct AdminServer::Connection {
  std::uint64_t id = 0;
  io::Fd fd;
  std::string actor;
  std::string in;
  std::string out;
  std::size_t sent = 0;
  bool asked = false;
  io::WatchHandle watch;  // After fd: destroyed before it is closed.
  io::TimerHandle timeout;
};

Expected<std::unique_ptr<AdminServer>> AdminServer::open(io::EventLoop& loop,
                                                         const std::string& path, Handler handler) {
  TRY_ASSIGN(const sockaddr_un address, address_of(path));
  io::Fd listener = unix_socket(SOCK_NONBLOCK);
  if (!listener) return fail_errno("make a socket for " + path, errno);
  ::unlink(path.c_str());
  // The directory is 0700, so nobody gets in between bind and chmod.
  if (::bind(listener.get(), as_sockaddr(address), sizeof address) != 0) {
    return fail_errno("bind " + path, errno);
  }
  if (::chmod(path.c_str(), 0600) != 0) return fail_errno("chmod " + path, errno);
  if (::listen(listener.get(), static_cast<int>(kConnectionsMax)) != 0) {
    return fail_errno("listen on " + path, errno);
  }
  return std::unique_ptr<AdminServer>(
      new AdminServer(loop, path, std::move(listener), std::move(handler)));
}

AdminServer::AdminServer(io::EventLoop& loop, std::string path, io::Fd listener, Handler handler)
    : loop_(loop),
      path_(std::move(path)),
      listener_(std::move(listener)),
      handler_(std::move(handler)),
      watch_(loop.watch(listener_.get(), io::Interest::kRead, [this](io::Interest) { accept(); })) {
}

AdminServer::~AdminServer() {
  *alive_ = false;
  ::unlink(path_.c_str());
}

void AdminServer::accept() {
  if (connections_.size() >= kConnectionsMax) {
    watch_->set(io::Interest::kNone);
    return;
  }
  io::Fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd) return;
  auto connection = std::make_unique<Connection>();
  Connection& c = *connection;
  c.id = ++last_id_;
  c.actor = actor_of(fd.get());
  c.fd = std::move(fd);
  c.watch = loop_.watch(c.fd.get(), io::Interest::kRead, [this, &c](io::Interest ready) {
    if (io::has(ready, io::Interest::kWrite)) return write(c);
    read(c);
  });
  c.timeout = loop_.after(kTimeout, [this, &c] { close(c); });
  connections_.push_back(std::move(connection));
}

void AdminServer::read(Connection& connection) {
  std::array<char, 4096> buffer{};
  const ssize_t n = ::read(connection.fd.get(), buffer.data(), buffer.size());
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return close(connection);
  connection.in.append(buffer.data(), static_cast<std::size_t>(n));
  const auto end = connection.in.find('\n');
  if (connection.in.size() > kLineMax) return close(connection);
  if (end == std::string::npos || connection.asked) return;
  connection.asked = true;
  connection.watch->set(io::Interest::kNone);
  const std::uint64_t id = connection.id;
  auto request = codec::parse_json(std::string_view(connection.in).substr(0, end));
  if (!request) return answer(id, admin_error(request.error()));
  handler_(*std::move(request), connection.actor,
           [this, id, alive = alive_](const codec::Node& node) {
             if (*alive) answer(id, node);
           });
}

void AdminServer::answer(std::uint64_t id, const codec::Node& node) {
  const auto at = std::find_if(connections_.begin(), connections_.end(),
                               [id](const auto& connection) { return connection->id == id; });
  if (at == connections_.end()) return;  // It went away meanwhile.
  Connection& connection = **at;
  connection.out = codec::print_json(node) + "\n";
  connection.watch->set(io::Interest::kWrite);
}

void AdminServer::write(Connection& connection) {
  const ssize_t n = ::send(connection.fd.get(), connection.out.data() + connection.sent,
                           connection.out.size() - connection.sent, MSG_NOSIGNAL);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n < 0) return close(connection);
  connection.sent += static_cast<std::size_t>(n);
  if (connection.sent == connection.out.size()) close(connection);
}

void AdminServer::close(Connection& connection) {
  watch_->set(io::Interest::kRead);
  // Last: this destroys the handle whose callback may be running.
  connections_.remove_if([&](const auto& one) { return one.get() == &connection; });
}

bool somebody_listens(const std::string& path) {
  const auto address = address_of(path);
  const io::Fd fd = unix_socket(0);
  return address && fd && ::connect(fd.get(), as_sockaddr(*address), sizeof *address) == 0;
}

std::optional<Expected<codec::Node>> call_admin(const std::string& path, const codec::Node& request,
                                                Duration at_most) {
  const auto address = address_of(path);
  if (!address) return Expected<codec::Node>(Unexpected{address.error()});
  const io::Fd fd = unix_socket(0);
  if (!fd) return Expected<codec::Node>(fail_errno("make a socket", errno));
  if (::connect(fd.get(), as_sockaddr(*address), sizeof *address) != 0) {
    if (errno == ENOENT || errno == ECONNREFUSED) return std::nullopt;
    return Expected<codec::Node>(fail_errno("connect to " + path, errno));
  }
  const auto line = exchange(fd.get(), path, codec::print_json(request) + "\n", at_most);
  if (!line) return Expected<codec::Node>(Unexpected{line.error()});
  return read_answer(*line);
}

}  // namespace tocsin::collector
